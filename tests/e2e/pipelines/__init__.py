"""Luigi pipelines that the end-to-end tests run."""

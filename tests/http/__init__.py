"""The HTTP server, its pipeline, and what it does with bad input."""

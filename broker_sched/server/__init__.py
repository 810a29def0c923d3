"""HTTP: the server in front of the scheduler."""

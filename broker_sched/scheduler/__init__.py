"""The scheduler on Redis: its keys, its connections, and the steps of every method."""

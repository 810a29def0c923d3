"""Runs tasks: traversal, the loop, task processes, heartbeat."""

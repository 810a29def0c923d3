"""Where a worker's tasks run: in processes of its own, or on rq workers."""

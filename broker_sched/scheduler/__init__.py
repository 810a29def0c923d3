"""The scheduler on Redis: `Scheduler`, `AsyncScheduler`, the keys, and the operations behind each method of the API."""

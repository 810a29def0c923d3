"""The scheduler over HTTP: `RemoteScheduler` and its transport."""

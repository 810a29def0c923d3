"""The one place that reaches Redis: URLs, the embedded server, connections, script calls and recovery."""

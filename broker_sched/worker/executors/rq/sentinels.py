"""Connections for `rq worker` that find Redis through Sentinels; its settings module names them (docs/rq.md)."""

from __future__ import annotations

from typing import Any

from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection


class SentinelConnection(SentinelManagedConnection):
    """Asks the Sentinels for the primary whenever it connects anew.

    redis-py asks them only before a command. While it tries a command again, as when a worker waits for a job, it stays
    at the primary that is gone, until it gives up (https://github.com/redis/redis-py/issues/3874).
    """

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send a command, connected to the primary of this moment. Raises redis.exceptions.ConnectionError."""
        if not self.is_connected:
            self.connect()  # type: ignore[no-untyped-call]  # redis-py leaves its Sentinels untyped
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]


class SentinelSSLConnection(SentinelConnection, SentinelManagedSSLConnection):
    """Asks the Sentinels likewise, and talks to Redis over TLS."""

"""Opens the server's lanes to the Redis a URL names."""

from __future__ import annotations

import contextlib

import redis.exceptions

from broker_sched.redis_backend.clients import Endpoint, connect, is_in_process, resolve
from broker_sched.redis_backend.multiplexed_connection import AsyncConnection, InProcess, MultiplexedConnection


def open_connections(url: str | None, prefix: str) -> tuple[AsyncConnection, AsyncConnection, AsyncConnection]:
    """Lanes for calls, views and wakes. Blocks while a `local:` Redis is started or Sentinel asked.

    Raises ConfigurationError when the URL can't be used, RedisUnavailable when `local:` does not start. Any other
    Redis that is away is waited for at the first send.
    """
    if is_in_process(url):
        connection = InProcess(connect(url))
        return connection, connection, connection

    def find() -> Endpoint:
        return resolve(url, prefix)

    with contextlib.suppress(redis.exceptions.RedisError):
        find()
    return (
        MultiplexedConnection(find, "bsched-calls"),
        MultiplexedConnection(find, "bsched-views"),
        MultiplexedConnection(find, "bsched-wakes"),
    )

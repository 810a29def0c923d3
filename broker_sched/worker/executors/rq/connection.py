"""Opens connections to the Redis that RQ uses, and says which URLs RQ can use."""

from __future__ import annotations

from typing import Any

import redis
from redis.sentinel import SentinelConnectionPool

from broker_sched.errors import ConfigurationError
from broker_sched.redis_backend.clients import connect
from broker_sched.redis_backend.urls import describe

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")


def is_usable(url: str | None) -> bool:
    """Whether an `rq worker` can be pointed at the same Redis: not at one in memory, our private one, or a Cluster."""
    return url is not None and url.partition(":")[0] in SCHEMES


def client_for(url: str) -> redis.Redis:
    """Return a client as RQ needs it, whose replies are bytes.

    Raises ConfigurationError for a URL that can't be used.
    """
    if not is_usable(url):
        raise ConfigurationError(
            f"RQ can't use the Redis {describe(url)}: its workers need a URL of the form "
            f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}."
        )
    pool: Any = connect(url).connection_pool  # Any: its kinds differ in what redis-py leaves untyped
    settings = {**pool.connection_kwargs, "decode_responses": False, "connection_class": pool.connection_class}
    if isinstance(pool, SentinelConnectionPool):
        settings.pop("connection_pool")  # the old pool: the new one puts itself here
        made: redis.Redis = pool.sentinel_manager.master_for(pool.service_name, **settings)
        return made
    return redis.Redis.from_pool(redis.ConnectionPool(**settings))  # which is closed with the client

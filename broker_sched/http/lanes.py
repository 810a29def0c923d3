"""Opens the server's lanes to the Redis a URL names."""

from __future__ import annotations

import contextlib

import redis.exceptions

from broker_sched.http.pipeline import InProcess, Lane, Pipeline
from broker_sched.scheduler.connection import Endpoint, connect, is_in_process, resolve


def open_lanes(url: str | None, prefix: str) -> tuple[Lane, Lane, Lane]:
    """Lanes for calls, views and wakes. Blocks while a `local:` Redis is started or Sentinel asked.

    Raises ConfigurationError when the URL can't be used, RedisUnavailable when `local:` does not start. Any other
    Redis that is away is waited for at the first send.
    """
    if is_in_process(url):
        lane = InProcess(connect(url))
        return lane, lane, lane

    def find() -> Endpoint:
        return resolve(url, prefix)

    with contextlib.suppress(redis.exceptions.RedisError):
        find()
    return Pipeline(find, "bsched-calls"), Pipeline(find, "bsched-views"), Pipeline(find, "bsched-wakes")

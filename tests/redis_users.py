"""Users of Redis as `bsched redis acl` makes them, and schedulers and servers that work as one of them.

With BSCHED_TEST_REDIS_USERS=1 every test works so whose scheduler comes from a fixture, or whose server is a
ServerProcess: `make nightly` runs the tests of the scheduler and of the server that way.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any
from urllib.parse import quote

import redis

from broker_sched import Scheduler
from broker_sched.scheduler.integrity.check import Difference
from broker_sched.scheduler.redis_users import Use, rule, user_name

AS_USERS = os.environ.get("BSCHED_TEST_REDIS_USERS") == "1"
PASSWORD = "geheim/@:"


def make_user(url: str, use: Use, namespace: str) -> str:
    """Make the user in the Redis at this URL, and return the URL with which it logs in."""
    with redis.Redis.from_url(url) as client:
        client.execute_command(*rule(use, namespace, password=PASSWORD).split())
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{user_name(use, namespace)}:{quote(PASSWORD, safe='')}@{rest.rpartition('@')[2]}"


def refused(url: str) -> list[str]:
    """What this Redis has refused its users so far: `user: command or key`."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return [f"{each['username']}: {each['object']}" for each in client.acl_log()]


class WorkersScheduler(Scheduler):
    """A scheduler that works as a worker's user. Who looks into Redis by its client, and verifies, is the test."""

    def __init__(self, url: str, namespace: str, **options: Any) -> None:
        self._options_of_test = {"namespace": namespace, **options}
        self._url_of_test = url
        super().__init__(make_user(url, "worker", namespace), namespace, **options)

    def _connect(self) -> None:
        super()._connect()
        self._client = redis.Redis.from_url(self._url_of_test, decode_responses=True)

    def _read(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        with closing(Scheduler(self._url_of_test, **self._options_of_test)) as scheduler:
            return scheduler._read(commands)

    def verify(self, repair: bool = False) -> list[Difference]:
        with closing(Scheduler(self._url_of_test, **self._options_of_test)) as scheduler:
            return scheduler.verify(repair)


def for_server(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments of `bsched server`, with the URL of its user where they name a Redis that knows users."""
    if not AS_USERS or "--redis" not in arguments:
        return arguments
    at = arguments.index("--redis") + 1
    namespace = arguments[arguments.index("--namespace") + 1] if "--namespace" in arguments else "default"
    try:
        url = make_user(arguments[at], "server", namespace)
    except redis.RedisError:  # a test's own kind of Redis, or none
        return arguments
    return (*arguments[:at], url, *arguments[at + 1 :])

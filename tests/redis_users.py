"""Users of Redis as `bsched redis acl` makes them, and schedulers and servers that work as one of them.

With BSCHED_TEST_REDIS_USERS=1 every test works so whose scheduler comes from a fixture, or whose server is a
ServerProcess: `make nightly` runs the tests of the scheduler and of the server that way.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import redis

from broker_sched import Scheduler
from broker_sched.redis_backend.clients import connect
from broker_sched.scheduler.integrity.check import Difference
from broker_sched.scheduler.maintenance import Maintenance
from broker_sched.scheduler.redis_users import Use, rq_rule, rq_user_name, rule, user_name

AS_USERS = os.environ.get("BSCHED_TEST_REDIS_USERS") == "1"
PASSWORD = "geheim/@:"


def make_user(url: str, use: Use, namespace: str) -> str:
    """Make the user in the Redis at this URL, in its file of users too, and return the URL with which it logs in."""
    return _made(url, rule(use, namespace, password=PASSWORD), user_name(use, namespace))


def make_rq_user(url: str, namespace: str) -> str:
    """Likewise the user for RQ's Redis."""
    return _made(url, rq_rule(namespace, password=PASSWORD), rq_user_name(namespace))


def _made(url: str, command: str, name: str) -> str:
    with redis.Redis.from_url(url) as client:
        client.execute_command(*command.split())
        if client.config_get("aclfile").get("aclfile"):
            client.acl_save()
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{name}:{quote(PASSWORD, safe='')}@{rest.rpartition('@')[2]}"


def refused(url: str) -> list[str]:
    """What this Redis has refused its users so far: `user: command or key`."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return [f"{each['username']}: {each['object']}" for each in client.acl_log()]


class WorkersScheduler(Scheduler):
    """A scheduler that works as a worker's user, and verifies as an admin's. Who looks by its client is the test."""

    def __init__(self, url: str, namespace: str, **options: Any) -> None:
        self._url_of_test = url
        self._as_admin: Maintenance | None = None
        super().__init__(make_user(url, "worker", namespace), namespace, **options)

    def _connect(self) -> None:
        super()._connect()
        self._client = connect(self._url_of_test)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_url_of_test": self._url_of_test, "_as_admin": None}

    def _read(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        return self._admin()._read(commands)

    def verify(self, repair: bool = False) -> list[Difference]:
        return self._admin().verify(repair)

    def close(self) -> None:
        if self._as_admin is not None:
            self._as_admin.close()
        super().close()

    def _admin(self) -> Maintenance:
        if self._as_admin is None:
            self._as_admin = Maintenance(
                admins_url(self), self.namespace.name, clock=self._clock, prune_interval_seconds=None
            )
        return self._as_admin


def admins_url(scheduler: Scheduler) -> Any:
    """With which whoever is to do an admin's work on this scheduler's namespace reaches it, as an admin's user."""
    if isinstance(scheduler, WorkersScheduler):
        return make_user(scheduler._url_of_test, "admin", scheduler.namespace.name)
    return scheduler._url


def for_server(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments of `bsched server`, with the URL of its user where they name a Redis that knows users."""
    if not AS_USERS or "--redis" not in arguments:
        return arguments
    at = arguments.index("--redis") + 1
    if not arguments[at].startswith(("redis://", "unix://")):  # memory: has no users
        return arguments
    namespace = arguments[arguments.index("--namespace") + 1] if "--namespace" in arguments else "default"
    try:
        url = make_user(arguments[at], "server", namespace)
    except redis.RedisError:  # none is there, or not with this login
        return arguments
    return (*arguments[:at], url, *arguments[at + 1 :])

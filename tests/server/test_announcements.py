"""Each server process makes itself known, so that an operator sees which versions are at work."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from broker_sched import Scheduler, __version__
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.execution import one
from broker_sched.server import AppConfig, create_app
from broker_sched.server.announcements import announced
from tests.conftest import FakeClock, SchedulerFactory
from tests.harness import RedisProcess, ServerProcess
from tests.servers import until


def servers_of(scheduler: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scheduler.overview()["versions"]["servers"]
    return found


def test_a_server_tells_where_it_listens_and_which_version_it_is(server: ServerProcess) -> None:
    until(lambda: bool(server.call("overview")["versions"]["servers"]), "it is known")
    (told,) = server.call("overview")["versions"]["servers"]
    assert (told["address"], told["pid"], told["version"]) == (server.url, server.process.pid, __version__)
    assert told["host"] == socket.gethostname()
    assert told["started"] <= told["seen"]


def test_a_server_that_ends_is_known_no_more(own_redis: RedisProcess) -> None:
    looking = Scheduler(own_redis.url, "ending")

    async def act() -> None:
        app = create_app(AppConfig(own_redis.url, "ending"))
        async with app.running():
            while not await asyncio.to_thread(servers_of, looking):
                await asyncio.sleep(0.01)
            (told,) = await asyncio.to_thread(servers_of, looking)
            assert (told["address"], told["pid"]) == (None, os.getpid())

    asyncio.run(act())
    assert servers_of(looking) == []
    looking.close()


def test_it_goes_on_telling(own_redis: RedisProcess) -> None:
    async def act() -> None:
        app = create_app(AppConfig(own_redis.url, "again"))
        async with app.running(), announced(app.scheduler, "here", interval_seconds=0.01):
            seen = set()
            while len(seen) < 4:
                view = await app.scheduler.invoke(METHODS["overview"], {})
                seen |= {each["seen"] for each in view["versions"]["servers"]}

    asyncio.run(act())


def test_one_that_was_killed_is_forgotten_within_a_minute_or_so(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler = scheduler_factory()

    def announce(server: str) -> None:
        entry = '{"host": "h", "pid": 1, "version": "1", "address": null, "started": 0}'
        scheduler.drive(one(Call("announce_server", server=server, entry=entry)))

    announce("killed")
    clock.advance(59)
    announce("alive")
    assert [each["server"] for each in servers_of(scheduler)] == ["alive", "killed"]
    clock.advance(2)
    assert [each["server"] for each in servers_of(scheduler)] == ["alive"]
    announce("alive")
    assert list(scheduler._client.hgetall(scheduler.namespace.key("servers"))) == ["alive"]

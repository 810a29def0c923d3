"""Calls that only look and wait to begin are answered together, each as of after it was asked."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
import uvloop

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.errors import RedisUnavailable
from broker_sched.redis_backend.commands import RawCommand
from broker_sched.redis_backend.multiplexed_connection import open_connections
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.async_scheduler import LOOKS_AT_ONCE, AsyncScheduler

ASKERS = 200


class HeldConnection:
    """Keeps what looks send back until the test lets it go."""

    blocks = False

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.gate = asyncio.Event()
        self.gate.set()
        self.sends = 0
        self.is_broken = False

    async def send(self, commands: Sequence[RawCommand]) -> list[Any]:
        self.sends += 1
        await self.gate.wait()
        if self.is_broken:
            raise RedisUnavailable("It is away.")
        return await self._inner.send(commands)  # type: ignore[no-any-return]

    def drop(self, reason: str) -> None:
        self._inner.drop(reason)

    async def close(self) -> None:
        await self._inner.close()


class Site:
    """An AsyncScheduler whose looks can be held; workers' calls go another way."""

    def __init__(self, url: str) -> None:
        namespace = Namespace.named(f"t-{uuid.uuid4().hex[:12]}")
        opened = open_connections(url, namespace.prefix)
        self.held = HeldConnection(opened.calls)
        self.looking = AsyncScheduler(namespace, *opened._replace(calls=self.held))
        self.working = AsyncScheduler(namespace, *open_connections(url, namespace.prefix))

    async def add(self, family: str) -> None:
        await self.working.invoke(METHODS["add_task"], {"worker": "w", "task_id": family, "family": family})

    def ask(self, method: str = "families", **given: Any) -> asyncio.Task[Any]:
        return asyncio.create_task(self.looking.invoke(METHODS[method], given))

    async def held_looks(self, count: int) -> list[asyncio.Task[Any]]:
        """So many looks that have begun, of which no reply comes."""
        self.held.gate.clear()
        sent, looks = self.held.sends, [self.ask(limit=number + 1) for number in range(count)]
        while self.held.sends < sent + min(count, LOOKS_AT_ONCE):
            await asyncio.sleep(0)
        return looks

    async def close(self) -> None:
        await self.looking.close()
        await self.working.close()


def names(reply: Any) -> list[str]:
    return sorted(each["family"] for each in reply["families"])


@pytest.fixture
def url(real_redis_url: str) -> str:
    return real_redis_url


def test_many_who_ask_the_same_cost_as_one_and_see_what_happened_before_they_asked(url: str) -> None:
    async def run() -> None:
        site = Site(url)
        await site.add("A")
        await site.looking.invoke(METHODS["families"], {})
        alone = site.held.sends
        await site.looking.invoke(METHODS["families"], {})
        alone = site.held.sends - alone
        begun = await site.held_looks(LOOKS_AT_ONCE)
        early = [site.ask() for _ in range(ASKERS // 2)]
        await asyncio.sleep(0)
        await site.add("B")
        late = [site.ask() for _ in range(ASKERS // 2)]
        await asyncio.sleep(0)
        sent = site.held.sends
        site.held.gate.set()
        assert all(names(reply) == ["A", "B"] for reply in await asyncio.gather(*early, *late))
        await asyncio.gather(*begun)
        assert site.held.sends - sent <= (LOOKS_AT_ONCE + 1) * alone
        await site.close()

    uvloop.run(run())


def test_who_asks_after_a_look_has_begun_gets_another_one(url: str) -> None:
    async def run() -> None:
        site = Site(url)
        await site.add("A")
        await site.looking.configure()
        (first,) = await site.held_looks(1)
        sent = site.held.sends
        second = site.ask(limit=1)
        while site.held.sends == sent:  # it has begun likewise, though the first has no answer yet
            await asyncio.sleep(0)
        site.held.gate.set()
        await asyncio.gather(first, second)
        await site.add("B")
        assert names(await site.ask()) == ["A", "B"]
        await site.close()

    uvloop.run(run())


def test_other_arguments_get_their_own_answer(url: str) -> None:
    async def run() -> None:
        site = Site(url)
        await site.add("A")
        await site.add("B")
        await site.looking.configure()
        begun = await site.held_looks(LOOKS_AT_ONCE)
        asked = [site.ask("tasks", family=family) for family in ("A", "B", "A")]
        await asyncio.sleep(0)
        site.held.gate.set()
        replies = await asyncio.gather(*asked)
        assert [[task["task_id"] for task in reply["tasks"]] for reply in replies] == [["A"], ["B"], ["A"]]
        await asyncio.gather(*begun)
        await site.close()

    uvloop.run(run())


def test_one_who_goes_away_takes_no_answer_from_the_others_and_an_error_reaches_all(url: str) -> None:
    async def run() -> None:
        site = Site(url)
        await site.add("A")
        await site.looking.configure()
        begun = await site.held_looks(LOOKS_AT_ONCE)
        asked = [site.ask() for _ in range(3)]
        await asyncio.sleep(0)
        asked[0].cancel()
        site.held.gate.set()
        assert [names(reply) for reply in await asyncio.gather(*asked[1:])] == [["A"]] * 2
        await asyncio.gather(*begun)
        site.held.is_broken = True
        replies = await asyncio.gather(*(site.ask() for _ in range(3)), return_exceptions=True)
        assert [type(reply) for reply in replies] == [RedisUnavailable] * 3
        site.held.is_broken = False
        assert names(await site.ask()) == ["A"]
        await site.close()

    uvloop.run(run())

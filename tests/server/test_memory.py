"""What clients can make a server keep in memory: half-sent bodies and unread answers have a bound that all share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from broker_sched.scheduler.async_scheduler import VIEWS_AT_ONCE
from broker_sched.server import api as api_module
from broker_sched.server import budget as budget_module
from broker_sched.server.api import Api
from broker_sched.server.budget import Budget
from broker_sched.server.requests import MAX_BODY_BYTES
from broker_sched.server.responses import RequestRefused
from tests.harness import RedisProcess, ServerProcess
from tests.server.access.asgi import ANONYMOUS
from tests.server.raw import HOST, connected, get, until_closed
from tests.servers import until

Start = Callable[..., ServerProcess]
MEGABYTE = 2**20


def test_half_sent_bodies_share_a_bound_and_do_not_hold_up_the_end(
    own_redis: RedisProcess, start_server: Start
) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "half").await_ready()
    memory = psutil.Process(server.process.pid).memory_info
    before, links = memory().rss, []
    head = b"POST /api/ping HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    for number in range(16):
        link = connected(server)
        link.sendall(head + b"Content-Length: %d\r\n\r\n" % MAX_BODY_BYTES)
        link.settimeout(5 if number < 3 else 0.3)
        with contextlib.suppress(TimeoutError, socket.timeout):
            link.sendall(b" " * (MAX_BODY_BYTES - 1))
        links.append(link)
    assert server.call("ping", worker="w") == {"rpc_messages": []}, "a small call has room"
    assert memory().rss - before < 10 * MAX_BODY_BYTES, "16 of them would take 512 MB"
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 10
    for link in links:
        link.close()


class Views:
    """A scheduler whose every view is so long."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.asked = 0

    async def invoke(self, method: Any, arguments: Any, request: Any = None) -> Any:
        self.asked += 1
        return [{"text": "x" * 1000}] * (self._size // 1000)


class Reader:
    """A client that asks for a listing, and takes what it is sent only when it is told to."""

    def __init__(self, api: Api) -> None:
        self.got = 0
        self.started: Any = None
        self._may_take = asyncio.Event()
        request = {"type": "http", "method": "GET", "path": "/api/worker_list", "query_string": b"", "headers": []}
        scope = {**request, "state": ANONYMOUS}
        self.task = asyncio.create_task(api("worker_list", scope, self._receive, self._send))

    async def _receive(self) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.started = message["status"]
            return
        await self._may_take.wait()
        self.got += len(message["body"])

    def read_on(self) -> None:
        self._may_take.set()


async def settled() -> None:
    for _ in range(300):
        await asyncio.sleep(0)


def test_answers_that_nobody_reads_share_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "ANSWERS_BYTES", 7 * MEGABYTE)

    async def act() -> None:
        scheduler = Views(2 * MEGABYTE)
        api = Api(scheduler)  # type: ignore[arg-type]  # all of it that is used
        readers = [Reader(api) for _ in range(10)]
        await settled()
        assert [reader.started for reader in readers].count(200) == 3
        assert scheduler.asked <= 3 + VIEWS_AT_ONCE, "no more are made than there will soon be room for"
        readers[0].read_on()
        await settled()
        assert [reader.started for reader in readers].count(200) == 4
        for reader in readers:
            reader.read_on()
        await asyncio.wait_for(asyncio.gather(*(reader.task for reader in readers)), 20)
        assert {reader.got for reader in readers} == {readers[0].got} and readers[0].got > 2 * MEGABYTE

    asyncio.run(act())


def test_who_waits_too_long_for_room_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "ANSWERS_BYTES", 3 * MEGABYTE)
    monkeypatch.setattr(budget_module, "WAIT_SECONDS", 0.05)

    async def act() -> None:
        api = Api(Views(2 * MEGABYTE))  # type: ignore[arg-type]  # all of it that is used
        first, second = Reader(api), Reader(api)
        while second.started is None:
            await asyncio.sleep(0.01)
        assert (first.started, second.started) == (200, 503)
        for reader in (first, second):
            reader.read_on()
            await reader.task

    asyncio.run(act())


def test_a_reader_that_goes_gives_its_share_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "ANSWERS_BYTES", 3 * MEGABYTE)

    async def act() -> None:
        api = Api(Views(2 * MEGABYTE))  # type: ignore[arg-type]  # all of it that is used
        gone, other = Reader(api), Reader(api)
        await settled()
        gone.task.cancel()
        other.read_on()
        await asyncio.wait_for(other.task, 20)
        assert other.got > 2 * MEGABYTE

    asyncio.run(act())


def test_a_budget_serves_in_order_and_forgets_who_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act() -> None:
        budget = Budget(10)
        assert await budget.take(100) == 10, "what is larger than all takes all"
        large, small = asyncio.create_task(budget.take(9)), asyncio.create_task(budget.take(1))
        await settled()
        budget.give_back(5)
        await settled()
        assert not small.done(), "it came later"
        large.cancel()
        assert await small == 1
        monkeypatch.setattr(budget_module, "WAIT_SECONDS", 0.05)
        with pytest.raises(RequestRefused, match="Try again"):
            await budget.take(9)
        budget.give_back(6)
        assert await budget.take(10) == 10

    asyncio.run(act())


def test_who_goes_just_when_it_is_served_keeps_nothing() -> None:
    async def act() -> None:
        budget = Budget(10)
        await budget.take(10)
        gone = asyncio.create_task(budget.take(10))
        await settled()
        budget.give_back(10)  # which serves it
        gone.cancel()
        await asyncio.wait({gone})
        assert gone.cancelled()
        assert await asyncio.wait_for(budget.take(10), 5) == 10

    asyncio.run(act())


def test_a_long_answer_comes_whole_and_the_connection_goes_on(server: ServerProcess) -> None:
    tasks = [{"task_id": f"whole_{n}", "family": "Whole", "params": {"p": "é" * 500}} for n in range(2000)]
    for start in range(0, 2000, 500):
        server.call("add_tasks", worker="whole", tasks=tasks[start : start + 500])
    with connected(server) as link:
        link.sendall(
            get(b"/api/task_list?data={%22search%22:%22Whole%22}") + get(b"/healthz", b"Connection: close\r\n")
        )
        said = until_closed(link)
    head, _, rest = said.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert length > MEGABYTE and rest[length:].startswith(b"HTTP/1.1 200") and rest.endswith(b'{"alive":true}')
    until(lambda: len(server.call("task_list", search="Whole")) == 2000, "all are listed")

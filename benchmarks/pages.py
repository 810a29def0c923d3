"""Open pages: what they cost a server and Redis while tasks change all the time, and how soon they hear of a change."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from benchmarks.callers import KeptConnection
from benchmarks.loading import SPAWN
from benchmarks.processes import Redis, go_behind
from broker_sched import Scheduler

CHANGES_A_SECOND = 100
ASKED = ("overview", "failures")  # what the first view of the page shows
WAITING_SECONDS = 120.0
WORKER, TASKS = "changer", 1000
_numbers = itertools.count()  # of tasks that pages hear of


@contextlib.contextmanager
def open_pages(port: int, count: int) -> Iterator[None]:
    """So many pages listen to a server, and ask anew as it tells them to, as long as the block lasts.

    They go behind all others for the processor, as if they were on other machines.
    """
    with _process(_be_pages, port, count):
        yield


@contextlib.contextmanager
def changing(redis_url: str, namespace: str) -> Iterator[None]:
    """Tasks change their status 100 times a second, straight in Redis, as long as the block lasts."""
    with _process(_change, redis_url, namespace):
        yield


def times_to_hear(port: int, redis_url: str, namespace: str, count: int) -> list[float]:
    """Seconds from the end of a script that changes a task to when a page hears of it, for so many changes."""
    return asyncio.run(_times_to_hear(port, Scheduler(redis_url, namespace), count))


def commands_of_streams(redis: Redis, seconds: float) -> float:
    """How many commands a second Redis is sent by what reads the changes for pages."""
    found, began = 0, time.monotonic()
    with redis.client.monitor() as monitor:
        for command in monitor.listen():
            if (passed := time.monotonic() - began) >= seconds:
                return found / passed
            text = command["command"].upper()
            found += command["client_type"] != "lua" and (text.startswith("XREAD ") or "COUNTERS TASK" in text)
    return 0.0


@contextlib.contextmanager
def _process(run: Any, *arguments: Any) -> Iterator[None]:
    has_begun, is_over = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=run, args=(*arguments, has_begun, is_over))
    process.start()
    try:
        if not has_begun.wait(WAITING_SECONDS):
            raise RuntimeError(f"{run.__name__} does not begin.")
        yield
    finally:
        is_over.set()
        process.join()


def _change(redis_url: str, namespace: str, has_begun: Any, is_over: Any) -> None:
    scheduler = Scheduler(redis_url, namespace)
    began = time.monotonic()
    for number in itertools.count():
        if is_over.wait(max(0.0, began + number / CHANGES_A_SECOND - time.monotonic())):
            return
        status = ("DONE", "FAILED")[number // TASKS % 2]
        scheduler.add_task(worker=WORKER, task_id=f"changes-{number % TASKS}", family="Changes", status=status)
        has_begun.set()


def _be_pages(port: int, count: int, has_begun: Any, is_over: Any) -> None:
    go_behind()
    asyncio.run(_be_all_pages(port, count, has_begun, is_over))


async def _be_all_pages(port: int, count: int, has_begun: Any, is_over: Any) -> None:
    settled = asyncio.Semaphore(0)
    pages = [asyncio.create_task(_be_page(port, settled)) for _ in range(count)]
    for _ in pages:
        await settled.acquire()
    has_begun.set()
    await asyncio.to_thread(is_over.wait)
    for page in pages:
        page.cancel()
    await asyncio.gather(*pages, return_exceptions=True)


async def _be_page(port: int, settled: asyncio.Semaphore) -> None:
    """What live.js and api.js do: listen, and ask anew at the pace that the server tells.

    settled: released when it has asked twice, the second time at its own pace: no longer together with all others that
    were opened at the same moment.
    """
    latest: dict[str, Any] = {}
    is_due = asyncio.Event()

    async def ask() -> None:
        connection = await KeptConnection.open(port)
        for number in itertools.count(1):
            await is_due.wait()
            is_due.clear()
            for method in ASKED:
                await connection.post(method, b"{}", f"Bsched-Seen: {latest['seen']}\r\n")
            if number == 2:
                settled.release()
            await asyncio.sleep(max(0.25, latest["pace_seconds"] * random.uniform(0.75, 1.25)))

    asking = asyncio.create_task(ask())
    try:
        async for name, told in _events(port):
            if name in ("change", "reset"):
                latest |= told
                is_due.set()
    finally:
        asking.cancel()


async def _events(port: int) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The events of a stream: their names, and what they tell."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        while True:
            size = int(await reader.readline(), 16)
            block = (await reader.readexactly(size + 2)).decode()
            for event in block.split("\n\n"):
                fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
                if "event" in fields:
                    yield fields["event"], json.loads(fields["data"])
    finally:
        writer.close()


async def _times_to_hear(port: int, scheduler: Scheduler, count: int) -> list[float]:
    found = []
    events = _events(port)
    await anext(events)
    for _ in range(count):
        task_id = f"heard-{next(_numbers)}"
        await asyncio.to_thread(scheduler.add_task, worker=WORKER, task_id=task_id, family="Heard", status="FAILED")
        changed_at = time.perf_counter()
        async for _, told in events:
            # Of very many tasks that changed, only their families are told.
            if task_id in told.get("tasks", ()) or ("Heard" in told.get("families", ()) and not told["complete"]):
                break
        found.append(time.perf_counter() - changed_at)
    await events.aclose()
    return found

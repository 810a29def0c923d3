"""A thousand workers at two servers. Each pings once a second, takes a task, runs it for some seconds, reports it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import capacity
from benchmarks.bench import Bench, Result
from benchmarks.callers import KeptConnection
from benchmarks.loading import SPAWN
from benchmarks.processes import Redis
from benchmarks.reading import percentile

SERVERS = 2
PROCESSES = 2  # that are workers
RUN_SECONDS = (2.0, 6.0)  # of a task
SETTLE_SECONDS = 5.0  # not measured: all workers begin
PING_SECONDS = 1.0
MOST_OFF = 1.3  # times as busy as foretold, or as little


def row(bench: Bench) -> Iterator[Result]:
    """How long get_work takes fleets of three sizes; whether the smallest foretells how busy Redis is otherwise."""
    scale, redis = bench.scale, bench.redis()
    beside: float | None = None  # what calls of a fleet cost, by what those of a single caller do
    for count in (scale.workers // 4, scale.workers // 2, scale.workers):
        load = capacity.Load(count, sum(RUN_SECONDS) / 2, PING_SECONDS)
        namespace = f"fleet-{count}"
        costs = capacity.measure(redis, load.calls, f"costs-{count}")
        bench.fill(redis, namespace, "flat", int(load.cycles * (scale.fleet_seconds + SETTLE_SECONDS) * 1.5) + count)
        ports = [bench.server(redis, namespace) for _ in range(SERVERS)]
        bench.say(f"{count:,} workers at {SERVERS} servers for {scale.fleet_seconds:.0f} s")
        times, pings, busy = _measure(redis, ports, count, scale.fleet_seconds)
        worst, what = percentile(times, 0.99), f"{count:,} workers at {SERVERS} servers"
        rates = (
            f"{len(times) / scale.fleet_seconds:,.0f} get_work and {pings / scale.fleet_seconds:,.0f} pings a second"
        )
        ours = f"{worst * 1000:.1f} ms (median {percentile(times, 0.5) * 1000:.1f}; {rates})"
        yield Result(f"get_work, HTTP, {what}: 99th percentile", "≤ 50 ms", ours, "", "", worst <= 0.05)
        alone = load.busy(costs)
        if beside is None:  # this fleet says what calls cost where servers and workers share the processor
            beside = busy / alone
            what = f"calls of {what} take Redis ÷ those of a single caller"
            yield Result(what, "", f"{busy:.1%} ÷ {alone:.1%} of its time", "", f"{beside:.2f}", True)
            continue
        ratio = busy / (beside * alone)
        ours = f"{busy:.1%} ÷ {beside * alone:.1%} of its time"
        what = f"how busy Redis is with {what} ÷ foretold"
        yield Result(what, f"≤ {MOST_OFF:g}", ours, "", f"{ratio:.2f}", 1 / MOST_OFF <= ratio <= MOST_OFF)


def _measure(redis: Redis, ports: list[int], count: int, seconds: float) -> tuple[list[float], int, float]:
    """Let so many workers work. Returns how long each get_work took (s), the pings, and how busy Redis was."""
    begun, busy = SPAWN.Event(), 0.0
    with SPAWN.Pool(PROCESSES, _note_begun, (begun,)) as pool:
        told = pool.starmap_async(
            _be_workers, [(ports, each, count // PROCESSES, seconds) for each in range(PROCESSES)]
        )
        begun.wait()
        time.sleep(SETTLE_SECONDS + 1)
        before, since = capacity.main_thread_seconds(redis), time.monotonic()
        time.sleep(seconds / 2)
        busy = (capacity.main_thread_seconds(redis) - before) / (time.monotonic() - since)
        asked = told.get()
    return [each for times, _ in asked for each in times], sum(pings for _, pings in asked), busy


def _note_begun(begun: Any) -> None:
    begun.set()


def _be_workers(ports: list[int], process: int, count: int, seconds: float) -> tuple[list[float], int]:
    """Be so many workers. Returns how long each get_work took (s), and how many pings there were."""
    return asyncio.run(_run_workers(ports, process, count, seconds))


async def _run_workers(ports: list[int], process: int, count: int, seconds: float) -> tuple[list[float], int]:
    measured_from = time.monotonic() + SETTLE_SECONDS
    until = measured_from + seconds
    workers = [_Worker(f"fleet-{process}-{number}", ports[number % len(ports)]) for number in range(count)]
    await asyncio.gather(*(each.run(measured_from, until) for each in workers))
    return [each for worker in workers for each in worker.times], sum(each.pings for each in workers)


class _Worker:
    """One of them. It takes what others scheduled, pings over a connection of its own, as luigi's does."""

    def __init__(self, name: str, port: int) -> None:
        self._name = name
        self._port = port
        self._random = random.Random(name)
        self.times: list[float] = []
        self.pings = 0

    async def run(self, measured_from: float, until: float) -> None:
        await asyncio.sleep(self._random.uniform(0, SETTLE_SECONDS - 1))
        await asyncio.gather(self._work(measured_from, until), self._ping(measured_from, until))

    async def _work(self, measured_from: float, until: float) -> None:
        connection = await KeptConnection.open(self._port)
        while (began := time.monotonic()) < until:
            work = await connection.call("get_work", worker=self._name, assistant=True, current_tasks=[])
            if began >= measured_from:
                self.times.append(time.monotonic() - began)
            await asyncio.sleep(self._random.uniform(*RUN_SECONDS))
            if work["task_id"] is not None:
                await connection.call("add_task", worker=self._name, task_id=work["task_id"], status="DONE")
        connection.close()

    async def _ping(self, measured_from: float, until: float) -> None:
        connection = await KeptConnection.open(self._port)
        while (now := time.monotonic()) < until:
            await connection.call("ping", worker=self._name)
            self.pings += now >= measured_from
            await asyncio.sleep(PING_SECONDS)
        connection.close()

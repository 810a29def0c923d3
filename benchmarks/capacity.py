"""What a fleet asks of Redis: a model of costs, and a simulation of the calls that wait for its one thread.

    python -m benchmarks.capacity --workers 5000 --task-seconds 30

The costs are measured here, of a Redis that shares the processor with nothing but its one caller. What a fleet takes,
and what is foretold of a larger one from that, is in benchmarks/many_workers.py; docs/scaling.md says what follows.
"""

from __future__ import annotations

import heapq
import itertools
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.loading import worker_ids
from benchmarks.processes import Redis
from benchmarks.reading import percentile
from benchmarks.tasks import flat
from broker_sched import Scheduler

CALLS = 1500  # of each method, of which the cost is the mean
SIMULATED_SECONDS = 60.0
TASK_BYTES = 1400  # of a pending task, with its share of every index: `python -m benchmarks --only memory`
SELDOM = 300.0  # calls a second: one that is called less often costs no more
BUSY_AT_MOST = 0.5  # of a primary's time: above, calls wait for each other, and a rewrite of its file is felt


@dataclass(frozen=True)
class Costs:
    """Seconds of the main thread of Redis for a call, with all that reading and answering takes it."""

    get_work: float
    done: float
    ping: float


@dataclass(frozen=True)
class Load:
    """A fleet. task_seconds: how long a task runs, at random up to half more or less. ping_seconds: between two."""

    workers: int
    task_seconds: float
    ping_seconds: float = 1.0

    @property
    def cycles(self) -> float:
        """Tasks a second."""
        return self.workers / self.task_seconds

    @property
    def calls(self) -> float:
        """Calls a second."""
        return 2 * self.cycles + self.workers / self.ping_seconds

    def busy(self, costs: Costs) -> float:
        """Return the part of its time for which Redis works: 1.0 is all of it."""
        return self.cycles * (costs.get_work + costs.done) + self.workers / self.ping_seconds * costs.ping


def main_thread_seconds(redis: Redis) -> float:
    """Return the processor time that the main thread of Redis has taken."""
    told: Any = redis.client.info("cpu")
    return float(told["used_cpu_user_main_thread"]) + float(told["used_cpu_sys_main_thread"])


def measure(redis: Redis, calls: float, namespace: str = "costs") -> Costs:
    """Return what calls cost this Redis, straight to it: of workers that each take one task, and report it.

    calls: so many a second. A Redis that is called seldom needs twice as long for each: others have used the
    processor's caches meanwhile.
    """
    scheduler = Scheduler(redis.url, namespace, prune_interval_seconds=None)
    workers = worker_ids(CALLS)
    for number, worker in enumerate(workers):
        scheduler.add_worker(worker=worker, info={"workers": 1, "host": "build-7", "username": "etl"})
        scheduler.add_task(worker=worker, **flat(number, CALLS))

    def cost(call: Callable[[str], object]) -> float:
        before, began = main_thread_seconds(redis), time.monotonic()
        for number, worker in enumerate(workers):
            time.sleep(max(0.0, began + number / max(calls, SELDOM) - time.monotonic()))
            call(worker)
        return (main_thread_seconds(redis) - before) / len(workers)

    handed = dict[str, str]()
    cost(lambda worker: scheduler.ping(worker=worker))  # for which scripts are loaded
    get_work = cost(lambda worker: handed.update({worker: scheduler.get_work(worker=worker)["task_id"]}))
    done = cost(lambda worker: scheduler.add_task(worker=worker, task_id=handed[worker], status="DONE"))
    ping = cost(lambda worker: scheduler.ping(worker=worker))
    scheduler.close()
    return Costs(get_work, done, ping)


def simulate(costs: Costs, load: Load, seconds: float = SIMULATED_SECONDS, seed: int = 0) -> tuple[float, float]:
    """Let a fleet call Redis, which answers one call after the other.

    Returns the part of its time for which it works, and the 99th percentile (s) of how long a get_work takes, the
    network left out.
    """
    draw = random.Random(seed)
    order = itertools.count()  # of events at the same moment
    events: list[tuple[float, int, str]] = []

    def plan(at: float, method: str) -> None:
        heapq.heappush(events, (at, next(order), method))

    for _ in range(load.workers):
        plan(draw.uniform(0, load.task_seconds), "done")
        plan(draw.uniform(0, load.ping_seconds), "ping")
    free_at, worked, times = 0.0, 0.0, list[float]()
    while events and events[0][0] < seconds:
        at, _, method = heapq.heappop(events)
        cost = getattr(costs, method)
        free_at = max(free_at, at) + cost
        worked += cost
        if method == "ping":
            plan(free_at + load.ping_seconds, "ping")
        elif method == "done":
            plan(free_at, "get_work")
        else:
            times.append(free_at - at)
            plan(free_at + load.task_seconds * draw.uniform(0.5, 1.5), "done")
    return worked / seconds, percentile(times, 0.99)


@click.command()
@click.option("--workers", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--task-seconds", type=click.FloatRange(0.01), default=10.0, show_default=True, help="How long one runs.")
@click.option("--ping-seconds", type=click.FloatRange(0.1), default=1.0, show_default=True)
@click.option("--pending", type=click.IntRange(0), default=1_000_000, show_default=True, help="Tasks at once.")
def main(workers: int, task_seconds: float, ping_seconds: float, pending: int) -> None:
    """Say what this fleet asks of Redis, by what calls cost the one that is started here."""
    load = Load(workers, task_seconds, ping_seconds)
    with tempfile.TemporaryDirectory() as directory:
        redis = Redis(Path(directory) / "redis")
        try:
            costs = measure(redis, load.calls)
        finally:
            redis.stop()
    busy = load.busy(costs)
    for name, cost in vars(costs).items():
        click.echo(f"{name:9}{cost * 1e6:7.0f} µs of Redis")
    click.echo(f"{load.cycles:,.0f} tasks a second, {load.cycles * 86_400:,.0f} a day")
    click.echo(f"Redis works for {busy:.0%} of its time; {pending * TASK_BYTES / 1e9:,.1f} GB for the tasks")
    if busy < 1:
        click.echo(f"99 % of get_work take it less than {simulate(costs, load)[1] * 1000:.2f} ms")
    primaries = max(1, -int(-busy // BUSY_AT_MOST))
    click.echo(f"{primaries} primaries, each with namespaces of its own, at most {BUSY_AT_MOST:.0%} busy")


if __name__ == "__main__":
    main()

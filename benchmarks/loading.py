"""Fills both schedulers with the same tasks: ours through several processes, luigid through a state file."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.processes import OPTIONS
from benchmarks.tasks import BATCHER, LIMITS, SHAPES, holders
from broker_sched import Scheduler

PROCESSES = 4
TOGETHER = 500  # tasks in one add_tasks
WORKER = "Worker(salt=0123456789, workers=1, host=build-7, username=etl, pid=4711)"
SPAWN = multiprocessing.get_context("spawn")  # a fork would share connections


def worker_ids(count: int) -> list[str]:
    """Ids as Luigi makes them."""
    return [WORKER.replace("4711", str(4711 + number)) for number in range(count)]


def prepare(scheduler: Any, shape: str, workers: Iterable[str]) -> None:
    """Register the workers, with what they batch; for resources also limits, and a worker that holds half of them."""
    for worker in workers:
        scheduler.add_worker(worker=worker, info={"workers": 1, "host": "build-7", "username": "etl"})
    if shape == "batchable":
        for worker in workers:
            scheduler.add_task_batcher(worker=worker, **BATCHER)
    if shape != "resources":
        return
    scheduler.update_resources(**LIMITS)
    holding = WORKER.replace("4711", "1")
    scheduler.add_worker(worker=holding, info={"workers": len(list(holders()))})
    for holder in holders():
        scheduler.add_task(worker=holding, **holder)
    running: list[str] = []
    for _ in holders():
        running.append(scheduler.get_work(worker=holding, current_tasks=running)["task_id"])


def fill(redis_url: str, namespace: str, shape: str, count: int, workers: int = 1) -> None:
    """Fill a namespace of ours; every task is added by each of the workers."""
    scheduler = Scheduler(redis_url, namespace, **OPTIONS)
    prepare(scheduler, shape, worker_ids(workers))
    processes = 1 if count <= 1000 else PROCESSES
    shares = [(redis_url, namespace, shape, count, workers, first, processes) for first in range(processes)]
    if processes == 1:
        _add_share(*shares[0])
        return
    with SPAWN.Pool(processes) as pool:
        pool.starmap(_add_share, shares)


def _add_share(redis_url: str, namespace: str, shape: str, count: int, workers: int, first: int, step: int) -> None:
    scheduler, numbers = Scheduler(redis_url, namespace), range(first, count, step)
    for start in range(0, len(numbers), TOGETHER):
        tasks = [SHAPES[shape](number, count) for number in numbers[start : start + TOGETHER]]
        for worker in worker_ids(workers):
            scheduler.add_tasks(worker=worker, tasks=tasks)


def luigid_state(path: Path, shape: str, count: int, workers: int = 1) -> Path:
    """Write the state that luigid has after the same calls."""
    from luigi.scheduler import Scheduler as Reference

    reference: Any = Reference  # luigi has no types
    scheduler = reference(state_path=str(path), **OPTIONS)
    prepare(scheduler, shape, worker_ids(workers))
    for number in range(count):
        task = SHAPES[shape](number, count)
        for worker in worker_ids(workers):
            scheduler.add_task(worker=worker, **task)
    scheduler.dump()
    return path

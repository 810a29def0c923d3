"""Stop watches: how long single calls take, and how many cycles several clients get through."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

from benchmarks.callers import Caller, open_caller
from benchmarks.loading import SPAWN, worker_ids
from benchmarks.tasks import SHAPES

BARRIER_SECONDS = 120


class Site:
    """One scheduler filled with tasks, and the numbers of the tasks that come on top."""

    def __init__(self, shape: str, size: int, workers: int = 1) -> None:
        self.shape = shape
        self.size = size  # pending tasks
        self.workers = worker_ids(workers)
        self._numbers: Iterator[int] = count(size)

    def new_task(self) -> dict[str, Any]:
        """The arguments of add_task for one more task."""
        return SHAPES[self.shape](next(self._numbers), self.size)

    def time_get_work(self, caller: Caller, samples: int) -> list[float]:
        """Seconds of each get_work. What it gave is finished and replaced in between, off the clock."""
        worker, found = self.workers[0], []
        for _ in range(samples):
            seconds, tasks = time_of_get_work(caller, worker)
            found.append(seconds)
            for _ in range(tasks):
                caller.call("add_task", worker=worker, **self.new_task())
        return found

    def time_add_task(self, caller: Caller, samples: int) -> list[float]:
        """Seconds of each add_task of a new task."""
        worker, found = self.workers[0], []
        for _ in range(samples):
            add_task = caller.prepare("add_task", worker=worker, **self.new_task())
            started = time.perf_counter()
            reply = add_task()
            found.append(time.perf_counter() - started)
            caller.result_of(reply)
        return found

    def refill(self, caller: Caller, tasks: int) -> None:
        """Add so many new tasks for all workers."""
        for _ in range(tasks):
            task = self.new_task()
            for worker in self.workers:
                caller.call("add_task", worker=worker, **task)


def time_of_get_work(caller: Caller, worker: str) -> tuple[float, int]:
    """Seconds of one get_work, and how many tasks it gave. These are reported afterwards, off the clock."""
    get_work = caller.prepare("get_work", worker=worker, host="build-7", assistant=False, current_tasks=[])
    started = time.perf_counter()
    reply = get_work()
    seconds = time.perf_counter() - started
    return seconds, finish(caller, worker, caller.result_of(reply))


def finish(caller: Caller, worker: str, reply: dict[str, Any]) -> int:
    """Report what get_work gave as DONE, as Luigi's worker does; returns how many tasks that were."""
    task_id, batch = reply["task_id"], reply.get("batch_task_ids", ())
    if batch:
        task_id = f"Combined_{reply['batch_id']}"
        caller.call("add_task", worker=worker, task_id=task_id, status="RUNNING", batch_id=reply["batch_id"])
    if task_id is None:
        raise RuntimeError(f"There is no work left: {reply}")
    caller.call(
        "add_task",
        worker=worker,
        task_id=task_id,
        status="DONE",
        family=reply["task_family"],
        module=reply["task_module"],
        params=reply["task_params"],
        runnable=None,
        deps=None,
        resources={},
        new_deps=[],
        expl="null",
        assistant=False,
        retry_policy_dict={"retry_count": None, "disable_hard_timeout": None, "disable_window": None},
    )
    return len(batch) or 1


class Rate(NamedTuple):
    """So many cycles took all clients together so long."""

    cycles: int
    seconds: float


def cycles(target: int | tuple[str, str], workers: list[str], each: int) -> Rate:
    """get_work + DONE, `each` times in each of several client processes that start together, and once before."""
    barrier = SPAWN.Barrier(len(workers))
    results: Any = SPAWN.Queue()
    clients = [SPAWN.Process(target=_client, args=(target, worker, each, barrier, results)) for worker in workers]
    for client in clients:
        client.start()
    spans = [results.get(timeout=600) for _ in clients]
    for client in clients:
        client.join()
    return Rate(each * len(workers), max(end for _, end in spans) - min(start for start, _ in spans))


def _client(target: int | tuple[str, str], worker: str, each: int, barrier: Any, results: Any) -> None:
    caller = open_caller(target)

    def cycle() -> None:
        reply = caller.call("get_work", worker=worker, host="build-7", assistant=False, current_tasks=[])
        finish(caller, worker, reply)

    cycle()  # which makes the scripts
    barrier.wait(BARRIER_SECONDS)
    started = time.monotonic()
    for _ in range(each):
        cycle()
    results.put((started, time.monotonic()))

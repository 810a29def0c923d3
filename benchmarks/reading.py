"""What operators' questions cost, and whether get_work waits for them: many tasks in many families, all states."""

from __future__ import annotations

import contextlib
import http.client
import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.callers import Caller, open_caller
from benchmarks.loading import PROCESSES, SPAWN, worker_ids
from benchmarks.processes import OPTIONS, go_behind
from benchmarks.tasks import flat
from benchmarks.timing import finish, time_of_get_work
from broker_sched import Scheduler

FAMILIES = 200
TOGETHER = 500  # tasks in one add_tasks
RUNS = 10  # of each family, so that it has run times
HUB = "Hub"  # a task with many deps
HUB_DEPS = 20_000
WAITING_SECONDS = 60.0
Target = int | tuple[str, str]


class Question(NamedTuple):
    """A call that only looks."""

    what: str
    method: str
    arguments: dict[str, Any]
    within_ms: int = 200


QUESTIONS = (
    Question("overview", "overview", {}),
    Question("families", "families", {}),
    Question("tasks, the newest 50", "tasks", {}),
    Question("tasks, the oldest 50 that FAILED", "tasks", {"status": "FAILED", "order": "oldest"}),
    Question("tasks, 1,000 of a family", "tasks", {"family": "Family7", "limit": 1000}),
    Question("tasks, a filter without an index", "tasks", {"params": {"number": "none has it"}}),
    Question("failures of the last hour", "failures", {}),
    Question("workers", "workers", {}),
    Question("events", "events", {}),
    Question("one task", "task_details", {"task_id": HUB}),
    Question(f"why a task with {HUB_DEPS:,} deps waits", "why", {"task_id": HUB}, within_ms=100),
    Question(f"the graph of a task with {HUB_DEPS:,} deps", "condensed_graph", {"task_id": HUB}),
)
ASKED_WITHOUT_PAUSE = QUESTIONS[:3]


def task(number: int) -> dict[str, Any]:
    """One of many: of ten, six are READY, two WAITING, two DONE; one of 200 has FAILED."""
    made = flat(number, 0) | {"family": f"Family{number % FAMILIES}"}
    if number % 10 in (3, 7):
        made["deps"] = [flat(number - 1, 0)["task_id"]]
    elif number % 200 == 100:
        made |= {"status": "FAILED", "expl": '"Traceback:\\n  in run\\nOSError: no space left on device"'}
    elif number % 10 in (1, 5):
        made["status"] = "DONE"
    return made


def fill(redis_url: str, namespace: str, count: int) -> None:
    """Fill a namespace, through several processes, and let each family have some runs."""
    scheduler = Scheduler(redis_url, namespace, **OPTIONS)
    for worker in worker_ids(1):
        scheduler.add_worker(worker=worker, info={"workers": 4, "host": "build-7"})
    size = -(-count // PROCESSES)
    shares = [(redis_url, namespace, start, min(start + size, count)) for start in range(0, count, size)]
    with SPAWN.Pool(PROCESSES) as pool:
        pool.starmap(_add_share, shares)
    deps = [task(number)["task_id"] for number in range(min(HUB_DEPS, count))]
    scheduler.add_task(worker=worker_ids(1)[0], task_id=HUB, family=HUB, deps=deps)
    caller = open_caller((redis_url, namespace))
    for _ in range(min(FAMILIES * RUNS, count // 10)):
        finish(caller, worker_ids(1)[0], _get_work(caller))


def _add_share(redis_url: str, namespace: str, start: int, stop: int) -> None:
    scheduler = Scheduler(redis_url, namespace)
    [worker] = worker_ids(1)
    for first in range(start, stop, TOGETHER):
        scheduler.add_tasks(worker=worker, tasks=[task(n) for n in range(first, min(first + TOGETHER, stop))])


def _get_work(caller: Caller) -> dict[str, Any]:
    found: dict[str, Any] = caller.call("get_work", worker=worker_ids(1)[0], host="build-7", current_tasks=[])
    return found


def times_of(caller: Caller, question: Question, samples: int) -> list[float]:
    """Seconds of each call."""
    found = []
    for _ in range(samples):
        ask = caller.prepare(question.method, **question.arguments)
        started = time.perf_counter()
        reply = ask()
        found.append(time.perf_counter() - started)
        caller.result_of(reply)
    return found


def times_of_scrape(port: int, samples: int) -> list[float]:
    """Seconds of each GET /metrics, one after the other."""
    connection, found = http.client.HTTPConnection("127.0.0.1", port), []
    for _ in range(samples):
        started = time.perf_counter()
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        answer.read()
        found.append(time.perf_counter() - started)
        if answer.status != 200:
            raise RuntimeError(f"GET /metrics was answered with {answer.status}.")
    return found


def times_of_get_work(target: Target, samples: int) -> list[float]:
    """Seconds of each get_work of one client. Its task is reported in between, off the clock."""
    caller, found = open_caller(target), []
    [worker] = worker_ids(1)
    for _ in range(samples):
        found.append(time_of_get_work(caller, worker)[0])
    return found


@contextlib.contextmanager
def asked_without_pause(target: Target) -> Iterator[None]:
    """One client asks overview, families and tasks in turn, without a pause, as long as the block lasts.

    It goes behind all others for the processor, as if it were on another machine.
    """
    has_begun, is_over = SPAWN.Event(), SPAWN.Event()
    asker = SPAWN.Process(target=_ask, args=(target, has_begun, is_over))
    asker.start()
    try:
        if not has_begun.wait(WAITING_SECONDS):
            raise RuntimeError("The client that asks without pause does not start.")
        yield
    finally:
        is_over.set()
        asker.join()


def _ask(target: Target, has_begun: Any, is_over: Any) -> None:
    go_behind()
    caller = open_caller(target)
    while not is_over.is_set():
        for question in ASKED_WITHOUT_PAUSE:
            caller.prepare(question.method, **question.arguments)()
            has_begun.set()


def percentile(times: list[float], share: float) -> float:
    """The shortest that this share of them does not exceed."""
    return sorted(times)[math.ceil(len(times) * share) - 1]

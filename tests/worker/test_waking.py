"""An idle worker is woken; where the scheduler can't, it asks at its intervals."""

from __future__ import annotations

import threading
import time
from types import ModuleType
from typing import Any

import pytest

from broker_sched import Worker
from broker_sched.worker.work_waiter import WorkWaiter
from tests.servers import until
from tests.worker.conftest import QUICK, statuses, worker_on

pytestmark = pytest.mark.timeout(60)
NEVER = {**QUICK, "wait_interval": 1000.0}  # whoever polls will not be in time


def waiting_threads_beside(others: set[threading.Thread]) -> list[threading.Thread]:
    """Threads that wait for work, without those of other tests."""
    return [thread for thread in threading.enumerate() if thread.name == "work-waiter" and thread not in others]


class RunningWorker:
    """A worker's run() in a thread."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self.worker:
            self.worker.run()

    def end(self) -> None:
        """Tell it to leave, and wait until it has."""
        self.worker.stop_asking()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.mark.parametrize(
    ("scheduler", "intervals"), [("redis", NEVER), ("http", NEVER), ("luigid", QUICK)], indirect=["scheduler"]
)
def test_an_idle_assistant_runs_what_is_scheduled(
    scheduler: Any, intervals: dict[str, float], tasks: ModuleType, directory: str
) -> None:
    """It is woken; with luigid, which can't do that, it asks."""
    idle = RunningWorker(Worker(scheduler, assistant=True, keep_alive=True, force_multiprocessing=True, **intervals))
    task = tasks.Write(directory, "x")
    time.sleep(0.5)
    with worker_on(scheduler, worker_processes=0) as submitter:
        submitter.add(task)
        until(lambda: statuses(scheduler, task) == ["DONE"], "the assistant has run it")
    idle.end()


@pytest.mark.parametrize("scheduler", ["redis", "http"], indirect=True)
def test_a_worker_with_a_free_slot_is_woken_while_it_runs_something(
    scheduler: Any, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = tasks.Endless(directory, "slow"), tasks.Write(directory, "other")
    worker = Worker(scheduler, assistant=True, keep_alive=True, worker_processes=2, **NEVER)
    worker.add(slow)
    busy = RunningWorker(worker)
    until(lambda: statuses(scheduler, slow) == ["RUNNING"], "the first task runs")
    time.sleep(0.5)
    with worker_on(scheduler, worker_processes=0) as submitter:
        submitter.add(other)
        until(lambda: statuses(scheduler, other) == ["DONE"], "the other task has run")
    assert statuses(scheduler, slow) == ["RUNNING"]
    worker.drain(0)
    busy.end()


@pytest.mark.parametrize("scheduler", ["redis", "http"], indirect=True)
def test_a_retry_wakes(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.FailOnce(directory)
    with Worker(scheduler, keep_alive=True, **NEVER) as worker:
        worker.add(task)
        worker.run()
    assert statuses(scheduler, task) == ["DONE"]


def test_a_worker_that_can_run_no_more_leaves_the_work_to_others(local: Any, tasks: ModuleType, directory: str) -> None:
    """One is full with a long task just when the next task comes: the other one must be woken."""
    options = {**NEVER, "assistant": True, "keep_alive": True, "force_multiprocessing": True}
    workers = [Worker(local, worker_id=name, **options) for name in ("first", "second")]
    running = [RunningWorker(worker) for worker in workers]
    long, short = tasks.Endless(directory, "long"), tasks.Write(directory, "short")
    time.sleep(0.5)
    with worker_on(local, worker_processes=0) as submitter:
        submitter.add(long)
        until(lambda: statuses(local, long) == ["RUNNING"], "one runs the long task")
        submitter.add(short)
        until(lambda: statuses(local, short) == ["DONE"], "the other runs the short one")
    for worker in workers:
        worker.drain(0)
    for each in running:
        each.end()


def test_an_idle_worker_told_to_leave_does_so_at_once(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_sched.worker.work_waiter.WAIT_SECONDS", 25.0)
    others = set(threading.enumerate())
    idle_assistants = local.namespace.key("idle_assistants")
    idle = RunningWorker(Worker(local, assistant=True, keep_alive=True, **NEVER))
    until(lambda: local._client.zcard(idle_assistants) == 1, "it waits for work")
    started = time.monotonic()
    idle.end()
    assert time.monotonic() - started < 15
    assert local._client.zcard(idle_assistants) == 0
    assert waiting_threads_beside(others) == []


class Scripted:
    """A scheduler whose await_work answers when the test lets it."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.answers = threading.Semaphore(0)

    def await_work(self, **arguments: Any) -> dict[str, bool]:
        self.asked.release()
        assert self.answers.acquire(timeout=20)
        return {"ready": False}


def test_a_worker_that_runs_again_waits_again_though_the_first_wait_was_never_answered() -> None:
    scheduler = Scripted()
    work_waiter = WorkWaiter(scheduler, "w", False)
    work_waiter.begin_waiting()
    assert scheduler.asked.acquire(timeout=10)
    work_waiter.stop_thread(is_reachable=False)
    assert work_waiter.begin_waiting()
    assert scheduler.asked.acquire(timeout=10), "a new wait has begun"
    work_waiter.stop_thread(is_reachable=False)
    for _ in range(2):
        scheduler.answers.release()


class Late:
    """A scheduler that a wait reaches only after the first word that it is over."""

    def __init__(self) -> None:
        self.told = threading.Semaphore(0)
        self.asked, self.has_waited = threading.Event(), False

    def await_work(self, seconds: float, **arguments: Any) -> dict[str, bool]:
        if seconds == 0:
            self.told.release()
            return {"ready": False}
        self.asked.set()
        assert self.told.acquire(timeout=20)
        self.has_waited = self.told.acquire(timeout=20)
        return {"ready": self.has_waited}


def test_a_wait_that_begins_while_its_worker_leaves_is_ended_too() -> None:
    others, scheduler = set(threading.enumerate()), Late()
    work_waiter = WorkWaiter(scheduler, "w", False)
    work_waiter.begin_waiting()
    assert scheduler.asked.wait(10)
    work_waiter.stop_thread(is_reachable=True)
    assert scheduler.has_waited
    assert waiting_threads_beside(others) == []


class Silent:
    """A scheduler that answers nothing any more, as a Redis that stands still."""

    def __init__(self) -> None:
        self.asked, self.goes_on = threading.Semaphore(0), threading.Event()

    def await_work(self, **arguments: Any) -> dict[str, bool]:
        self.asked.release()
        self.goes_on.wait(60)
        return {"ready": False}


def test_a_worker_leaves_in_time_though_its_scheduler_has_just_fallen_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_sched.worker.work_waiter.STOP_SECONDS", 0.5)
    scheduler = Silent()
    work_waiter = WorkWaiter(scheduler, "w", False)
    work_waiter.begin_waiting()
    assert scheduler.asked.acquire(timeout=10)
    leaving = threading.Thread(target=work_waiter.stop_thread, args=(True,), daemon=True)
    leaving.start()
    assert scheduler.asked.acquire(timeout=10), "it was told that the wait is over"
    leaving.join(20)
    assert not leaving.is_alive()
    scheduler.goes_on.set()


class Broken:
    """A scheduler that fails."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def await_work(self, **arguments: Any) -> dict[str, bool]:
        self.asked.set()
        raise OSError("broken")


def test_a_worker_that_leaves_does_not_wait_for_the_pause_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_sched.worker.work_waiter.WAIT_SECONDS", 50.0)
    others, scheduler = set(threading.enumerate()), Broken()
    work_waiter = WorkWaiter(scheduler, "w", False)
    work_waiter.begin_waiting()
    assert scheduler.asked.wait(10)
    work_waiter.stop_thread(is_reachable=False)
    until(lambda: waiting_threads_beside(others) == [], "the thread has ended")


def test_a_thread_that_begins_after_its_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new thread may get its first turn long after start()."""
    others, may_begin = set(threading.enumerate()), threading.Event()
    real_run = threading.Thread.run
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "run", lambda thread: (may_begin.wait(20), real_run(thread)))
        work_waiter = WorkWaiter(Broken(), "w", False)
        work_waiter.begin_waiting()
        work_waiter.stop_thread(is_reachable=False)
        may_begin.set()
        until(lambda: waiting_threads_beside(others) == [], "the thread has ended")

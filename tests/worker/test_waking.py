"""An idle worker is woken; where the scheduler can't, it asks at its intervals."""

from __future__ import annotations

import threading
import time
from types import ModuleType
from typing import Any

import pytest

from broker_sched import Worker
from tests.servers import until
from tests.worker.conftest import QUICK, put_away, statuses, worker_on

pytestmark = pytest.mark.timeout(60)
NEVER = {**QUICK, "wait_interval": 1000.0}  # whoever polls will not be in time


class Running:
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


@pytest.mark.parametrize("scheduler", ["redis", "http"], indirect=True)
def test_an_idle_assistant_runs_what_is_scheduled(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    idle = Running(Worker(scheduler, assistant=True, keep_alive=True, force_multiprocessing=True, **NEVER))
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
    busy = Running(worker)
    until(lambda: statuses(scheduler, slow) == ["RUNNING"], "the first task runs")
    time.sleep(0.5)
    with worker_on(scheduler, worker_processes=0) as submitter:
        submitter.add(other)
        until(lambda: statuses(scheduler, other) == ["DONE"], "the other task has run")
    assert statuses(scheduler, slow) == ["RUNNING"]
    worker.drain(0)
    busy.end()
    put_away(scheduler, slow)


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
    running = [Running(worker) for worker in workers]
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


def test_with_luigid_it_asks_at_its_intervals(luigid_url: str, tasks: ModuleType, directory: str) -> None:
    from broker_sched import RemoteScheduler

    scheduler = RemoteScheduler(luigid_url)
    idle = Running(worker_on(scheduler, assistant=True, keep_alive=True))
    task = tasks.Write(directory, "x")
    time.sleep(0.3)
    with worker_on(scheduler, worker_processes=0) as submitter:
        submitter.add(task)
        until(lambda: statuses(scheduler, task) == ["DONE"], "the assistant has run it")
    idle.end()


def test_an_idle_worker_told_to_leave_does_so_at_once(local: Any) -> None:
    idle = Running(Worker(local, assistant=True, keep_alive=True, **NEVER))
    time.sleep(0.5)
    started = time.monotonic()
    idle.end()
    assert time.monotonic() - started < 4
    assert local._client.zcard(local._space.key("idle_assistants")) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "waker" and thread.is_alive()]

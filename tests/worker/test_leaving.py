"""A worker with keep_alive leaves when its last reason to stay ends, and not when it would ask the next time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.worker import work_waiter as work_waiter
from broker_sched.worker import worker
from tests.servers import until
from tests.worker.conftest import WITHOUT_RETRIES, worker_on

pytestmark = pytest.mark.timeout(90)
OVER_BOTH = pytest.mark.parametrize("scheduler", ["redis", "http"], indirect=True)


@pytest.fixture(autouse=True)
def asks_by_itself_only_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MAX_REST_SECONDS", 60.0)
    monkeypatch.setattr(work_waiter, "WAIT_SECONDS", 20.0)


@contextmanager
def waiting(scheduler: Any, task: Any, **options: Any) -> Iterator[Callable[[], bool]]:
    """A worker that waits, since another one runs what its task needs; whether it has left."""
    id = f"waits-{Path(task.directory).parent.name}-{type(scheduler).__name__}"
    waits, asked = threading.Event(), scheduler.await_work

    def await_work(**arguments: Any) -> Any:
        waits.set()
        return asked(**arguments)

    with worker_on(scheduler, worker_id=id, keep_alive=True, ping_interval=5.0, **options) as made:
        made._work_waiter._scheduler = type("Noticed", (), {"await_work": staticmethod(await_work)})()
        made.add(task)
        thread = threading.Thread(target=made.run)
        thread.start()
        assert waits.wait(30)
        time.sleep(0.2)  # it may be on its way; one that has already left, or leaves for want of tasks, fails below
        assert thread.is_alive()
        try:
            yield lambda: not thread.is_alive()
        finally:
            made.stop_asking()
            thread.join()


def held_by_another(scheduler: Any, tasks: ModuleType, directory: str) -> tuple[Any, Any, str]:
    """A task, its dep, and the worker that runs the dep."""
    top, other = tasks.NeedsHeld(directory), f"other-{Path(directory).parent.name}"
    (dep,) = top.deps()
    scheduler.add_task(worker=other, task_id=dep.task_id, family=dep.task_family)
    assert scheduler.get_work(worker=other)["task_id"] == dep.task_id
    return top, dep, other


@OVER_BOTH
def test_it_leaves_when_its_task_was_done_elsewhere(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    top, _, other = held_by_another(scheduler, tasks, directory)
    with waiting(scheduler, top) as has_left:
        scheduler.add_task(worker=other, task_id=top.task_id, status="DONE")
        until(has_left, "it has left", seconds=10)


@OVER_BOTH
def test_it_leaves_when_what_it_waits_for_is_disabled(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    top, dep, other = held_by_another(scheduler, tasks, directory)
    with waiting(scheduler, top) as has_left:
        scheduler.add_task(worker=other, task_id=dep.task_id, status="FAILED")
        scheduler.add_task(worker=other, task_id=dep.task_id, status="DISABLED")
        until(has_left, "it has left", seconds=10)


@OVER_BOTH
def test_it_leaves_when_it_is_disabled_itself(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    top, _, _ = held_by_another(scheduler, tasks, directory)
    with waiting(scheduler, top) as has_left:
        scheduler.disable_worker(worker=f"waits-{Path(directory).parent.name}-{type(scheduler).__name__}")
        until(has_left, "it has left", seconds=10)


@OVER_BOTH
def test_it_leaves_when_it_was_idle_for_long_enough(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    top, _, _ = held_by_another(scheduler, tasks, directory)
    with waiting(scheduler, top, max_keep_alive_idle_duration=2.0) as has_left:
        until(has_left, "it has left", seconds=10)


@WITHOUT_RETRIES
def test_it_stays_while_another_task_counts(local: Scheduler, tasks: ModuleType, directory: str) -> None:
    top, _, other = held_by_another(local, tasks, directory)
    local.add_task(worker=other, task_id="later", status="FAILED")
    with waiting(local, top) as has_left:
        worker_id = f"waits-{Path(directory).parent.name}-Scheduler"
        local.add_task(worker=worker_id, task_id="another", deps=["later"])
        local.add_task(worker=other, task_id=top.task_id, status="DONE")
        assert local.count_pending(worker=worker_id)["n_pending_tasks"] == 1
        assert not has_left()
        local.add_task(worker=other, task_id="another", status="DONE")
        until(has_left, "it has left", seconds=10)

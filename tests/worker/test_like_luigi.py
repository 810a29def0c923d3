"""Luigi's own worker is the measure: the same pipeline ends in the same statuses, events and answers with ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import luigi
import luigi.scheduler
import luigi.worker
import pytest

from broker_sched import Scheduler
from tests.worker import luigi_tasks as tasks
from tests.worker.conftest import QUICK, WITHOUT_RETRIES, statuses

EVENTS = [
    *("DEPENDENCY_DISCOVERED", "DEPENDENCY_MISSING", "DEPENDENCY_PRESENT", "BROKEN_TASK", "START", "FAILURE"),
    *("SUCCESS", "PROCESSING_TIME", "TIMEOUT", "PROCESS_FAILURE"),
]
PIPELINES = {
    "all is done": (lambda d: tasks.Everything(d), {}),
    "several processes": (lambda d: tasks.Everything(d), {"worker_processes": 3}),
    "a failure": (lambda d: tasks.NeedsFail(d), {}),
    "a missing external task": (lambda d: tasks.NeedsExternal(d), {}),
    "an external task to be retried": (lambda d: tasks.NeedsExternal(d), {"retry_external_tasks": True}),
    "dynamic requirements": (lambda d: tasks.Dynamic(d), {}),
    "dynamic requirements in processes": (lambda d: tasks.Dynamic(d), {"worker_processes": 2}),
    "complete() raises": (lambda d: tasks.Broken(d), {}),
    "requires() raises": (lambda d: tasks.BrokenDeps(d), {}),
    "disabled": (lambda d: tasks.Disabled(d), {}),
    "a batch": (lambda d: tasks.Batches(d), {}),
    "never complete": (lambda d: tasks.Forgetful(d), {"check_complete_on_run": True}),
    "never complete, not asked": (lambda d: tasks.Forgetful(d), {}),
    "a limit": (lambda d: tasks.Sum(d, 5), {"task_limit": 3}),
    "a timeout": (lambda d: tasks.Sleep(d), {}),
    "a process exits with 3": (lambda d: tasks.Vanish(d, "exit3"), {"force_multiprocessing": True}),
    "a process is killed": (lambda d: tasks.Vanish(d, "SIGKILL"), {"force_multiprocessing": True}),
}


class Heard:
    """The events of tasks that were fired in this process, as (name, family)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self._before = {name: dict(found) for name, found in luigi.Task._event_callbacks.items()}
        for name in EVENTS:
            luigi.Task.event_handler(getattr(luigi.Event, name))(self._note(name))

    def _note(self, name: str) -> Any:
        return lambda task, *others: self.events.append((name, task.task_family))

    def close(self) -> None:
        """Forget the handlers."""
        luigi.Task._event_callbacks.clear()
        luigi.Task._event_callbacks.update(self._before)


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()
    yield found
    found.close()


def _run(worker: Any, task: Any) -> tuple[bool, bool]:
    with worker:
        added = worker.add(task)
        return added, worker.run()


@pytest.mark.timeout(60)
@WITHOUT_RETRIES
@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_ends_as_it_does_with_luigis_worker(
    name: str, local: Scheduler, tmp_path: Path, heard: Heard
) -> None:
    make, options = PIPELINES[name]
    results = []
    reference = luigi.scheduler.Scheduler(retry_delay=900)
    local_options = {each: value for each, value in options.items() if each != "worker_processes"}
    processes = options.get("worker_processes", 1)
    for which in ("luigi", "ours"):
        directory = tmp_path / which
        directory.mkdir()
        root = make(str(directory))
        everything = [root, *root.deps()] if name != "requires() raises" else [root]
        heard.events.clear()
        if which == "luigi":
            quick = {"wait_interval": 0.05, "wait_jitter": 0.0}
            worker: Any = luigi.worker.Worker(
                reference, worker_processes=processes, send_failure_email=False, **quick, **local_options
            )
            answers, scheduler = _run(worker, root), reference
        else:
            from broker_sched.worker.worker import Worker

            worker = Worker(local, worker_processes=processes, **QUICK, **local_options)
            answers, scheduler = _run(worker, root), local
        results.append((answers, sorted(set(heard.events)), sorted(statuses_of(scheduler, everything))))
    assert results[1] == results[0]


def statuses_of(scheduler: Any, everything: list[Any]) -> list[str]:
    """In the order of the tasks."""
    if isinstance(scheduler, Scheduler):
        return statuses(scheduler, *everything)
    return [scheduler._state.get_task(task.task_id).status for task in everything]

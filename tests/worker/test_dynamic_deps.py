"""What a run() yields is waited for, but not for ever: a dep that was DONE and is not complete fails the task."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from broker_sched import Scheduler
from tests.worker.bodies import runs_of
from tests.worker.conftest import WITHOUT_RETRIES, statuses, worker_on

EACH_MODE = pytest.mark.parametrize("processes", [1, 2])
COOLING = pytest.mark.parametrize(  # as schedulers do that nobody has configured
    "local", [{"retry_delay": 1000.0, "stable_done_cooldown_secs": 10}], indirect=True, ids=["with a cooldown"]
)


def reason(scheduler: Any, task: Any) -> str:
    """Why it has failed."""
    return str(scheduler.fetch_error(task.task_id)["error"])


@EACH_MODE
@pytest.mark.timeout(60)
def test_a_task_fails_whose_dep_ran_without_making_its_output(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    root = tasks.Waits(directory, "hollow")
    hollow = tasks.Hollow(directory)
    with worker_on(scheduler, worker_processes=processes) as worker:
        worker.add(root)
        assert not worker.run()
    assert f"{hollow.task_id} ({hollow.path()} is missing)" in reason(scheduler, root)
    assert len(runs_of(root.path())) <= 3 and len(runs_of(hollow.path())) <= 2


@COOLING
@EACH_MODE
@pytest.mark.timeout(60)
def test_a_task_fails_whose_deps_differ_only_in_what_is_not_significant(
    local: Scheduler, tasks: ModuleType, directory: str, processes: int
) -> None:
    root = tasks.Waits(directory, "noted:one,noted:two")
    with worker_on(local, worker_processes=processes) as worker:
        worker.add(root)
        assert not worker.run()
    assert statuses(local, root) == ["FAILED"]
    assert f"{tasks.Noted(directory, 'two').path()} is missing" in reason(local, root)
    assert "not significant" in reason(local, root)
    assert len(runs_of(root.path())) == 2


@COOLING
@pytest.mark.timeout(60)
def test_a_dep_that_was_done_before_under_the_same_id_is_waited_for_once(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    root = tasks.Waits(directory, "noted:two")
    with worker_on(local) as worker:
        worker.add(tasks.Noted(directory, "one"))
        assert worker.run()
        worker.add(root)
        assert not worker.run()
    assert statuses(local, root) == ["FAILED"]
    assert len(runs_of(root.path())) == 2


@WITHOUT_RETRIES
@pytest.mark.timeout(60)
def test_a_task_fails_whichever_worker_of_a_fleet_ran_its_dep(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    root, hollow = tasks.Waits(directory, "hollow"), tasks.Hollow(directory)
    with worker_on(local, worker_id="submitter") as submitter:
        submitter.add(root)
        for name in ("first", "second", "third"):
            with worker_on(local, worker_id=name, assistant=True, max_tasks=1) as worker:
                worker.run()
                assert worker.runs == 1
        assert statuses(local, root, hollow) == ["FAILED", "DONE"]
    assert f"{hollow.path()} is missing" in reason(local, root)
    assert (len(runs_of(root.path())), len(runs_of(hollow.path()))) == (2, 1)


@WITHOUT_RETRIES
@pytest.mark.timeout(60)
def test_deps_whose_outputs_were_removed_long_after_are_made_anew(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    root = tasks.Waits(directory, "one,two")
    deps = [tasks.Write(directory, name) for name in ("one", "two")]
    with worker_on(local) as worker:
        for _ in range(2):
            worker.add(root)
            assert worker.run()
            assert statuses(local, root, *deps) == ["DONE"] * 3
            for task in (root, *deps):
                task.path().unlink()
    assert [len(runs_of(task.path())) for task in deps] == [2, 2]


@EACH_MODE
@pytest.mark.timeout(60)
def test_requirements_that_are_never_complete_fail_the_task(
    scheduler: Any, tasks: ModuleType, directory: str, processes: int
) -> None:
    root = tasks.NeverSatisfied(directory)
    with worker_on(scheduler, worker_processes=processes) as worker:
        worker.add(root)
        assert not worker.run()
    assert "custom_complete" in reason(scheduler, root)
    assert len(runs_of(root.path())) <= 4


@EACH_MODE
@WITHOUT_RETRIES
@pytest.mark.timeout(60)
def test_a_new_run_asks_anew_for_a_dep_that_failed_in_the_run_before(
    local: Scheduler, tasks: ModuleType, directory: str, processes: int
) -> None:
    root = tasks.Waits(directory, "failonce")
    for name, is_done in (("before", False), ("after", True)):
        with worker_on(local, worker_id=name, worker_processes=processes) as worker:
            worker.add(root)
            assert worker.run() == is_done
    assert statuses(local, root, tasks.FailOnce(directory)) == ["DONE", "DONE"]


@WITHOUT_RETRIES
@pytest.mark.timeout(60)
def test_what_a_task_no_longer_requires_is_not_waited_for(local: Scheduler, tasks: ModuleType, directory: str) -> None:
    root = tasks.Write(directory, "alone")
    local.add_task(worker="before", task_id=root.task_id, family=root.task_family, deps=["Gone_1"])
    with worker_on(local) as worker:
        worker.add(root)
        assert worker.run()
    assert statuses(local, root) == ["DONE"]

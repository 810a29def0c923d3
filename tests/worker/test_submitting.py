"""Submit and leave: a fleet runs what nobody waits for."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from broker_sched import InvalidArgument, RemoteScheduler, Scheduler, submit
from broker_sched.errors import WorkerError
from broker_sched.tasks.protocol import TaskTypeError
from broker_sched.worker.submit import Submitter
from tests.worker.conftest import statuses, worker_on

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("scheduler", ["redis", "http"], indirect=True)
def test_workers_of_the_fleet_run_what_was_submitted(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    root = tasks.Everything(directory)
    submission = submit(root, scheduler=scheduler)
    found = scheduler.submission(submission)
    assert (found["state"], found["tasks"], found["n_ready"]) == ("ACTIVE", [root.task_id], 3)
    with worker_on(scheduler, assistant=True) as worker:
        worker.run()  # and what other tests have left on the server
    assert tasks.Sum(directory, 2).path().read_text() == "01"
    assert scheduler.submission(submission)["state"] == "DONE"


@pytest.mark.parametrize("scheduler", ["redis"], indirect=True)
def test_what_its_tasks_ask_for_while_they_run_belongs_to_it(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    submission = submit(tasks.Dynamic(directory), scheduler=scheduler)
    with worker_on(scheduler, assistant=True) as worker:
        assert worker.run()
    found = scheduler.submission(submission)
    assert (found["state"], found["counts"]) == ("DONE", {"DONE": len(scheduler.task_list())})
    assert found["counts"]["DONE"] > 1


@pytest.mark.parametrize("scheduler", ["redis"], indirect=True)
def test_of_complete_tasks_it_is_done_at_once(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Write(directory, "x")
    with worker_on(scheduler) as worker:
        worker.add(task)
        worker.run()
    assert scheduler.submission(submit(task, scheduler=scheduler))["state"] == "DONE"


@pytest.mark.parametrize("scheduler", ["redis"], indirect=True)
def test_what_could_not_be_scheduled_is_told_and_left_out(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    submitter = Submitter(scheduler)
    submitter.submit(tasks.BrokenDeps(directory))
    assert not submitter.succeeded
    assert scheduler.submission(submitter.id)["tasks"] == [tasks.BrokenDeps(directory).task_id]


def test_a_stock_luigid_is_refused_before_anything_is_scheduled(
    luigid_url: str, tasks: ModuleType, directory: str
) -> None:
    task = tasks.Write(directory, "refused")
    with RemoteScheduler(luigid_url) as scheduler:
        with pytest.raises(WorkerError, match="stock luigid"):
            submit(task, scheduler=scheduler)
        assert statuses(scheduler, task) == ["unknown"], "what others have there may change meanwhile"


def test_only_tasks_can_be_submitted(local: Scheduler) -> None:
    with pytest.raises(TaskTypeError):
        submit("Write", scheduler=local)  # type: ignore[arg-type]
    with pytest.raises(WorkerError, match="at least one task"):
        submit(scheduler=local)
    assert local.submission_list() == []


def test_a_submitter_that_was_forgotten_meanwhile_schedules_once_more(
    local: Scheduler, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_submission, refusals = local.add_submission, [InvalidArgument("submission", "forgotten")]

    def forgetful(**arguments: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return add_submission(**arguments)

    monkeypatch.setattr(local, "add_submission", forgetful)
    submission = submit(tasks.Write(directory, "x"), scheduler=local)
    assert local.submission(submission)["n_ready"] == 1
    local.cancel_submission(submission)


@pytest.mark.parametrize("local", [{"stable_done_cooldown_secs": 1000}], indirect=True)
def test_a_task_that_has_just_become_done_and_lost_its_output_is_named_and_nothing_is_submitted(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    task = tasks.Write(directory, "gone")
    with worker_on(local) as worker:
        worker.add(task)
        worker.run()
    task.output().remove()
    with pytest.raises(InvalidArgument, match=rf"{task.task_id} is DONE.*stable_done_cooldown_secs"):
        submit(task, scheduler=local)
    assert [each["state"] for each in local.submission_list()] == ["CANCELLED"]
    assert statuses(local, task) == ["DONE"]

"""What others made of a run's tasks is in its result, its summary and its exit code."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.worker.summary import ReturnCodes, RunStatus, return_code
from broker_sched.worker.worker import Worker
from tests.worker.conftest import WITHOUT_RETRIES, worker_on

CODES = ReturnCodes()


def ids(worker: Worker) -> dict[str, list[str]]:
    """Group → families."""
    return {name: [task.task_family for task in members] for name, members in worker.summary().groups.items()}


def test_what_failed_on_another_worker_is_no_success_here(
    scheduler: Any, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.Fail, "retry_count", 1, raising=False)  # disabled, so that nobody retries it here
    with worker_on(scheduler, id=f"owner-{directory}") as owner:
        owner.add(tasks.NeedsFail(directory))
        with worker_on(scheduler, assistant=True, id=f"other-{directory}") as other:
            other.run()
        assert owner.run() is False
    assert ids(owner) == {"failed_elsewhere": ["Fail"], "upstream_failure": ["NeedsFail"]}
    summary = owner.summary()
    assert f"* 1 failed on another worker\n    - 1 Fail(directory={directory}" in summary.text
    assert f"    - on other-{directory}"[:60] in summary.text and "fetch_error task_id=Fail_" in summary.text
    assert summary.status is RunStatus.FAILED
    assert return_code(summary, CODES) == CODES.task_failed


@WITHOUT_RETRIES
def test_what_failed_on_another_worker_and_waits_for_a_retry_is_no_success_here(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    with worker_on(local, id="owner") as owner:
        owner.add(tasks.Fail(directory))
        with worker_on(local, assistant=True, id="other") as other:
            other.run()
        assert owner.run() is False
    assert ids(owner) == {"failed_elsewhere": ["Fail"]}
    assert owner.summary().as_dict()["notes"]["failed_elsewhere"][0] == "on other"


def test_what_others_have_done_is_done(scheduler: Any, tasks: ModuleType, directory: str) -> None:
    with worker_on(scheduler, id=f"owner-{directory}") as owner:
        owner.add(tasks.Write(directory, "x"))
        with worker_on(scheduler, assistant=True, id=f"other-{directory}") as other:
            assert other.run()
        assert owner.run()
    assert ids(owner) == {"done_elsewhere": ["Write"]}
    assert return_code(owner.summary(), CODES) == 0
    assert ":)" in owner.summary().text


def test_what_nobody_can_load_is_named_with_the_reason(local: Scheduler, tasks: ModuleType, directory: str) -> None:
    task = tasks.Write(directory, "x")
    with worker_on(local, worker_processes=0, id="owner") as owner:
        owner.add(task)
        assert local.get_work(worker="helper", assistant=True)["task_id"] == task.task_id
        local.refuse_tasks(worker="helper", task_ids=[task.task_id], reason="No module named x.")
        assert owner.run(), "nothing has failed"
    assert ids(owner) == {"refused": ["Write"]}
    summary = owner.summary()
    assert "Worker helper can't load it: No module named x." in summary.text
    assert (summary.status, return_code(summary, CODES)) == (RunStatus.NOT_RUN, CODES.not_run)


def test_a_run_whose_tasks_all_ended_here_asks_nothing_more(
    local: Scheduler, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(**arguments: Any) -> Any:
        raise AssertionError(arguments)

    monkeypatch.setattr(local, "task_statuses", never, raising=False)
    with worker_on(local) as worker:
        worker.add(tasks.Everything(directory))
        assert worker.run()


@WITHOUT_RETRIES
def test_an_assistant_does_not_answer_for_what_it_gave_back(
    local: Scheduler, tasks: ModuleType, directory: str
) -> None:
    """Only for what it scheduled itself."""
    with worker_on(local, id="owner") as owner:
        owner.add(tasks.Dynamic(directory))
        with worker_on(local, assistant=True, id="other") as other:
            assert other.run()
    assert not other._registration._standings

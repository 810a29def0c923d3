"""What a worker can't load it gives back: how long it keeps from the like, and what it says."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import Any

import pytest

from broker_sched.errors import UnknownMethod
from broker_sched.worker.refusals import Label, Refusals
from tests.worker.conftest import statuses, worker_on


class NotedCalls:
    """A scheduler that notes what it is told."""

    def __init__(self, can_refuse: bool = True) -> None:
        self.calls: list[dict[str, Any]] = []
        self._can_refuse = can_refuse

    def call(self, method: str, **arguments: Any) -> Any:
        """Note a call, as RetryingScheduler would make it."""
        if method == "refuse_tasks" and not self._can_refuse:
            raise UnknownMethod(method)
        self.calls.append(arguments)
        return arguments["task_ids"]


def seconds(label: Label, count: int, refusals: Refusals, noted: NotedCalls, is_known: bool = False) -> list[float]:
    """For how long it keeps from the like, `count` times in a row."""
    noted.calls.clear()
    for _ in range(count):
        assert refusals.refuse_tasks(["t"], label, "why", is_known, None)
    return [call["seconds"] for call in noted.calls]


@pytest.fixture
def noted() -> NotedCalls:
    return NotedCalls()


@pytest.fixture
def refusals(noted: NotedCalls) -> Refusals:
    return Refusals(noted, "w")  # type: ignore[arg-type]  # as far as it is used


def test_a_worker_that_can_load_nothing_slows_down_until_it_can(noted: NotedCalls, refusals: Refusals) -> None:
    module, family = Label("m", None), Label("m", "F")
    assert seconds(module, 6, refusals, noted) == [30, 60, 120, 240, 300, 300]
    assert seconds(family, 8, refusals, noted) == [1, 2, 4, 8, 16, 32, 60, 60]
    assert seconds(Label("m", "G"), 1, refusals, noted) == [1], "each by itself"
    refusals.note_loaded("m", "F")
    assert seconds(module, 1, refusals, noted) == [30]
    assert seconds(family, 1, refusals, noted) == [1]
    assert seconds(Label("m", "G"), 1, refusals, noted) == [2]


def test_one_broken_task_keeps_a_worker_from_its_own_of_that_family_for_a_second_only(
    noted: NotedCalls, refusals: Refusals
) -> None:
    assert seconds(Label("m", "F"), 5, refusals, noted, is_known=True) == [1] * 5


def test_each_module_and_family_is_told_of_once(refusals: Refusals, caplog: pytest.LogCaptureFixture) -> None:
    for label in (Label("m", None), Label("m", "F"), Label("", "F")) * 3:
        refusals.refuse_tasks(["task_1"], label, "No module named m.", False, None)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 3
    assert "task_1" in warnings[0] and "No module named m." in warnings[0] and "the module m" in warnings[0]


def test_a_reason_that_no_wire_can_carry_gets_through_and_into_the_log(
    noted: NotedCalls, refusals: Refusals, caplog: pytest.LogCaptureFixture
) -> None:
    refusals.refuse_tasks(["t"], Label("m", None), "\udcff" + "x" * 100_000, False, 7)
    assert len(noted.calls[0]["reason"].encode()) < 4096
    assert noted.calls[0]["reason"] in caplog.text and len(caplog.text.encode()) < 8192
    assert noted.calls[0]["attempt"] == 7


def test_a_scheduler_that_takes_nothing_back_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals(NotedCalls(can_refuse=False), "w")  # type: ignore[arg-type]
    assert not refusals.refuse_tasks(["t"], Label("m", None), "why", False, None)
    assert not refusals.refuse_tasks(["t"], Label("m", None), "why", False, None)
    assert caplog.text.count("does not know refuse_tasks") == 1


@pytest.mark.parametrize("scheduler", ["luigid"], indirect=True)
def test_with_a_luigid_what_cannot_be_loaded_fails_with_the_reason(scheduler: Any, directory: str) -> None:
    """It has no way to take a task back."""
    task_id = f"Nowhere_{directory.replace('/', '_')}"
    scheduler.add_task(worker="w", task_id=task_id, family="Nowhere", module="no.such.module", params={})
    with worker_on(scheduler, assistant=True, id=f"h-{directory}") as worker:
        assert worker.run() is False
    assert "no.such.module" in scheduler.fetch_error(task_id=task_id)["error"]


def test_a_task_of_an_earlier_run_that_cannot_be_loaded_keeps_nobody_from_its_own(
    local: Any, tasks: ModuleType, directory: str
) -> None:
    """The worker's id is the same, so it is handed out such a task as its own, before all others."""
    task = tasks.Write(directory, "x")
    left = {"family": task.task_family, "module": task.task_module, "params": {"nonsense": "1"}, "priority": 9}
    for number in range(2):
        local.add_task(worker="nightly", task_id=f"left_{number}", **left)
    with worker_on(local, id="nightly") as worker:
        worker.add(task)
        assert worker.run()
    assert statuses(local, task) == ["DONE"]
    assert {"left_0", "left_1"} <= local.task_list(status="PENDING").keys()

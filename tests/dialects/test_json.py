"""Scripts read and write JSON, each kind with a library of its own: what a task carries is never read differently."""

from __future__ import annotations

from typing import Any

import pytest

from broker_sched import Scheduler
from tests.conftest import SchedulerFactory

VALUES: dict[str, Any] = {
    "empty list": [],
    "empty object": {},
    "null": None,
    "a list with null": [1, None, 3],
    "nested": {"a": [{"b": [[], {}]}]},
    "slashes and quotes": 'a/b\\c"d',
    "control characters": "\x00\x01\x1f\x7f",
    "large": 10**30,
    "fraction": 0.1,
    "minus nothing": -0.0,
    "true": True,
    "long": "x" * 100_000,
    "numbers as names": {"1": "a", "2": "b", "10": "c"},
}


def deep(levels: int) -> list[Any]:
    """A list in a list in a list …"""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("name", VALUES)
def test_a_parameter_comes_back_as_it_was_given(scheduler: Scheduler, name: str) -> None:
    value = VALUES[name]
    scheduler.add_task(worker="w", task_id="a", family="F", params={"p": value, "q": ""})
    assert scheduler.get_work(worker="w")["task_params"] == {"p": value, "q": ""}
    assert scheduler.task_list(status="RUNNING")["a"]["params"] == {"p": value, "q": ""}


@pytest.mark.parametrize("name", VALUES)
def test_tasks_are_batched_by_equal_parameters_whatever_these_are(
    scheduler_factory: SchedulerFactory, name: str
) -> None:
    scheduler = scheduler_factory()
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day, other in (("1", VALUES[name]), ("2", VALUES[name]), ("3", "different")):
        params = {"day": day, "other": other}
        scheduler.add_task(worker="w", task_id=f"F{day}", family="F", params=params, batchable=True)
    batch = scheduler.get_work(worker="w")
    expected = [] if name == "large" else ["F1", "F2"]
    assert batch.get("batch_task_ids", []) == expected


def test_deeply_nested_parameters_are_kept_or_refused_before_anything_is_written(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", params={"p": deep(50)})
    assert scheduler.get_work(worker="w")["task_params"] == {"p": deep(50)}


@pytest.mark.parametrize("name", VALUES)
def test_what_a_worker_tells_of_itself_comes_back(scheduler: Scheduler, name: str) -> None:
    scheduler.add_worker(worker="w", info={"value": VALUES[name]})
    scheduler.add_task(worker="w", task_id="a")
    assert scheduler.worker_list()[0]["value"] == VALUES[name]

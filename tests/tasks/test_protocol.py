"""What counts as a task, and what a worker reads off it."""

from __future__ import annotations

import datetime
from typing import Any

import luigi.worker
import pytest

from broker_sched.errors import BrokerSchedError
from broker_sched.tasks import Task, TaskTypeError, check_task
from broker_sched.tasks.protocol import TaskLike, checked_deps, flatten, owners_of, retry_policy_of, visibilities_of
from tests.tasks.luigi_tasks import HalfMade, LuigiBoth, LuigiConfig, LuigiOutside, LuigiSales
from tests.tasks.native_tasks import Both, Dynamic, Outside, Sales, Written

DAY = datetime.date(2024, 1, 5)
TASKS = (
    *(LuigiSales(day=DAY), LuigiOutside(), LuigiBoth(), LuigiConfig()),
    *(Sales(DAY), Outside(directory="x"), Both(directory="x"), Dynamic(directory="x")),
)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_tasks_of_both_kinds_are_tasks(task: Any) -> None:
    assert check_task(task) is task


def test_what_is_looked_for_is_all_of_the_protocol() -> None:
    from broker_sched.tasks.protocol import _Needed

    members = {*TaskLike.__annotations__, *(name for name in vars(TaskLike) if not name.startswith("_"))}
    assert members == {*_Needed.ATTRIBUTES, *_Needed.METHODS}


@pytest.mark.parametrize("thing", [None, "Sales", 3, object(), [Sales(DAY)]])
def test_other_things_are_refused_with_what_they_are(thing: Any) -> None:
    with pytest.raises(TaskTypeError, match=rf"is a (text|{type(thing).__name__}), not a task. Give an instance"):
        check_task(thing)


def test_what_is_nearly_a_task_is_refused_with_all_that_is_missing() -> None:
    class Nearly:
        task_id = "Nearly_1"

        def complete(self) -> bool:
            return False

    with pytest.raises(
        TaskTypeError, match=r"is no task; it lacks: task_family, .*run, requires\(\), .*trigger_event\(\)"
    ):
        check_task(Nearly())


@pytest.mark.parametrize("kind", [Sales, LuigiSales, Task])
def test_a_class_is_refused(kind: Any) -> None:
    with pytest.raises(TaskTypeError, match="is a class, not a task"):
        check_task(kind)


def test_a_half_made_task_is_refused_with_the_likely_cause() -> None:
    with pytest.raises(TaskTypeError, match=r"lacks: task_id, param_kwargs\. .*super\(\)\.__init__"):
        check_task(HalfMade())
    assert issubclass(TaskTypeError, BrokerSchedError)


@pytest.mark.parametrize(
    ("struct", "flat"),
    [
        *[(None, []), ("abc", ["abc"]), (3, [3]), ({"a": 1, "b": [2, {"c": 3}]}, [1, 2, 3]), ([], [])],
        *[((1, (2, "x")), [1, 2, "x"]), ((number for number in (1, [2])), [1, 2])],
    ],
)
def test_flatten_gives_the_leaves(struct: Any, flat: list[Any]) -> None:
    assert flatten(struct) == flat


def test_a_dep_that_is_no_task_is_refused_by_whence_it_came() -> None:
    checked_deps([Written(directory="x")], "requires() of Report")
    with pytest.raises(TaskTypeError, match=r"requires\(\) of Report: .* is a class"):
        checked_deps([Written(directory="x"), Written], "requires() of Report")


@pytest.mark.parametrize(
    ("owner_email", "owners"), [(None, []), ("a@x, b@x", ["a@x", "b@x"]), (["a@x"], ["a@x"]), ("", [])]
)
def test_owners_are_a_list(owner_email: Any, owners: list[str]) -> None:
    task = type("Owned", (Task,), {"owner_email": owner_email})()
    assert owners_of(task) == task._owner_list() == owners


def test_what_is_read_off_luigis_task_is_what_luigi_says() -> None:
    task = LuigiSales(day=DAY)
    assert visibilities_of(task) == task._get_param_visibilities() == {"day": 0, "top": 0, "level": 1}
    assert owners_of(task) == task._owner_list()
    assert retry_policy_of(task) == luigi.worker._get_retry_policy_dict(task)


def test_a_native_task_says_its_visibilities_without_the_private_ones() -> None:
    assert visibilities_of(Sales(DAY)) == {"day": 0, "top": 0, "tags": 0, "level": 1}


def test_a_retry_policy_not_given_is_the_schedulers() -> None:
    assert retry_policy_of(Sales(DAY)) == {"retry_count": None, "disable_hard_timeout": None, "disable_window": None}


def test_a_property_that_fails_is_told_when_it_is_asked_and_not_as_missing() -> None:
    class Failing(Task):
        @property
        def priority(self) -> float:  # type: ignore[override]
            raise LookupError("no such shop")

    task = Failing()
    assert check_task(task) is task

"""What the types of arguments let through, and what a caller is told of the rest."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any, get_args

import pytest

from broker_sched import InvalidArgument
from broker_sched.contract import types, validation, wrong_arguments
from broker_sched.contract.registry import Method, read_methods, rpc
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.types import MAX_SAFE_INTEGER, Amount, BatchSize, Number, ReportableStatus, RetryPolicy
from broker_sched.contract.validation import check

API = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
BEYOND = [MAX_SAFE_INTEGER + 1, -MAX_SAFE_INTEGER - 1, 1e300, 10**400, math.inf, -math.inf, math.nan]
DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]
HOSTILE = [
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 2**63, 2**64, *BEYOND),
    *("", "x", "PENDING", "pending", "\ud800", "caf\udce9", "\x00", "x" * 10_000),
    *([], [1], ["a"], [""], [None], ["\ud800"], [["a", "b"]], [[1, 2, 3]], ["a"] * 1001, ("a",), [math.nan], DEEP),
    *({}, {"a": 1}, {"a": "x"}, {"a": None}, {"a": math.nan}, {"a": 10**400}, {1: 2}, {"\ud800": 1}, {"a": DEEP}),
    *({"retry_count": "3"}, {"retry_count": math.inf}, {"patience": 3}, b"bytes", 1j, object(), {1, 2}),
]


def task(**arguments: Any) -> dict[str, Any]:
    return check(METHODS["add_task"], {"worker": "w", "task_id": "t", **arguments})


def refused(method: str, **arguments: Any) -> str:
    with pytest.raises(InvalidArgument) as caught:
        check(METHODS[method], arguments)
    return str(caught.value)


@pytest.mark.parametrize("name", METHODS)
def test_a_hostile_argument_is_taken_or_refused_by_its_name_and_nothing_else(name: str) -> None:
    method = METHODS[name]
    plain: dict[str, Any] = {p.name: "x" if p.default is p.empty else p.default for p in method.parameters}
    plain |= {"info": {}, "deps": [], "tasks": [], "n": 1, "size": 1, "batched_args": [], "decrease_resources": {}}
    plain |= {"task_ids": ["t"], "progress_percentage": 1, "seconds": 1.0, "action": "retry", "options": {}}
    plain |= {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"} | ({"attempt": 1} if name == "transfer_task" else {})
    taken = {p.name: plain[p.name] for p in method.parameters}
    check(method, taken)
    for field in {"db": 3} if method.collects else taken:
        for value in HOSTILE:
            try:
                found = check(method, {**taken, field: value})
            except InvalidArgument as error:
                assert error.field.startswith(field), (field, value, str(error))
                assert error.message and len(error.message) < 300
            else:
                assert set(found) == ({"resources"} if method.collects else set(taken))


@pytest.mark.parametrize("number", BEYOND)
def test_a_number_is_finite_and_within_what_a_double_holds(number: float) -> None:
    told = "must be a finite number within ±2^53"
    assert refused("add_task", worker="w", task_id="t", priority=number) == f"priority: {told}"
    assert refused("update_resources", db=number) == f"db: {told}"
    assert told in refused("set_task_progress_percentage", task_id="t", progress_percentage=number)
    assert told in refused("decrease_running_task_resources", task_id="t", decrease_resources={"db": number})
    assert told in refused("add_task", worker="w", task_id="t", retry_policy_dict={"retry_count": number})
    assert "resources.db" in refused("add_task", worker="w", task_id="t", resources={"db": number})


@pytest.mark.parametrize("number", [MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER, float(MAX_SAFE_INTEGER), 0.5])
def test_the_last_number_that_a_double_holds_is_taken_as_it_is(number: float) -> None:
    found = task(priority=number)["priority"]
    assert (found, type(found)) == (number, type(number))


def test_a_batcher_whose_family_is_no_utf8_may_have_no_maximum() -> None:
    arguments = {"worker": "w", "task_family": "caf\udce9", "batched_args": ["p"]}
    assert check(METHODS["add_task_batcher"], arguments) == {**arguments, "max_batch_size": math.inf}


@pytest.mark.parametrize("size", [3, 0, -1, 2.5, math.inf, 10**400])
def test_a_batch_size_may_be_any_number_and_infinite(size: float) -> None:
    """Luigi sends infinity where a task sets no max_batch_size."""
    arguments = {"worker": "w", "task_family": "F", "batched_args": ["p"], "max_batch_size": size}
    assert check(METHODS["add_task_batcher"], arguments)["max_batch_size"] == size


def test_no_number_of_any_method_is_nan() -> None:
    told = refused("add_task_batcher", worker="w", task_family="F", batched_args=[], max_batch_size=math.nan)
    assert told == "max_batch_size: must be a number of tasks, or infinity"
    assert "from 0 to 30" in refused("await_work", worker="w", seconds=math.nan)
    assert "from 0 to 3600" in refused("refuse_tasks", worker="w", task_ids=["t"], reason="r", seconds=math.nan)


@pytest.mark.parametrize("status", get_args(ReportableStatus))
def test_every_status_that_luigi_reports_is_taken(status: str) -> None:
    assert task(status=status)["status"] == status


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"status": "FINISHED"}, "status: is 'FINISHED'; it must be one of PENDING, RUNNING, DONE, FAILED, DISABLED"),
        ({"status": 7}, "status: expected `str`, got `int`"),
        ({"param_visibilities": {"a": 0, "p": 9}}, "param_visibilities.p: is 9; it must be 0 (public), 1 (hidden) or"),
        ({"retry_policy_dict": {"patience": 3}}, "retry_policy_dict.patience: is 'patience'; it must be one of retry_"),
        ({"retry_policy_dict": {"retry_count": "3"}}, "retry_policy_dict.retry_count: expected `int | float | null`"),
        ({"resources": {"ok": 1, "db": -1, "x": 2}}, "resources.db: must be a number from 0 to 2^53"),
        ({"resources": {"db": "1"}}, "resources.db: expected `int | float`, got `str`"),
        ({"resources": {1: 1}}, "resources.1: expected `str`, got `int`"),
        ({"deps": ["a", "b", "", "c"]}, "deps[2]: is empty"),
        ({"deps": ["a", None]}, "deps[1]: expected `str`, got `null`"),
        ({"task_id": "x" * 9000}, "task_id: has 9000 characters; at most 8192 are allowed"),
        ({"attempt": 0}, "attempt: expected `int` >= 1"),
        ({"status": "\ud800"}, "status: is '?'; it must be one of"),
    ],
)
def test_what_is_wrong_is_named_to_the_entry_with_what_it_may_be(arguments: dict[str, Any], told: str) -> None:
    assert refused("add_task", **{"worker": "w", "task_id": "t", **arguments}).startswith(told)


def test_too_many_names_are_counted() -> None:
    told = refused("add_task_batcher", worker="w", task_family="F", batched_args=["a"] * 101)
    assert told == "batched_args: has 101 entries; at most 100 are allowed"


def test_a_long_wrong_value_is_not_told_whole() -> None:
    assert len(refused("add_task", worker="w", task_id="t", status="x" * 1_000_000)) < 300


def test_the_wrong_one_of_very_many_is_found_without_trying_each() -> None:
    ids = [f"task {n}" for n in range(100_000)]
    assert refused("get_work", worker="w", current_tasks=[*ids, 7]).startswith("current_tasks[100000]: ")
    amounts: dict[str, Any] = {name: 1 for name in ids}
    assert refused("add_task", worker="w", task_id="t", resources={**amounts, "db": -1}).startswith("resources.db: ")


def test_null_is_taken_where_luigi_sends_it() -> None:
    nulls = ("runnable", "deps", "new_deps", "expl", "resources", "family", "module", "params", "param_visibilities")
    nulls += ("accepts_messages", "assistant", "tracking_url", "batchable", "batch_id", "retry_policy_dict", "owners")
    assert {name: value for name, value in task(**dict.fromkeys(nulls)).items() if name in nulls} == dict.fromkeys(
        nulls
    )
    policy = {"retry_count": None, "disable_hard_timeout": None, "disable_window": None}
    assert task(retry_policy_dict=policy)["retry_policy_dict"] == policy


class Renamed:
    """The types under names that no other method has."""

    @rpc()
    def rate(self, weight: Number, held: Amount, mood: ReportableStatus, most: BatchSize, again: RetryPolicy) -> None:
        """Rate."""


def test_a_rule_goes_with_its_type_whatever_the_argument_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    method: Method = read_methods(Renamed, type("Nothing", (), {}))["rate"]
    monkeypatch.setitem(validation.ARGUMENT_TYPES, "rate", validation._type_of_arguments(method))
    good = {"weight": 1, "held": 2.5, "mood": "DONE", "most": math.inf, "again": {"retry_count": 3}}
    assert check(method, good) == good
    for name, value in {"weight": math.nan, "held": -1, "mood": "GOOD", "most": math.nan, "again": {"x": 1}}.items():
        with pytest.raises(InvalidArgument) as caught:
            check(method, {**good, name: value})
        assert caught.value.field.startswith(name)
    arguments = {p.name for each in METHODS.values() for p in each.parameters} - {"task_id", "arguments"}
    for module in (validation, wrong_arguments):
        assert not [name for name in arguments if f'"{name}"' in inspect.getsource(module)]


@pytest.mark.parametrize(
    "told",
    [
        *(f"`{status}`" for status in get_args(ReportableStatus)),
        *(f"`{option}`" for option in get_args(types.RetryOption)),
        "| visibility | 0 (public), 1 (hidden) or 2 (private) |",
        "| number | a finite number within ±2^53 |",
        "| amount | a number from 0 to 2^53 |",
        "| task id | text of 1 to 8,192 characters |",
        "| `attempt` | whole number from 1 to 2^53 or null |",
        "| `seconds` | a number of seconds from 0 to 30 |",
        "| `batched_args` | list of up to 100 texts |",
        "| `resources` | object (name → amount) or null |",
        "| `tasks` | list of up to 1,000 objects (name → any JSON) |",
    ],
)
def test_the_documentation_shows_what_is_checked(told: str) -> None:
    assert told in API

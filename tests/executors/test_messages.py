"""What travels as JSON arrives as it was; ids are such as RQ takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rq.job import validate_job_id

from broker_sched.worker.executors.rq.messages import (
    MOST_KNOWN,
    arguments_of,
    call_from_text,
    call_to_text,
    job_id_of,
    options_from_fields,
    result_from_text,
    result_to_text,
)
from broker_sched.worker.executors.task_process import SchedulerCall
from broker_sched.worker.run_result import RunResult, TaskSpec
from broker_sched.worker.run_task import RunOptions
from tests.executors.tasks import InDirectory

TEXT = st.text(max_size=20)
NEW_DEPS = st.builds(TaskSpec, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3))
OUTCOMES = st.builds(
    RunResult,
    TEXT,
    st.sampled_from(["DONE", "FAILED", "PENDING"]),
    TEXT,
    st.lists(TEXT, max_size=3).map(tuple),
    st.lists(NEW_DEPS, max_size=3).map(tuple),
    st.lists(TEXT, max_size=3).map(tuple),
)


@given(OUTCOMES)
def test_a_result_arrives_as_it_was(result: RunResult) -> None:
    assert result_from_text(result_to_text(result).encode()) == result


@given(TEXT, st.dictionaries(TEXT, st.none() | TEXT | st.integers() | st.lists(TEXT)))
def test_a_call_of_the_scheduler_arrives_as_it_was(method: str, arguments: dict[str, object]) -> None:
    assert call_from_text(call_to_text(SchedulerCall(method, arguments))) == SchedulerCall(method, arguments)


def test_what_is_no_json_is_told_by_its_repr() -> None:
    told = call_from_text(call_to_text(SchedulerCall("report_task_statistics", {"statistics": {"kinds": {1}}})))
    assert told.arguments == {"statistics": {"kinds": "{1}"}}


@pytest.mark.parametrize("known", [None, frozenset(), frozenset({"a", "b"})])
def test_run_options_arrive_as_they_were(known: frozenset[str] | None) -> None:
    options = RunOptions("worker", False, True, "module.Context", known)
    arguments = json.loads(json.dumps(arguments_of(InDirectory(directory="d", name="n"), options, "namespace")))
    assert options_from_fields(arguments["options"]) == options
    assert options_from_fields({**arguments["options"], "newer": 1}) == options


def test_a_large_cache_stays_at_home() -> None:
    options = RunOptions("worker", known_complete=frozenset(map(str, range(MOST_KNOWN + 1))))
    arguments = arguments_of(InDirectory(directory="d", name="n"), options, "namespace")
    assert options_from_fields(arguments["options"]).known_complete == frozenset()


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_task_id_makes_a_job_id(namespace: str, task_id: str) -> None:
    validate_job_id(job_id_of(namespace, task_id))


def test_each_run_has_an_id_of_its_own_with_the_names_in_it() -> None:
    first, second = (job_id_of("sales.eu", "Sales_2024_01_abc") for _ in range(2))
    assert first != second
    assert first.startswith("sales_eu-Sales_2024_01_abc-")

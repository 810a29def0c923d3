"""The critical path is the chain of deps that takes longest: the rest may go faster, and nothing is sooner done.

What a task takes is what its runs took, and for a run to come what those of its family took on average. A slow model in
this file tries every chain. What was left out, and what nobody knows, is said.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.errors import InvalidArgument
from broker_sched.scheduler.operations.graph_walk import LOOKED_AT
from tests.behaviour.runs import add, run
from tests.behaviour.test_flat_cost import commands_of
from tests.conftest import FakeClock, SchedulerFactory
from tests.nightly import by_night


def steps(path: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(step[name] for name in ("task_id", *names)) for step in path["steps"]]


def chains(task: str, deps: dict[str, list[str]]) -> list[list[str]]:
    """Every chain that ends with a task, and begins with one that needs nothing."""
    return [[*chain, task] for dep in deps[task] for chain in chains(dep, deps)] or [[task]]


def run_family(scheduler: Scheduler, clock: FakeClock, family: str, *seconds: float) -> None:
    """Tasks of a family run for so long, so that its mean is known."""
    for number, each in enumerate(seconds):
        add(scheduler, f"{family}_before_{number}", family=family)
        run(scheduler, clock, "w", each)


@pytest.mark.parametrize("seed", range(by_night(60, 8)))
def test_no_chain_takes_longer(scheduler: Scheduler, clock: FakeClock, seed: int) -> None:
    chance = random.Random(seed)
    means = {"A": 5.0, "B": 40.0, "C": 0.25}
    for family, seconds in means.items():
        run_family(scheduler, clock, family, seconds)
    ids = [f"{chance.choice('ABC')}_{number}" for number in range(12)]
    deps = {task: chance.sample(ids[:n], min(n, chance.choice([0, 1, 2, 3]))) for n, task in enumerate(ids)}
    spent = dict.fromkeys(ids, 0.0)
    for task in ids:
        add(scheduler, task, family=task[0], deps=deps[task])
    for _ in range(chance.randrange(9)):
        seconds, status = chance.choice([1, 30, 90]), chance.choice(["DONE", "DONE", "FAILED"])
        ended = scheduler.get_work(worker="w")["task_id"]
        if ended is None:
            break
        clock.advance(seconds)
        scheduler.add_task(worker="w", task_id=ended, status=status)
        spent[ended] += seconds
    usual = {each["family"]: each["mean_seconds"] for each in scheduler.families()["families"]}
    statuses = {task: scheduler.task_details(task)["status"] for task in ids}
    expected = {task: 0.0 if statuses[task] == "DONE" else usual[task[0]] for task in ids}
    end = ids[-1]
    for by, takes in (
        ("total", {task: spent[task] + expected[task] for task in ids}),
        ("spent", spent),
        ("expected", expected),
    ):
        path = scheduler.critical_path(end, by=by)
        found = [step["task_id"] for step in path["steps"]]
        longest = max(sum(takes[task] for task in chain) for chain in chains(end, deps))
        assert sum(takes[task] for task in found) == pytest.approx(longest)
        assert found in chains(end, deps)
        assert path["spent_seconds"] == pytest.approx(sum(spent[task] for task in found))
        assert path["expected_seconds"] == pytest.approx(sum(expected[task] for task in found))
        assert {step["task_id"]: step["spent_seconds"] for step in path["steps"]} == pytest.approx(
            {task: spent[task] for task in found}
        )
        assert (path["task_id"], path["complete"], path["further"], path["cycle"]) == (end, True, 0, [])


def test_a_task_that_runs_has_the_rest_of_the_mean_before_it(scheduler: Scheduler, clock: FakeClock) -> None:
    run_family(scheduler, clock, "Load", 20, 40)
    add(scheduler, "Load_1", family="Load")
    add(scheduler, "Sum_1", family="Sum", deps=["Load_1"])
    scheduler.get_work(worker="w")
    clock.advance(10)
    path = scheduler.critical_path("Sum_1")
    assert steps(path, "state", "spent_seconds", "expected_seconds", "ended") == [
        ("Load_1", "RUNNING", 10, 20, None),
        ("Sum_1", "WAITING", 0, None, None),
    ]
    assert (path["steps"][0]["worker"], path["steps"][0]["started"]) == ("w", clock.now - 10)
    clock.advance(100)
    assert steps(scheduler.critical_path("Sum_1"), "spent_seconds", "expected_seconds")[0] == ("Load_1", 110, 0)


def test_failed_runs_and_their_retries_are_time_spent(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(retry_delay=1)
    add(scheduler, "Load_1")
    for seconds, status in ((7, "FAILED"), (5, "FAILED"), (3, "DONE")):
        clock.advance(2)
        scheduler.prune()
        run(scheduler, clock, "w", seconds, status=status)
    (step,) = scheduler.critical_path("Load_1")["steps"]
    assert (step["spent_seconds"], step["expected_seconds"]) == (15, 0)
    assert (step["started"], step["ended"], step["worker"]) == (clock.now - 3, clock.now, "w")


def test_of_a_family_without_a_run_nobody_knows_how_long_it_takes(scheduler: Scheduler) -> None:
    add(scheduler, "Load_1", family="Load")
    add(scheduler, "Sum_1", family="Sum", deps=["Load_1", "Gone_1"])
    path = scheduler.critical_path("Sum_1")
    assert path["expected_seconds"] == 0
    assert len(path["steps"]) == 2, "of chains that take equally long one with most tasks"
    assert (path["unknown_families"], path["n_unknown_families"]) == (["Gone", "Load", "Sum"], 3)


def test_a_missing_dep_is_named(scheduler: Scheduler) -> None:
    add(scheduler, "a")
    scheduler.add_task(worker="h", task_id="a", new_deps=["Lost_1"], assistant=True)  # which makes no placeholders
    path = scheduler.critical_path("a")
    assert (path["missing"], path["n_missing"]) == (["Lost_1"], 1)
    assert steps(path, "state", "status") == [("Lost_1", "MISSING", None), ("a", "WAITING", "PENDING")]


def test_a_ring_is_named_and_cut_where_it_closes(scheduler: Scheduler) -> None:
    for task, deps in {"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": []}.items():
        add(scheduler, task, deps=deps)
    path = scheduler.critical_path("a")
    assert path["cycle"] == ["b", "c"]
    assert steps(path) == [("d",), ("c",), ("b",), ("a",)]


def test_a_submission_ends_with_what_was_submitted(scheduler: Scheduler, clock: FakeClock) -> None:
    run_family(scheduler, clock, "F", 10)
    for task, deps in {"x": [], "y": ["x"], "z": ["y"], "lone": []}.items():
        scheduler.add_task(worker="s", task_id=task, family="F", deps=deps)
    scheduler.add_submission(submission="s", tasks=["y", "z", "lone"])
    path = scheduler.critical_path(submission="s")
    assert (steps(path), path["task_id"], path["expected_seconds"]) == ([("x",), ("y",), ("z",)], "z", 30)
    assert path["looked_at"] == 4


def test_of_what_nobody_knows_there_is_none(scheduler: Scheduler) -> None:
    assert scheduler.critical_path("nobody") is None
    assert scheduler.critical_path(submission="nobody") is None


def test_tasks_that_are_gone_leave_a_submission_without_a_chain(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="s", task_id="x", family="F")
    scheduler.add_submission(submission="s", tasks=["x"])
    scheduler.cancel_submission(submission="s")
    scheduler.prune()
    clock.advance(10_000)
    scheduler.prune()
    path = scheduler.critical_path(submission="s")
    assert (path["steps"], path["task_id"], path["looked_at"]) == ([], None, 0)


@pytest.mark.parametrize("wrong", [{}, {"task_id": "a", "submission": "s"}, {"task_id": "a", "by": "luck"}])
def test_what_cannot_be_asked_is_refused(scheduler: Scheduler, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        scheduler.critical_path(**wrong)


def test_a_long_line_is_followed_to_its_beginning_and_the_bound_is_said(scheduler: Scheduler) -> None:
    def line(name: str, length: int) -> str:
        tasks = [
            {"task_id": f"{name}_{n}", "family": "T", "deps": [f"{name}_{n - 1}"] if n else []} for n in range(length)
        ]
        for start in range(0, length, 1000):
            scheduler.add_tasks("w", tasks[start : start + 1000])
        return f"{name}_{length - 1}"

    whole = scheduler.critical_path(line("Short", 500))
    assert (len(whole["steps"]), whole["complete"]) == (500, True)
    cut = scheduler.critical_path(line("Long", LOOKED_AT + 10))
    assert (len(cut["steps"]), cut["looked_at"], cut["complete"], cut["further"]) == (LOOKED_AT, LOOKED_AT, False, 1)


def test_a_wide_graph_costs_no_more_than_what_is_looked_at(real_scheduler: Scheduler) -> None:
    costs = {}
    for size in (1_000, 2_500):
        names = [f"Dep{size}_{number}" for number in range(size)]
        for start in range(0, size, 1000):
            real_scheduler.add_tasks("w", [{"task_id": each, "family": "T"} for each in names[start : start + 1000]])
        add(real_scheduler, f"all{size}", deps=names)
        costs[size] = commands_of(real_scheduler, partial(real_scheduler.critical_path, f"all{size}"))
    assert costs[2_500] <= costs[1_000] + 10 < 7 * LOOKED_AT

"""Tasks whose deps form a cycle, or that depend on themselves, never run; indexes and views are right all the same.

The scheduler accepts a cycle, since the reference does. It must neither hang on one nor be left with a wrong index
when a task of the cycle is disabled, enabled again or done.
"""

from __future__ import annotations

import random

import pytest

from broker_sched import Scheduler
from broker_sched.contract.states import UPSTREAM_OF_STATUS, UPSTREAM_SEVERITY
from broker_sched.scheduler.operations import tasks as task_operations
from tests.conftest import FakeClock


def upstream_of_pending(scheduler: Scheduler) -> dict[str, str]:
    """Each PENDING task's upstream status, as task_list tells it."""
    found = {}
    for upstream in UPSTREAM_SEVERITY[1:]:
        shown = scheduler.task_list(status="PENDING", upstream_status=upstream, limit=False)
        assert not set(found) & set(shown), "a task is shown under two of them"
        found.update(dict.fromkeys(shown, upstream))
    return found


def expected_upstream(scheduler: Scheduler) -> dict[str, str]:
    """The same from the graph: the worst of all that is reached through PENDING tasks with deps."""
    graph = scheduler.graph()
    expected = {}
    for root, task in graph.items():
        if task["status"] != "PENDING":
            continue
        seen, wave, worst = {root}, [root], ""
        while wave:
            node = wave.pop()
            status = graph[node]["status"] if node in graph else "UNKNOWN"
            if status == "PENDING" and graph[node]["deps"]:
                fresh = set(graph[node]["deps"]) - seen
                seen |= fresh
                wave += fresh
            else:
                worst = max(worst, UPSTREAM_OF_STATUS.get(status, ""), key=UPSTREAM_SEVERITY.index)
        if worst:
            expected[root] = worst
    return expected


@pytest.mark.parametrize(("status", "upstream"), [("FAILED", "UPSTREAM_FAILED"), ("DISABLED", "UPSTREAM_DISABLED")])
def test_every_task_of_a_cycle_shows_the_upstream_status_that_one_of_them_has(
    scheduler: Scheduler, status: str, upstream: str
) -> None:
    scheduler.add_task(worker="w", task_id="bad", family="Bad", status=status)
    scheduler.add_task(worker="w", task_id="a", family="A", deps=["c", "bad"])
    scheduler.add_task(worker="w", task_id="b", family="B", deps=["a"])
    scheduler.add_task(worker="w", task_id="c", family="C", deps=["b"])
    scheduler.add_task(worker="w", task_id="self", family="S", deps=["self", "c"])
    assert upstream_of_pending(scheduler) == dict.fromkeys(("a", "b", "c", "self"), upstream)


def test_tasks_of_a_cycle_count_again_when_the_disabled_one_above_it_is_done(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="bad", status="DISABLED")
    scheduler.add_task(worker="w", task_id="a", deps=["b", "bad"])
    scheduler.add_task(worker="w", task_id="b", deps=["a"])
    scheduler.add_task(worker="w", task_id="self", deps=["self", "b"])
    assert scheduler.count_pending(worker="w")["n_pending_tasks"] == 0
    scheduler.add_task(worker="w", task_id="bad", status="DONE")
    assert scheduler.count_pending(worker="w")["n_pending_tasks"] == 3
    assert scheduler.verify() == []


def test_a_task_that_depends_on_itself_counts_again_when_it_is_no_longer_disabled(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", deps=["a"])
    scheduler.add_task(worker="w", task_id="a", status="DISABLED", deps=["a"])
    scheduler.add_task(worker="w", task_id="a", deps=["a"])
    assert scheduler.count_pending(worker="w")["n_pending_tasks"] == 1
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="w", task_id="a", deps=[])
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def change(scheduler: Scheduler, clock: FakeClock, chance: random.Random) -> None:
    """One random call on one of a few tasks, any of which may depend on any other and on itself."""
    names = [f"T{number}" for number in range(6)]
    task_id, worker = chance.choice(names), chance.choice("vw")
    kind = chance.randrange(10)
    if kind < 5:
        deps = chance.choice([None, [], chance.sample(names, chance.randrange(1, 4))])
        more = chance.sample(names, 2) if chance.random() < 0.2 else None
        status = chance.choice(["PENDING", "PENDING", "PENDING", "DONE", "FAILED", "DISABLED", "UNKNOWN", "RUNNING"])
        scheduler.add_task(worker=worker, task_id=task_id, family="F", status=status, deps=deps, new_deps=more)
    elif kind == 5:
        scheduler.get_work(worker=worker)
    elif kind == 6:
        clock.advance(chance.choice([1, 20, 700]))
        scheduler.prune()
    elif kind == 7:
        scheduler.re_enable_task(task_id=task_id)
    else:
        scheduler.forgive_failures(task_id=task_id) if kind == 8 else scheduler.mark_as_done(task_id=task_id)


@pytest.mark.parametrize("seed", [2, 149])
def test_indexes_and_views_are_right_in_any_graph_of_deps(
    scheduler: Scheduler, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    if seed % 2:  # nearly every list of deps is a long one, read in by deferred steps
        monkeypatch.setattr(task_operations, "MAX_DEPS_AT_ONCE", 1)
    chance = random.Random(seed)
    for step in range(60):
        change(scheduler, clock, chance)
        assert scheduler.verify() == [], f"after step {step}"
        assert upstream_of_pending(scheduler) == expected_upstream(scheduler), f"after step {step}"


def test_a_ring_of_hundreds_of_tasks_is_found_to_have_nothing_disabled_above_it(scheduler: Scheduler) -> None:
    ring = [f"r{number}" for number in range(400)]
    scheduler.add_task(worker="w", task_id="bad", status="DISABLED")
    for number, name in enumerate(ring):
        scheduler.add_task(worker="w", task_id=name, deps=[ring[number - 1], *(["bad"] if number == 7 else [])])
    assert scheduler.count_pending(worker="w")["n_pending_tasks"] == 0
    scheduler.add_task(worker="w", task_id="bad", status="DONE")
    assert scheduler.count_pending(worker="w")["n_pending_tasks"] == len(ring)

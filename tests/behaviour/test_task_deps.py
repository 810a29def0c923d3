"""`task_deps` lists what a task depends on directly, or what depends on it, with where each stands; a page at a time.

What somebody has to see to comes first. However many there are, a call looks at about a thousand tasks.
"""

from __future__ import annotations

import pytest

from broker_sched.errors import InvalidArgument
from tests.behaviour.runs import add, fail
from tests.behaviour.test_flat_cost import commands_of

MANY = 3_000


def names(reply):
    return [each["task_id"] for each in reply["tasks"]]


def pages(scheduler, **arguments):
    """All pages of a listing."""
    replies = [scheduler.task_deps(**arguments)]
    while replies[-1]["cursor"]:
        replies.append(scheduler.task_deps(**arguments, cursor=replies[-1]["cursor"]))
    return replies


@pytest.fixture
def mixed(scheduler, clock):
    """Task t has deps in seven states, and is itself one of two deps of `above`."""
    add(scheduler, "cause")
    scheduler.add_task(worker="w", task_id="cause", status="DISABLED")
    add(scheduler, "failed", priority=9)
    fail(scheduler, clock, "w", "OSError: disk full")
    add(scheduler, "done1", "done2", "ready", "later")
    for task_id in ("done1", "done2"):
        scheduler.add_task(worker="w", task_id=task_id, status="DONE")
    add(scheduler, "waiting", deps=["ready"])
    add(scheduler, "blocked", deps=["cause"])
    deps = ["done1", "ready", "waiting", "placeholder", "failed", "blocked", "done2", "cause"]
    add(scheduler, "t", deps=deps)
    add(scheduler, "above", deps=["t", "later"])
    return scheduler


def test_what_somebody_has_to_see_to_comes_first_and_what_is_done_last(mixed):
    found = mixed.task_deps("t")
    assert [(each["task_id"], each["state"]) for each in found["tasks"]] == [
        ("cause", "DISABLED"),
        ("failed", "FAILED"),
        ("placeholder", "UNKNOWN"),
        ("blocked", "BLOCKED"),
        ("ready", "READY"),
        ("waiting", "WAITING"),
        ("done1", "DONE"),
        ("done2", "DONE"),
    ]
    assert found["counts"] == {
        **dict.fromkeys(("DISABLED", "FAILED", "UNKNOWN", "BLOCKED", "READY", "WAITING"), 1),
        "DONE": 2,
    }
    assert (found["total"], found["cursor"]) == (8, None)
    failed = found["tasks"][1]["task"]
    assert (failed["error"], failed["state"], failed["family"]) == ("OSError: disk full", "FAILED", "F")


def test_a_dep_that_was_removed_is_missing(scheduler):
    add(scheduler, "gone")
    add(scheduler, "t", deps=["gone"])
    scheduler.change_tasks(["t"], "done")
    scheduler.change_tasks(["gone"], "remove")
    assert scheduler.task_deps("t")["tasks"] == [{"task_id": "gone", "state": "MISSING", "task": None}]
    assert names(scheduler.task_deps("gone", direction="dependents")) == ["t"]
    assert scheduler.task_deps("t", status="MISSING")["total"] == 1


def test_dependents_are_listed_the_same_way(mixed):
    found = mixed.task_deps("t", direction="dependents")
    assert (names(found), found["counts"], found["total"]) == (["above"], {"BLOCKED": 1}, 1)
    assert names(mixed.task_deps("done1", direction="dependents", status="PENDING")) == ["t"]
    assert names(mixed.task_deps("done1", direction="dependents", status="RUNNING")) == []


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"status": "DONE"}, ["done1", "done2"]),
        ({"status": "FAILED"}, ["failed"]),
        ({"status": "PENDING"}, ["blocked", "ready", "waiting"]),
        ({"status": "WAITING"}, ["waiting"]),
        ({"include_done": False}, ["cause", "failed", "placeholder", "blocked", "ready", "waiting"]),
        ({"include_done": False, "status": "DONE"}, []),
        ({"status": "MISSING"}, []),
    ],
)
def test_a_filter_leaves_out_others_and_keeps_the_counts_of_all(mixed, filters, wanted):
    found = mixed.task_deps("t", **filters)
    assert names(found) == wanted
    if filters != {"include_done": False, "status": "DONE"}:
        assert found["counts"] == mixed.task_deps("t")["counts"]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
@pytest.mark.parametrize("filters", [{}, {"status": "DONE"}, {"status": "PENDING"}, {"include_done": False}])
def test_its_pages_together_are_the_whole(mixed, limit, filters):
    replies = pages(mixed, task_id="t", limit=limit, **filters)
    whole = names(mixed.task_deps("t", **filters))
    assert [name for reply in replies for name in names(reply)] == whole
    assert all(len(reply["tasks"]) <= limit for reply in replies)
    assert replies[-1]["looked_at"] == len(whole)


def test_nobody_knows_of_an_unknown_task(scheduler):
    assert scheduler.task_deps("nobody's") is None


@pytest.fixture
def large(scheduler):
    """Task t has 3,000 deps, of which five failed, and a thousand are DONE; each is needed by one more."""
    tasks = [{"task_id": f"d{number}", "family": "D"} for number in range(MANY)]
    for start in range(0, MANY, 1000):
        scheduler.add_tasks(worker="w", tasks=tasks[start : start + 1000])
    done = [{"task_id": f"d{number}", "status": "DONE"} for number in range(1000)]
    scheduler.add_tasks(worker="w", tasks=done)
    failed = [{"task_id": f"d{number}", "status": "FAILED"} for number in range(MANY - 5, MANY)]
    scheduler.add_tasks(worker="w", tasks=failed)
    scheduler.add_task(worker="w", task_id="t", deps=[each["task_id"] for each in tasks])
    while scheduler.task_details("t")["n_deps"] < MANY:
        scheduler.prune()  # it goes on with what is deferred
    return scheduler


def test_of_very_many_each_is_listed_in_some_order(large):
    replies = pages(large, task_id="t", limit=200)
    assert {name for reply in replies for name in names(reply)} == {f"d{number}" for number in range(MANY)}
    assert all(len(reply["tasks"]) <= 300 and reply["counts"] is None for reply in replies)
    failed = pages(large, task_id="t", status="FAILED")
    assert sorted(name for reply in failed for name in names(reply)) == [f"d{n}" for n in range(MANY - 5, MANY)]
    done = pages(large, task_id="t", status="DONE", limit=1000)
    assert len({name for reply in done for name in names(reply)}) == 1000


def test_few_that_are_not_done_come_first_among_very_many(large):
    done = [{"task_id": f"d{number}", "status": "DONE"} for number in range(MANY - 5)]
    for start in range(0, MANY, 1000):
        large.add_tasks(worker="w", tasks=done[start : start + 1000])
    while large.task_details("t")["n_unmet"] > 5:
        large.prune()
    found = large.task_deps("t")
    assert names(found)[:5] == [f"d{number}" for number in range(MANY - 5, MANY)]
    assert found["counts"] == {"FAILED": 5, "DONE": MANY - 5}


def test_a_call_looks_at_about_a_thousand_tasks(large):
    for arguments in ({}, {"status": "RUNNING"}, {"status": "DONE"}, {"limit": 1000}):
        assert commands_of(large, lambda arguments=arguments: large.task_deps("t", **arguments)) < 5_500, arguments


@pytest.mark.parametrize("cursor", ["", "nonsense", "W10"])
def test_what_is_no_cursor_is_refused(mixed, cursor):
    with pytest.raises(InvalidArgument, match="cursor"):
        mixed.task_deps("t", cursor=cursor)


def test_a_cursor_of_another_listing_is_refused(mixed):
    cursor = mixed.task_deps("t", limit=1)["cursor"]
    with pytest.raises(InvalidArgument, match="cursor"):
        mixed.task_deps("t", limit=1, cursor=cursor, direction="dependents")

"""`families` shows each family's tasks by state, how long its runs take, and what failed last.

Run times are those of the last 100 runs that ended DONE, so that they tell how it is now; the 95th percentile is the
shortest of them that at least 95 % did not exceed. The largest families come first.
"""

import json
import math
import random

import pytest

from tests.behaviour.runs import add, run
from tests.behaviour.test_tasks_listing import add_random_tasks, plain_look


def all_families(scheduler, limit=200):
    found, cursor = [], None
    while True:
        reply = scheduler.families(limit=limit, cursor=cursor)
        found += reply["families"]
        cursor = reply["cursor"]
        assert len(reply["families"]) == limit or cursor is None
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 200])
def test_each_is_listed_once_with_its_tasks_by_state_and_most_tasks_first(scheduler, clock, limit):
    add_random_tasks(scheduler, clock, random.Random(7), 60)
    expected = {}
    for task in plain_look(scheduler):
        by_state = expected.setdefault(task["family"], {})
        by_state[task["state"]] = by_state.get(task["state"], 0) + 1
    listed = all_families(scheduler, limit)
    assert {family["family"]: family["tasks"] for family in listed} == expected
    assert all(family["total"] == sum(family["tasks"].values()) for family in listed)
    totals = [family["total"] for family in listed]
    assert (totals, len(listed)) == (sorted(totals, reverse=True), len(expected))


def test_a_saved_cursor_goes_on_when_families_have_come_and_gone(scheduler):
    for number in range(6):
        add(scheduler, *[f"t{number}_{n}" for n in range(6 - number)], family=f"F{number}")
    first = scheduler.families(limit=2)
    assert [family["family"] for family in first["families"]] == ["F0", "F1"]
    add(scheduler, *[f"new_{n}" for n in range(9)], family="New")
    second = scheduler.families(limit=9, cursor=first["cursor"])
    assert [family["family"] for family in second["families"]] == ["F2", "F3", "F4", "F5"]


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 100, 130])
def test_run_times_are_those_of_the_last_hundred_runs(scheduler, clock, count):
    draw = random.Random(count)
    seconds = [draw.choice([1, 2, 7.5, 60]) + draw.randrange(20) for _ in range(count)]
    add(scheduler, *[f"t{n}" for n in range(count + 1)])
    for each in seconds:
        run(scheduler, clock, "w", each)
    (family,) = scheduler.families()["families"]
    recent = sorted(seconds[-100:])
    assert family["runs"] == count
    assert family["mean_seconds"] == pytest.approx(sum(recent) / len(recent))
    assert family["p95_seconds"] == pytest.approx(recent[math.ceil(0.95 * len(recent)) - 1])
    assert sum(each <= family["p95_seconds"] + 1e-6 for each in recent) >= 0.95 * len(recent)


def test_a_family_without_a_run_has_no_run_time(scheduler):
    add(scheduler, "t0")
    (family,) = scheduler.families()["families"]
    assert (family["runs"], family["mean_seconds"], family["p95_seconds"], family["last_error"]) == (
        0,
        None,
        None,
        None,
    )


def test_failures_of_the_last_hour_and_the_last_error_are_shown(scheduler, clock):
    add(scheduler, "t0", "t1", "t2")
    add(scheduler, "good", family="Good")
    for number in range(3):
        expl = json.dumps(f"Traceback:\n  line\nOSError: disk {number} full\n\n")
        run(scheduler, clock, "w", 1, status="FAILED", expl=expl)
        failed_at = clock.now
        clock.advance(1000)
    by_name = {family["family"]: family for family in scheduler.families()["families"]}
    assert (by_name["F"]["failed_last_hour"], by_name["Good"]["failed_last_hour"]) == (3, 0)
    assert by_name["F"]["last_error"] == "OSError: disk 2 full"
    assert (by_name["F"]["last_failed"], by_name["F"]["last_failed_task"]) == (failed_at, "t2")
    clock.advance(2000)
    by_name = {family["family"]: family for family in scheduler.families()["families"]}
    assert by_name["F"]["failed_last_hour"] == 1


def test_a_paused_family_is_shown_as_such(scheduler):
    add(scheduler, "t0", family="A")
    add(scheduler, "t1", family="B")
    scheduler.pause_family("B")
    assert {family["family"]: family["paused"] for family in scheduler.families()["families"]} == {
        "A": False,
        "B": True,
    }
    assert scheduler.overview()["paused_families"] == ["B"]

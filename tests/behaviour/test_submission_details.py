"""`submission_details` says how far a submission is and when it may end, at a cost that does not grow with it.

Of a large submission a thousand tasks are looked at, chosen by chance; how many there are is exact, and what is left of
them is in proportion.
"""

from __future__ import annotations

import pytest

from broker_sched import Scheduler
from broker_sched.scheduler.operations import submission_details
from tests.behaviour.test_submissions import run, submit, work
from tests.conftest import FakeClock


def test_an_active_one_shows_its_tasks_by_state_and_family_and_what_runs(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="s", task_id="bad", family="B")
    scheduler.add_task(worker="s", task_id="extern", family="E", runnable=False)
    submit(scheduler, a=[], b=["a"], c=["bad"])
    scheduler.add_task(worker="other", task_id="no part of it", family="O")
    scheduler.add_task(worker="fleet", assistant=True, task_id="bad", status="DISABLED", runnable=None)
    assert work(scheduler) == "a"
    seen = scheduler.submission_details("s")
    assert seen is not None
    assert (seen["state"], seen["total"], seen["looked_at"]) == ("ACTIVE", 5, 5)
    assert seen["counts"] == {"RUNNING": 1, "WAITING": 1, "BLOCKED": 1, "DISABLED": 1, "EXTERNAL": 1}
    by_family = {each["family"]: each["tasks"] for each in seen["families"]}
    assert by_family["B"] == {"DISABLED": 1} and by_family["E"] == {"EXTERNAL": 1} and "O" not in by_family
    assert [(each["task_id"], each["worker"]) for each in seen["running"]] == [("a", "fleet")]
    assert seen["failed"] == ["bad"]


def test_one_that_has_ended_shows_what_was_kept_and_an_unknown_one_is_none(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    assert scheduler.submission_details("s") is None
    submit(scheduler, a=[], b=[])
    run(scheduler)
    run(scheduler)
    scheduler.prune()
    seen = scheduler.submission_details("s")
    assert seen is not None
    assert (seen["state"], seen["total"], seen["counts"], seen["running"]) == ("DONE", 2, {"DONE": 2}, [])
    assert seen["estimated_end"] == {"at": clock.now, "reason": None} and seen["ended"] == clock.now


def test_its_end_is_what_is_left_of_it_over_the_slots_of_the_workers(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_worker("fleet", {"workers": 2})
    names = "abcde"
    for name in names:
        scheduler.add_task(worker="s", task_id=name, family="F")
    scheduler.add_submission("s", list(names))
    scheduler.add_task(worker="other", task_id="x", family="Never run")
    seen = scheduler.submission_details("s")
    assert seen is not None and seen["estimated_end"]["at"] is None
    assert "no run of the family F was DONE yet" in (seen["estimated_end"]["reason"] or "")
    assert work(scheduler) is not None
    clock.advance(10)
    scheduler.add_task(worker="fleet", assistant=True, task_id="a", status="DONE", runnable=None)
    seen = scheduler.submission_details("s")
    assert seen is not None and seen["estimated_end"]["at"] == clock.now + 4 * 10 / 2
    scheduler.pause()
    seen = scheduler.submission_details("s")
    assert seen is not None and seen["estimated_end"] == {"at": None, "reason": "handing out is paused"}


def test_of_a_large_one_some_tasks_are_looked_at_and_the_estimate_is_for_all(
    scheduler: Scheduler, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission_details, "MOST_LOOKED_AT", 40)
    scheduler.add_worker("fleet", {"workers": 1})
    scheduler.add_tasks("s", [{"task_id": f"t{number}", "family": "F"} for number in range(300)])
    for shared in range(50):  # several stakeholder sets
        scheduler.add_task(worker="too", task_id=f"t{shared}", family="F")
    for submission in ("s", "too"):
        scheduler.add_submission(submission, ["t0"])
    work(scheduler)
    clock.advance(2)
    scheduler.add_task(worker="fleet", assistant=True, task_id="t0", status="DONE", runnable=None)
    seen = scheduler.submission_details("s")
    assert seen is not None
    assert seen["total"] == 300 and 38 <= seen["looked_at"] <= 40
    left = ((seen["estimated_end"]["at"] or 0) - clock.now) / 2
    assert 285 <= left <= 300

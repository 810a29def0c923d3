"""What is kept for whoever looks: which tasks are in which state, of which family, since when; and what became of runs.

Nothing that looks may read all tasks. So the scripts keep sorted sets and sums of them as states change, and each can
be computed from the tasks alone: every test ends with that comparison.
"""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import pytest

from broker_sched import InvalidArgument, Scheduler, Superseded
from broker_sched.scheduler.family_counts import read_counts
from tests.conftest import FakeClock, SchedulerFactory
from tests.nightly import by_night
from tests.simulation.test_interleaved import random_call

START = 1_000_000.0


def listed(scheduler: Scheduler) -> dict[str, dict[str, float]]:
    """`STATE family` → task id → since when, of every listing there is."""
    client, start = scheduler._client, scheduler.namespace.key("tasks", "")
    found = {}
    for name in client.scan_iter(match=f"{start}*"):
        state, _, family = name.removeprefix(start).partition(":")
        entries = client.zrange(name, 0, -1, withscores=True)
        found[f"{state} {family}".strip()] = {
            client.hget(scheduler.namespace.key("ids"), n): since for n, since in entries
        }
    return found


def state_of(scheduler: Scheduler, task_id: str) -> str:
    (state,) = [state for state, tasks in listed(scheduler).items() if task_id in tasks]
    return state


def since(scheduler: Scheduler, task_id: str) -> float:
    return listed(scheduler)[state_of(scheduler, task_id)][task_id]


def counts(scheduler: Scheduler) -> dict[str, dict[str, int]]:
    return scheduler.drive(read_counts(scheduler.namespace))


def test_a_task_is_listed_under_its_state_and_its_family(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="down", family="F")
    scheduler.add_task(worker="w", task_id="up", family="G", deps=["down", "never added"])
    assert listed(scheduler) == {
        "READY F": {"down": START},
        "WAITING G": {"up": START},
        "UNKNOWN": {"never added": START},
    }


STATUSES = {
    "RUNNING": {"status": "RUNNING"},
    "DONE": {"status": "DONE"},
    "FAILED": {"status": "FAILED"},
    "DISABLED": {"status": "DISABLED"},
    "UNKNOWN": {"status": "UNKNOWN"},
    "READY": {"status": "PENDING"},
    "WAITING": {"status": "PENDING", "deps": ["other"]},
    "BLOCKED": {"status": "PENDING", "deps": ["disabled"]},
}


@pytest.mark.parametrize("state", STATUSES)
def test_each_state_is_entered_and_left(scheduler: Scheduler, state: str) -> None:
    scheduler.add_task(worker="w", task_id="disabled", status="DISABLED")
    scheduler.add_task(worker="w", task_id="t", family="F", **STATUSES[state])
    assert state_of(scheduler, "t") == f"{state} F"
    scheduler.add_task(worker="w", task_id="t", family="F", status="DONE" if state == "RUNNING" else "RUNNING")
    assert state_of(scheduler, "t") == ("DONE F" if state == "RUNNING" else "RUNNING F")


def test_members_of_a_running_batch_are_a_state_of_their_own(scheduler: Scheduler) -> None:
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day in ("1", "2"):
        scheduler.add_task(worker="w", task_id=f"day {day}", family="F", params={"day": day}, batchable=True)
    batch = scheduler.get_work(worker="w")
    assert listed(scheduler) == {"BATCH_RUNNING F": {"day 1": START, "day 2": START}}
    scheduler.add_task(worker="w", task_id="all", family="F", status="RUNNING", batch_id=batch["batch_id"])
    scheduler.add_task(worker="w", task_id="all", status="DONE")
    assert counts(scheduler) == {"F": {"DONE": 3}}


def test_what_a_disabled_task_blocks_is_told_from_what_waits(scheduler: Scheduler) -> None:
    """At any distance; a dep that only failed blocks nothing."""
    for task, deps in (("d", []), ("c", ["d"]), ("b", ["c"]), ("f", []), ("g", ["f"])):
        scheduler.add_task(worker="w", task_id=task, deps=deps)
    scheduler.add_task(worker="w", task_id="f", status="FAILED")
    scheduler.add_task(worker="w", task_id="d", status="DISABLED")
    assert set(listed(scheduler)["BLOCKED"]) == {"b", "c"}
    assert set(listed(scheduler)["WAITING"]) == {"g"}
    scheduler.add_task(worker="w", task_id="d", status="DONE")
    assert set(listed(scheduler)["WAITING"]) == {"b", "g"}
    assert "BLOCKED" not in listed(scheduler)


def test_a_task_counts_as_ready_since_it_was_not_since_it_was_added(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="w", task_id="down")
    scheduler.add_task(worker="w", task_id="up", deps=["down"])
    clock.advance(100)
    scheduler.add_task(worker="w", task_id="down", status="DONE")
    assert (since(scheduler, "down"), since(scheduler, "up")) == (START + 100, START + 100)
    assert scheduler.task_list()["up"]["last_updated"] == START, "Luigi's clients see when it got its status"


def test_a_task_that_is_not_ready_any_more_is_as_old_as_its_status(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="w", task_id="down")
    scheduler.add_task(worker="w", task_id="up", deps=["down"])
    clock.advance(100)
    scheduler.add_task(worker="w", task_id="down", status="DONE")
    clock.advance(100)
    scheduler.add_task(worker="w", task_id="down", status="PENDING")
    assert (state_of(scheduler, "up"), since(scheduler, "up")) == ("WAITING", START)


@pytest.mark.parametrize("plainly", [True, False])
def test_when_it_runs_it_is_forgotten_since_when_it_was_ready(
    scheduler: Scheduler, clock: FakeClock, plainly: bool
) -> None:
    scheduler.add_task(worker="w", task_id="down", status="DONE")
    scheduler.add_task(worker="w", task_id="up", deps=["down", "later"])
    clock.advance(100)
    scheduler.add_task(worker="w", task_id="later", status="DONE", runnable=False)
    clock.advance(100)
    scheduler.get_work(worker="w", assistant=not plainly)
    assert listed(scheduler)["RUNNING"] == {"up": START + 200}
    assert not scheduler._client.hget(scheduler.namespace.key("task", "up"), "ready_since")


def test_a_failed_task_is_ready_since_its_retry(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(retry_delay=10)
    scheduler.add_task(worker="w", task_id="t", status="FAILED")
    clock.advance(50)
    scheduler.ping(worker="w")
    scheduler.prune()
    assert (state_of(scheduler, "t"), since(scheduler, "t")) == ("READY", START + 50)


@pytest.mark.parametrize("more", [{}, {"tracking_url": "http://t"}])
def test_a_placeholder_that_is_added_moves_to_its_family(scheduler: Scheduler, more: dict[str, Any]) -> None:
    scheduler.add_task(worker="w", task_id="up", family="F", deps=["down"])
    assert counts(scheduler) == {"F": {"WAITING": 1}, "": {"UNKNOWN": 1}}
    scheduler.add_task(worker="w", task_id="down", family="G", **more)
    assert counts(scheduler) == {"F": {"WAITING": 1}, "G": {"READY": 1}}


def test_a_placeholder_may_be_told_its_family_and_stay_one(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="up", family="F", deps=["down"])
    scheduler.add_task(worker="w", task_id="down", family="G", status="UNKNOWN", runnable=False)
    assert state_of(scheduler, "down") == "UNKNOWN G"


def test_all_tasks_are_counted_by_state_and_by_family(scheduler: Scheduler) -> None:
    for number in range(5):
        scheduler.add_task(worker="w", task_id=f"f{number}", family="F")
    scheduler.add_task(worker="w", task_id="g", family="G", deps=["f0"])
    scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="f1", status="DONE")
    assert counts(scheduler) == {"F": {"READY": 3, "RUNNING": 1, "DONE": 1}, "G": {"WAITING": 1}}


def test_a_task_that_is_removed_is_listed_and_counted_nowhere(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler = scheduler_factory(remove_delay=10)
    scheduler.add_task(worker="w", task_id="up", family="F", deps=["down"])
    for seconds in (61, 11):
        clock.advance(seconds)
        scheduler.prune()
    assert (listed(scheduler), counts(scheduler)) == ({}, {})
    assert not scheduler._client.exists(scheduler.namespace.key("families"))


def test_an_event_names_the_family(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="t", family="F")
    scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="t", status="DONE")
    events = scheduler._client.xrange(scheduler.namespace.key("events"))
    assert [(fields["family"], fields["to"]) for _, fields in events] == [("F", "RUNNING"), ("F", "DONE")]


def test_a_list_has_the_tasks_of_all_families(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", family="F")
    scheduler.add_task(worker="w", task_id="b", family="G", deps=["a", "c"])
    assert set(scheduler.task_list(status="PENDING")) == {"a", "b"}
    assert set(scheduler.task_list()) == {"a", "b", "c"}
    assert set(scheduler.task_search("b")["PENDING"]) == {"b"}


def family(scheduler: Scheduler, name: str = "F") -> dict[str, str]:
    return dict(scheduler._client.hgetall(scheduler.namespace.key("family", name)))


def run_times(scheduler: Scheduler, name: str = "F") -> list[float]:
    return [float(each) for each in scheduler._client.lrange(scheduler.namespace.key("run_times", name), 0, -1)]


def ended(scheduler: Scheduler, slice_number: float = START / 20) -> dict[str, str]:
    return dict(scheduler._client.hgetall(scheduler.namespace.key("ended", f"{slice_number:.0f}")))


def failed_runs(scheduler: Scheduler) -> list[dict[str, str]]:
    return [fields for _, fields in scheduler._client.xrange(scheduler.namespace.key("failed_runs"))]


def attempts(scheduler: Scheduler, task_id: str = "t") -> list[list[Any]]:
    """[attempt, started, ended, outcome, worker, host, error] of each run of the task that ended."""
    return [list(run.values()) for run in scheduler.task_details(task_id)["attempts"]]


def run(scheduler: Scheduler, clock: FakeClock, seconds: float = 3.0, task_id: str = "t", **report: Any) -> None:
    """The worker `w` runs the task for so long, and reports."""
    scheduler.add_task(worker="w", task_id=task_id, family="F")
    assert scheduler.get_work(worker="w", host="h")["task_id"] == task_id
    clock.advance(seconds)
    scheduler.add_task(**{"worker": "w", "task_id": task_id, "status": "DONE", **report})


@pytest.fixture
def brief(scheduler_factory: SchedulerFactory) -> Scheduler:
    """A scheduler in which a task may be run again and again, at once."""
    return scheduler_factory(stable_done_cooldown_secs=0, retry_delay=1, retry_count=1000, remove_delay=10)


def test_a_family_knows_how_long_its_last_runs_took(brief: Scheduler, clock: FakeClock) -> None:
    for number in range(125):
        run(brief, clock, seconds=number)
    assert run_times(brief)[:100] == [float(number) for number in range(124, 24, -1)]
    assert len(run_times(brief)) < 120
    assert family(brief)["runs"] == "125"


def test_what_was_done_without_a_run_is_no_run(brief: Scheduler, clock: FakeClock) -> None:
    brief.add_task(worker="w", task_id="complete", family="F", status="DONE")
    assert (family(brief), run_times(brief), ended(brief), attempts(brief, "complete")) == ({}, [], {}, [])


def test_a_run_that_an_operator_marks_as_done_says_nothing_of_how_long_runs_take(
    brief: Scheduler, clock: FakeClock
) -> None:
    brief.add_task(worker="w", task_id="t", family="F")
    brief.get_work(worker="w")
    clock.advance(7)
    brief.mark_as_done(task_id="t")
    assert (family(brief)["runs"], run_times(brief)) == ("1", [])
    assert attempts(brief)[0][1:4] == [START, START + 7, "DONE"]


def test_runs_are_counted_by_when_they_ended_and_where(brief: Scheduler, clock: FakeClock) -> None:
    run(brief, clock, 3)
    run(brief, clock, 3)
    run(brief, clock, 3, status="FAILED", expl="no")
    clock.advance(20)
    brief.prune()
    run(brief, clock, 3)
    assert ended(brief) == {"DONE": "2", "done_on:w": "2", "FAILED": "1", "failed:F": "1", "failed_on:w": "1"}
    assert ended(brief, START / 20 + 1) == {"DONE": "1", "done_on:w": "1"}
    lifetime = brief._client.ttl(brief.namespace.key("ended", f"{START / 20:.0f}"))
    assert 3600 < lifetime <= 3700


TRACE = 'Traceback:\n  File "x.py", line 3\nValueError: the disk is full\n\n'


def test_a_failure_is_noted_with_the_last_line_of_why(brief: Scheduler, clock: FakeClock) -> None:
    run(brief, clock, 3, status="FAILED", expl=json.dumps(TRACE))
    (failure,) = failed_runs(brief)
    attempt = brief._client.hget(brief.namespace.key("task", "t"), "attempt")
    assert failure == {
        **{"task_id": "t", "family": "F", "worker": "w", "host": "h", "attempt": attempt, "status": "FAILED"},
        **{"error": "ValueError: the disk is full", "time": f"{START + 3:.6f}"},
    }
    assert family(brief) == {
        "last_error": "ValueError: the disk is full",
        "last_failed": f"{START + 3:.6f}",
        "last_failed_task": "t",
    }


LONG = "x" * 30 + " " + "".join(f'line {number}: \u00e9 "quoted" \\\\ \n' for number in range(2000))


@pytest.mark.parametrize(
    ("expl", "line"),
    [
        ("plain text, no JSON", "plain text, no JSON"),
        (json.dumps("one\r\ntwo \r\n \n"), "two"),
        (json.dumps("ä" * 300), "ä" * 200),
        ("null", ""),
        ("", ""),
        (json.dumps({"a": 1}), '{"a": 1}'),
        (json.dumps(LONG), 'line 1999: \u00e9 "quoted" \\\\'),
        (json.dumps(LONG, ensure_ascii=False), 'line 1999: \u00e9 "quoted" \\\\'),
        (json.dumps("y" * 50_000), "y" * 200),
    ],
)
def test_the_last_line_is_found_in_any_explanation(brief: Scheduler, clock: FakeClock, expl: str, line: str) -> None:
    run(brief, clock, status="FAILED", expl=expl)
    assert failed_runs(brief)[0]["error"] == line


def test_one_failure_too_many_is_noted_as_such(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(retry_count=1)
    run(scheduler, clock, 3, status="FAILED", expl="no")
    assert failed_runs(scheduler)[0]["status"] == "DISABLED"
    assert ended(scheduler)["FAILED"] == "1"
    assert attempts(scheduler)[0][3:] == ["DISABLED", "w", "h", "no"]
    scheduler.re_enable_task("t")
    assert len(failed_runs(scheduler)) == 1, "that it is FAILED from then on is no failure"


def test_a_task_keeps_what_became_of_its_last_20_runs(brief: Scheduler, clock: FakeClock) -> None:
    for number in range(22):
        clock.advance(2)
        brief.prune()
        run(brief, clock, 3, status="FAILED" if number % 2 else "DONE", expl=f"why {number}")
    found = attempts(brief)
    assert [(how, line) for *_, how, _, _, line in found] == [
        ("FAILED", f"why {number}") if number % 2 else ("DONE", None) for number in range(2, 22)
    ]
    assert [end - start for _, start, end, *_ in found] == [3.0] * 20
    assert [attempt for attempt, *_ in found] == sorted({attempt for attempt, *_ in found})


def test_a_run_that_is_given_back_or_wants_more_deps_is_no_failure(brief: Scheduler, clock: FakeClock) -> None:
    brief.add_task(worker="w", task_id="t", family="F")
    brief.release_task(task_id="t", worker=brief.get_work(worker="w")["task_id"] and "w")
    brief.get_work(worker="w", host="h")
    brief.add_task(worker="w", task_id="t", new_deps=["more"], status="PENDING")
    assert [how for _, _, _, how, *_ in attempts(brief)] == ["PENDING", "WAITING"]
    assert (failed_runs(brief), ended(brief)) == ([], {})


def test_a_run_that_is_refused_is_given_back(brief: Scheduler) -> None:
    brief.add_task(worker="w", task_id="t", family="F", module="m")
    brief.get_work(worker="w")
    brief.refuse_tasks(worker="w", task_ids=["t"], reason="no module m", scope="module", seconds=1)
    assert [how for _, _, _, how, *_ in attempts(brief)] == ["PENDING"]


def test_a_run_whose_worker_was_silent_names_its_host_though_the_worker_is_gone(
    brief: Scheduler, clock: FakeClock
) -> None:
    brief.add_task(worker="w", task_id="t", family="F")
    brief.get_work(worker="w", host="build-7")
    clock.advance(61)
    brief.prune()
    *_, how, worker, host, line = attempts(brief)[0]
    assert (how, worker, host) == ("FAILED", "w", "build-7")
    assert "was silent since" in line
    assert failed_runs(brief)[0]["host"] == "build-7"


@pytest.mark.parametrize("status", ["DONE", "FAILED"])
def test_a_batch_is_as_many_runs_as_it_has_members(brief: Scheduler, clock: FakeClock, status: str) -> None:
    brief.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day in "123":
        brief.add_task(worker="w", task_id=day, family="F", params={"day": day}, batchable=True)
    batch = brief.get_work(worker="w", host="h")
    brief.add_task(worker="w", task_id="all", family="F", status="RUNNING", batch_id=batch["batch_id"])
    clock.advance(6)
    brief.add_task(worker="w", task_id="all", status=status, expl="why")
    where = "done_on:w" if status == "DONE" else "failed_on:w"
    assert {name: count for name, count in ended(brief).items() if name != "failed:F"} == {status: "3", where: "3"}
    assert [attempts(brief, day)[0][3] for day in "123"] == [status] * 3
    assert run_times(brief) == ([6.0] if status == "DONE" else []), "the run is the whole batch"
    assert sorted(each["task_id"] for each in failed_runs(brief)) == ([] if status == "DONE" else ["1", "2", "3"])


def test_what_is_known_of_a_family_outlives_its_last_task_by_30_days(brief: Scheduler, clock: FakeClock) -> None:
    run(brief, clock)
    run(brief, clock, status="FAILED", expl="no")
    keys = [brief.namespace.key(kind, "F") for kind in ("family", "run_times")]
    n = brief._client.hget(brief.namespace.key("task", "t"), "n")
    assert [brief._client.ttl(key) for key in keys] == [-1, -1]
    for seconds in (61, 11):
        clock.advance(seconds)
        brief.prune()
    assert listed(brief) == {}
    assert all(29 * 86400 < brief._client.ttl(key) <= 30 * 86400 for key in keys)
    assert not brief._client.exists(brief.namespace.key("attempts", n))
    brief.add_task(worker="w", task_id="new", family="F")
    assert [brief._client.ttl(key) for key in keys] == [-1, -1]
    assert family(brief)["runs"] == "1"


@pytest.mark.parametrize("seed", range(by_night(100, 5)))
def test_whatever_happens_every_task_is_listed_once(
    scheduler_factory: SchedulerFactory, clock: FakeClock, seed: int
) -> None:
    """That it is the right place is what the check at the end of each test says."""
    scheduler = scheduler_factory(
        remove_delay=30, retry_delay=20, worker_disconnect_delay=25, disable_persist=40, retry_count=3
    )
    chance, tasks = random.Random(seed), [f"t{number}" for number in range(12)]
    for _ in range(150):
        if chance.random() < 0.1:
            clock.advance(chance.choice([1, 10, 31, 60]))
        method, arguments = random_call(scheduler, chance, tasks)
        with contextlib.suppress(InvalidArgument, Superseded):  # of a transfer
            getattr(scheduler, method)(**arguments)
    names = [name for entries in listed(scheduler).values() for name in entries]
    assert len(names) == len(set(names)) == sum(sum(by_state.values()) for by_state in counts(scheduler).values())
    ends = [how for task_id in names for _, _, _, how, *_ in attempts(scheduler, task_id)]
    assert set(ends) <= {"DONE", "FAILED", "DISABLED", "PENDING", "WAITING", "UNKNOWN"}
    slices = scheduler._client.scan_iter(match=scheduler.namespace.key("ended", "*"))
    assert sum(int(scheduler._client.hget(each, "FAILED") or 0) for each in slices) == len(failed_runs(scheduler))

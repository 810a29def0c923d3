"""What is kept for whoever looks: which tasks are in which state, of which family, since when.

Nothing that looks may read all tasks. So the scripts keep sorted sets and sums of them as states change, and each can
be computed from the tasks alone: every test ends with that comparison.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from broker_sched import Scheduler
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
        method, arguments = random_call(chance, tasks)
        getattr(scheduler, method)(**arguments)
    names = [name for entries in listed(scheduler).values() for name in entries]
    assert len(names) == len(set(names)) == sum(sum(by_state.values()) for by_state in counts(scheduler).values())

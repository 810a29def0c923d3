"""`timeline` tells which task ran where, from when to when: each run once, whatever has become of its task since.

The events have the runs that ended lately, of tasks that were removed, too; beyond them each task that is there tells
of its last run. What is asked for a page at a time is the same as all at once.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.errors import InvalidArgument
from tests.behaviour.runs import add, run
from tests.behaviour.test_flat_cost import commands_of
from tests.conftest import FakeClock, SchedulerFactory
from tests.nightly import by_night

WORKERS = ("anna", "bob", "Worker(salt=1, host=ö)")
Run = tuple[str, str, str, float, float, str]  # task, family, worker, started, ended, outcome


class Runs:
    """Tasks that run, one after the other and side by side, on some workers; and a list of what ran, kept beside."""

    def __init__(self, scheduler: Scheduler, clock: FakeClock, chance: random.Random) -> None:
        self.scheduler, self.clock, self.chance = scheduler, clock, chance
        self.running: dict[str, tuple[str, float]] = {}
        self.ended: list[Run] = []
        self.names: list[str] = []
        scheduler.add_task(worker=WORKERS[0], task_id="dep", family="D", status="DONE")

    def go_on(self) -> None:
        """Something happens, after a while or at once."""
        self.clock.advance(self.chance.choice([0, 0, 0.5, 3, 20]))
        for worker in WORKERS:
            self.scheduler.ping(worker=worker)
        happens = self.chance.random()
        if happens < 0.35:
            self.add()
        elif happens < 0.6:
            self.begin()
        elif self.running:
            self.end(self.chance.choice(list(self.running)))

    def add(self) -> None:
        name = f"{self.chance.choice('AB')}_{len(self.names)}"
        self.names.append(name)
        for worker in WORKERS:
            self.scheduler.add_task(worker=worker, task_id=name, family=name[0])
        if self.chance.random() < 0.2:  # found complete: that is no run
            self.scheduler.add_task(worker=WORKERS[0], task_id=name, family=name[0], status="DONE")

    def begin(self) -> None:
        worker = self.chance.choice(WORKERS)
        task_id = self.scheduler.get_work(worker=worker)["task_id"]
        if task_id:
            self.running[task_id] = (worker, self.clock.now)

    def end(self, task_id: str) -> None:
        worker, started = self.running.pop(task_id)
        status = self.chance.choice(["DONE", "DONE", "FAILED", "PENDING", "given back"])
        if status == "given back":
            self.scheduler.release_task(worker=worker, task_id=task_id)
        else:
            deps = ["dep"] if status == "PENDING" else None  # its run() wants one
            self.scheduler.add_task(worker=worker, task_id=task_id, family=task_id[0], status=status, new_deps=deps)
        outcome = "PENDING" if status == "given back" else self.scheduler.task_details(task_id)["status"]
        self.ended.append((task_id, task_id[0], worker, started, self.clock.now, outcome))

    def last_of_tasks(self) -> list[Run]:
        """The last run of each task that has its status by it."""
        last = {each[0]: each for each in self.ended if each[0] not in self.running}
        return [
            each for each in last.values() if each[5] == self.scheduler.task_details(each[0])["status"] != "PENDING"
        ]


def shown(runs: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(each[name] for name in ("task_id", "family", "worker", "started", "ended", "outcome")) for each in runs
    ]


def read_pages(scheduler: Scheduler, **asked: Any) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What ended, and what runs, a page at a time."""
    running, ended, cursor = [], [], None
    while True:
        page = scheduler.timeline(cursor=cursor, **asked)
        assert len([each for each in page["runs"] if each["ended"] is not None]) <= asked.get("limit", 500)
        running += shown(each for each in page["runs"] if each["ended"] is None)
        ended += shown(each for each in page["runs"] if each["ended"] is not None)
        cursor = page["cursor"]
        if cursor is None:
            return running, ended


def assert_told(scheduler: Scheduler, runs: Runs, wanted: list[Run], **asked: Any) -> None:
    running, ended = read_pages(scheduler, **asked)
    since, until = asked.get("since", 0.0), asked.get("until", runs.clock.now)
    worker, family = asked.get("worker"), asked.get("family")
    fits = [
        each for each in wanted if since <= each[4] <= until and worker in (None, each[2]) and family in (None, each[1])
    ]
    assert sorted(ended) == sorted(fits)
    assert [each[4] for each in ended] == sorted((each[4] for each in ended), reverse=True)
    assert sorted(running) == sorted(
        (task, task[0], on, started, None, "RUNNING")
        for task, (on, started) in runs.running.items()
        if started <= until and worker in (None, on) and family in (None, task[0])
    )


@pytest.mark.parametrize("seed", range(by_night(60, 8)))
def test_every_run_is_told_once(scheduler_factory: SchedulerFactory, clock: FakeClock, seed: int) -> None:
    chance = random.Random(seed)
    scheduler = scheduler_factory(retry_delay=1, retry_count=2, disable_persist=10**6, stable_done_cooldown_secs=0)
    runs = Runs(scheduler, clock, chance)
    for _ in range(150):
        runs.go_on()
    for _ in range(6):
        asked: dict[str, Any] = {"limit": chance.choice([1, 3, 500])}
        if chance.random() < 0.5:
            asked["since"] = clock.now - chance.choice([0, 50, 200])
        if chance.random() < 0.5:
            asked["until"] = chance.choice(runs.ended)[4] if runs.ended else clock.now - 10
        if chance.random() < 0.3:
            asked["worker"] = chance.choice(WORKERS)
        if chance.random() < 0.3:
            asked["family"] = chance.choice("AB")
        assert_told(scheduler, runs, runs.ended, **asked)
    # Of what the events have no more, the tasks tell.
    scheduler._client.xtrim(scheduler.namespace.key("events"), maxlen=0)
    assert_told(scheduler, runs, runs.last_of_tasks(), limit=2)


def test_runs_of_removed_tasks_are_told(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(remove_delay=1, worker_disconnect_delay=10)
    add(scheduler, "a")
    run(scheduler, clock, "w", 4)
    ended = clock.now
    for _ in range(3):
        clock.advance(20)
        scheduler.prune()
    assert scheduler.task_details("a") is None
    assert shown(scheduler.timeline()["runs"]) == [("a", "F", "w", ended - 4, ended, "DONE")]


def test_a_run_that_its_dead_worker_left_is_told_as_failed(scheduler: Scheduler, clock: FakeClock) -> None:
    add(scheduler, "a")
    scheduler.add_task(worker="other", task_id="a")
    scheduler.get_work(worker="w")
    started = clock.now
    clock.advance(1000)
    scheduler.ping(worker="other")
    scheduler.prune()
    assert shown(scheduler.timeline()["runs"]) == [("a", "F", "w", started, clock.now, "FAILED")]


def test_what_people_or_a_worker_say_without_a_run_is_none(scheduler: Scheduler, clock: FakeClock) -> None:
    add(scheduler, "complete", "marked", "disabled", "failed", "scheduled")
    scheduler.add_task(worker="w", task_id="complete", status="DONE")
    scheduler.change_tasks(task_ids=["marked"], action="done")
    scheduler.change_tasks(task_ids=["disabled"], action="disable")
    scheduler.add_task(worker="w", task_id="failed", status="FAILED")
    assert scheduler.timeline()["runs"] == []


def test_each_member_of_a_batch_has_a_run(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task_batcher(worker="w", task_family="B", batched_args=["day"], max_batch_size=3)
    for day in "123":
        scheduler.add_task(worker="w", task_id=f"B_{day}", family="B", params={"day": day}, batchable=True)
    work = scheduler.get_work(worker="w")
    started, members = clock.now, work["batch_task_ids"]
    running = shown(scheduler.timeline()["runs"])
    assert sorted(running) == [(each, "B", "w", started, None, "BATCH_RUNNING") for each in sorted(members)]
    scheduler.add_task(
        worker="w", task_id="B_all", family="B", status="RUNNING", batch_id=work["batch_id"], params={"day": "1,2,3"}
    )
    clock.advance(5)
    scheduler.add_task(worker="w", task_id="B_all", family="B", status="DONE", batch_id=work["batch_id"])
    ended = shown(scheduler.timeline()["runs"])
    assert {each for each in ended if each[0] in members} == {
        (each, "B", "w", started, clock.now, "DONE") for each in members
    }


def test_it_is_said_since_when_all_is_known(scheduler: Scheduler, clock: FakeClock) -> None:
    add(scheduler, "a", "b")
    run(scheduler, clock, "w", 1)
    assert (scheduler.timeline()["whole_since"], scheduler.timeline()["now"]) == (None, clock.now)
    client, key = scheduler._client, scheduler.namespace.key("events")
    clock.advance(5)
    fields = {"task_id": "x", "family": "F", "from": "UNKNOWN", "to": "PENDING", "worker": "", "time": str(clock.now)}
    with client.pipeline(transaction=False) as many:
        for _ in range(10_000):
            many.xadd(key, fields)
        many.execute()
    client.xtrim(key, maxlen=10_000, approximate=False)
    assert scheduler.timeline()["whole_since"] == clock.now
    # There are more events than a call looks at: the reply may be empty, and is gone on from.
    assert read_pages(scheduler) == ([], [("a", "F", "w", 1_000_000.0, 1_000_001.0, "DONE")])
    assert read_pages(scheduler, until=clock.now - 5)[1][0][0] == "a"


def test_of_an_event_that_does_not_tell_when_the_run_began_nothing_is_made_up(scheduler: Scheduler) -> None:
    fields = {"task_id": "x", "family": "F", "from": "RUNNING", "to": "DONE", "worker": "w", "time": "999999.5"}
    scheduler._client.xadd(scheduler.namespace.key("events"), fields)
    assert shown(scheduler.timeline()["runs"]) == [("x", "F", "w", None, 999999.5, "DONE")]


@pytest.mark.parametrize("cursor", ["", "xx", "W10", "WyIxIiwgMl0"])
def test_a_cursor_of_nothing_is_refused(scheduler: Scheduler, cursor: str) -> None:
    with pytest.raises(InvalidArgument, match="cursor"):
        scheduler.timeline(cursor=cursor)


def test_a_cursor_is_of_the_same_question(scheduler: Scheduler, clock: FakeClock) -> None:
    add(scheduler, "a", "b")
    for _ in range(2):
        run(scheduler, clock, "w", 1)
    cursor = scheduler.timeline(limit=1)["cursor"]
    assert cursor
    with pytest.raises(InvalidArgument, match="another listing"):
        scheduler.timeline(limit=1, cursor=cursor, family="F")


def test_a_call_costs_no_more_with_ten_times_the_runs(real_scheduler: Scheduler) -> None:
    costs = []
    for size in (300, 1_200):
        names = [f"T{size}_{number}" for number in range(size)]
        for start in range(0, size, 1000):
            real_scheduler.add_tasks("w", [{"task_id": each, "family": "T"} for each in names[start : start + 1000]])
            done = [{"task_id": each, "family": "T", "status": "DONE"} for each in names[start : start + 1000]]
            real_scheduler.add_tasks("w", done)
        costs.append(commands_of(real_scheduler, partial(real_scheduler.timeline, limit=100)))
    # It reads until it has found so many runs; here there is none, and so it reads all that it may.
    assert costs[0] < costs[1] < 3_000, costs

"""A worker is given what it has scheduled itself; an assistant is given anything; a silent worker is dead.

Who adds a task has a stake in it, and may run it unless it said `runnable=False`. Several workers may have a stake in
one task. An assistant runs what others have scheduled. A worker of which nothing is heard for
`worker_disconnect_delay` seconds is forgotten when somebody prunes, and what it ran has failed. A disabled worker
finishes what it has, and is given nothing more.
"""

from __future__ import annotations

from broker_sched import Scheduler
from tests.behaviour.test_first_steps import status
from tests.conftest import FakeClock, SchedulerFactory


def test_a_worker_is_not_given_what_only_others_have_scheduled(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="owner", task_id="a")
    assert scheduler.get_work(worker="stranger")["task_id"] is None
    assert scheduler.get_work(worker="owner")["task_id"] == "a"


def test_an_assistant_is_given_what_others_have_scheduled(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="owner", task_id="a")
    assert scheduler.get_work(worker="helper", assistant=True)["task_id"] == "a"


def test_who_says_that_a_task_is_not_runnable_is_not_given_it(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="owner", task_id="external", runnable=False)
    assert scheduler.get_work(worker="owner")["task_id"] is None


def test_what_a_silent_worker_ran_has_failed(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(worker_disconnect_delay=60)
    for worker in ("silent", "alive"):
        scheduler.add_task(worker=worker, task_id="a")
    scheduler.get_work(worker="silent")
    clock.advance(40)
    scheduler.ping(worker="alive")
    clock.advance(21)
    scheduler.prune()
    assert status(scheduler, "a") == "FAILED"
    assert [worker["name"] for worker in scheduler.worker_list()] == ["alive"]


def test_a_ping_keeps_a_worker_alive_as_any_other_call_does(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler = scheduler_factory(worker_disconnect_delay=60)
    scheduler.add_task(worker="w", task_id="a")
    scheduler.get_work(worker="w")
    for _ in range(5):
        clock.advance(50)
        scheduler.ping(worker="w")
        scheduler.prune()
    assert status(scheduler, "a") == "RUNNING"


def test_a_disabled_worker_is_given_nothing_more(scheduler: Scheduler) -> None:
    for task_id in "ab":
        scheduler.add_task(worker="w", task_id=task_id)
    scheduler.get_work(worker="w")
    scheduler.disable_worker(worker="w")
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    assert status(scheduler, "a") == "DONE"

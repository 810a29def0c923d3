"""A task that has failed is tried again after a while, and is disabled when it fails too often.

`retry_delay` seconds after a failure the task is PENDING again, as soon as somebody prunes. After `retry_count`
failures within `disable_window` seconds it is DISABLED for `disable_persist` seconds. A task may have a policy of its
own. People can forgive its failures, enable it again, or say that it is done.
"""

from __future__ import annotations

from broker_sched import Scheduler
from tests.behaviour.test_first_steps import status
from tests.conftest import FakeClock, SchedulerFactory


def fail(scheduler: Scheduler, task_id: str = "a") -> None:
    assert scheduler.get_work(worker="w")["task_id"] == task_id
    scheduler.add_task(worker="w", task_id=task_id, status="FAILED", expl="the reason")


def test_a_failed_task_is_tried_again_after_retry_delay(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(retry_delay=60, worker_disconnect_delay=1000)
    scheduler.add_task(worker="w", task_id="a")
    fail(scheduler)
    clock.advance(59)
    scheduler.prune()
    assert status(scheduler, "a") == "FAILED"
    clock.advance(2)
    scheduler.prune()
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_task_is_disabled_after_retry_count_failures_and_comes_back(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler = scheduler_factory(retry_delay=1, retry_count=2, disable_persist=100)
    scheduler.add_task(worker="w", task_id="a")
    for _ in range(2):
        fail(scheduler)
        clock.advance(2)
        scheduler.ping(worker="w")
        scheduler.prune()
    assert status(scheduler, "a") == "DISABLED"
    for _ in range(3):  # disabled no more, it is FAILED, and is retried as any other
        clock.advance(50)
        scheduler.ping(worker="w")
        scheduler.prune()
    assert status(scheduler, "a") == "PENDING"


def test_failures_that_are_older_than_the_window_do_not_count(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler = scheduler_factory(retry_delay=1, retry_count=2, disable_window=10, worker_disconnect_delay=1000)
    scheduler.add_task(worker="w", task_id="a")
    for _ in range(3):
        fail(scheduler)
        clock.advance(11)
        scheduler.prune()
    assert status(scheduler, "a") == "PENDING"


def test_a_task_may_have_a_policy_of_its_own(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(retry_count=99)
    scheduler.add_task(worker="w", task_id="a", retry_policy_dict={"retry_count": 1})
    fail(scheduler)
    assert status(scheduler, "a") == "DISABLED"


def test_people_can_enable_it_again_forgive_it_or_say_that_it_is_done(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(retry_count=1)
    for task_id, call in (
        ("a", scheduler.re_enable_task),
        ("b", scheduler.mark_as_done),
        ("c", scheduler.forgive_failures),
    ):
        policy = {"retry_count": 9} if task_id == "c" else None
        scheduler.add_task(worker="w", task_id=task_id, retry_policy_dict=policy)
        fail(scheduler, task_id)
        call(task_id)
    assert [status(scheduler, task_id) for task_id in "abc"] == ["FAILED", "DONE", "PENDING"]


def test_the_reason_of_a_failure_can_be_read(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    fail(scheduler)
    assert scheduler.fetch_error("a")["error"] == "the reason"

"""A task in which no worker has a stake any more is removed after `remove_delay` seconds.

So the scheduler forgets by itself what nobody will ask about again; nothing has to be cleaned up. While a worker that
has scheduled the task lives, it stays, whatever its status.
"""

from __future__ import annotations

import pytest

from tests.conftest import FakeClock, SchedulerFactory


@pytest.mark.parametrize("status", ["PENDING", "DONE", "FAILED", "DISABLED"])
def test_a_task_goes_remove_delay_after_its_last_worker(
    scheduler_factory: SchedulerFactory, clock: FakeClock, status: str
) -> None:
    scheduler = scheduler_factory(remove_delay=100, worker_disconnect_delay=10, retry_delay=1000)
    scheduler.add_task(worker="w", task_id="a", status=status)
    clock.advance(11)
    scheduler.prune()
    assert set(scheduler.task_list("", "")) == {"a"}, "its worker is dead, and the time begins"
    clock.advance(101)
    scheduler.prune()
    assert scheduler.task_list("", "") == {}


def test_a_task_stays_while_one_of_its_workers_lives(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(remove_delay=100, worker_disconnect_delay=10)
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    for _ in range(50):
        clock.advance(9)
        scheduler.ping(worker="w")
        scheduler.prune()
    assert set(scheduler.task_list("", "")) == {"a"}


def test_a_task_that_is_added_again_in_time_stays(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(remove_delay=100, worker_disconnect_delay=10)
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    clock.advance(11)
    scheduler.prune()
    scheduler.add_task(worker="later", task_id="a", status="DONE")
    for _ in range(20):
        clock.advance(9)
        scheduler.ping(worker="later")
        scheduler.prune()
    assert set(scheduler.task_list("", "")) == {"a"}

"""Without a server, whoever asks for work prunes; with one, only one of all does.

To prune is to do what is due: retries, dead workers, removals. It happens by itself, every few seconds, by one
process at a time.
"""

from __future__ import annotations

from broker_sched import Scheduler
from tests.conftest import FakeClock, SchedulerFactory
from tests.servers import until


def pruning(scheduler: Scheduler, clock: FakeClock) -> Scheduler:
    """The same namespace, by a scheduler that prunes whenever it asks for work."""
    url = scheduler._url if isinstance(scheduler._url, str) else None
    return Scheduler(url, scheduler.namespace.name, clock=clock, prune_interval_seconds=0)


def test_a_failed_task_is_retried_without_any_server(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(retry_delay=5)
    scheduler.add_task(worker="w", task_id="a")
    scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="a", status="FAILED")
    clock.advance(6)
    assert scheduler.get_work(worker="w")["task_id"] is None
    user = pruning(scheduler, clock)
    assert user.get_work(worker="w")["task_id"] == "a"
    user.close()


def test_while_another_process_prunes_nobody_waits_for_it(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler = scheduler_factory(retry_delay=5)
    scheduler.add_task(worker="w", task_id="a", status="FAILED")
    clock.advance(6)
    scheduler._client.set(scheduler.namespace.key("prune_lock"), "somebody", px=1000)
    user = pruning(scheduler, clock)
    user.add_task(worker="w", task_id="b")
    assert user.get_work(worker="w")["task_id"] == "b"
    assert list(scheduler.task_list(status="PENDING")) == ["a"]  # task_list prunes, as Luigi's does
    until(lambda: not scheduler._client.exists(scheduler.namespace.key("prune_lock")), "the lock is gone by itself")
    user.close()

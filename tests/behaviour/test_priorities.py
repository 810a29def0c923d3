"""Of the tasks that a worker may run, the one of the highest priority comes first, and of equal ones the oldest.

A task hands its priority on to what it depends on: otherwise the important task would wait for an unimportant one. A
priority can be raised by adding the task again, and is never lowered by a report without one.
"""

from __future__ import annotations

from broker_sched import Scheduler


def handed_out(scheduler: Scheduler, count: int) -> list[str | None]:
    return [scheduler.get_work(worker="w")["task_id"] for _ in range(count)]


def test_the_highest_priority_comes_first(scheduler: Scheduler) -> None:
    for task_id, priority in (("low", -1), ("high", 10), ("middle", 0.5)):
        scheduler.add_task(worker="w", task_id=task_id, priority=priority)
    assert handed_out(scheduler, 3) == ["high", "middle", "low"]


def test_of_equal_priorities_the_oldest_comes_first(scheduler: Scheduler) -> None:
    for task_id in ("b", "a", "c"):
        scheduler.add_task(worker="w", task_id=task_id)
    assert handed_out(scheduler, 3) == ["b", "a", "c"]


def test_a_task_hands_its_priority_on_to_its_deps(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="other", priority=5)
    scheduler.add_task(worker="w", task_id="dep")
    scheduler.add_task(worker="w", task_id="important", priority=10, deps=["dep"])
    assert handed_out(scheduler, 2) == ["dep", "other"]


def test_a_priority_is_raised_by_adding_the_task_again(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", priority=1)
    scheduler.add_task(worker="w", task_id="b", priority=2)
    scheduler.add_task(worker="w", task_id="a", priority=3)
    assert handed_out(scheduler, 2) == ["a", "b"]

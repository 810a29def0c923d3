"""Each kind gives the members of a set in another order, in pages of another size: no reply depends on that."""

from __future__ import annotations

import pytest

from broker_sched import Scheduler
from tests.nightly import by_night


@pytest.fixture
def many(redis_kind: str) -> int:
    """More than a page, and more than any kind keeps in a short form. fakeredis has none, and is slow."""
    return by_night(600, 150) if redis_kind == "fakeredis" else by_night(1500, 600)


def test_a_listing_has_every_task_once_and_in_the_order_of_creation(scheduler: Scheduler, many: int) -> None:
    names = [f"t{number * 7919 % many}" for number in range(many)]
    for start in range(0, many, 500):
        scheduler.add_tasks(worker="w", tasks=[{"task_id": name} for name in names[start : start + 500]])
    assert list(scheduler.task_list(max_shown_tasks=2 * many)) == names


def test_very_many_dependents_become_ready_in_the_order_of_creation(scheduler: Scheduler, many: int) -> None:
    names = [f"t{number * 7919 % many}" for number in range(many)]
    for start in range(0, many, 500):
        tasks = [{"task_id": name, "deps": ["hub"]} for name in names[start : start + 500]]
        scheduler.add_tasks(worker="w", tasks=tasks)
    scheduler.add_task(worker="w", task_id="hub", status="DONE")
    assert [scheduler.get_work(worker="w")["task_id"] for _ in range(50)] == names[:50]
    assert scheduler.count_pending(worker="w")["n_pending_tasks"] == many - 50


def test_a_task_waits_for_every_one_of_very_many_deps(scheduler: Scheduler, many: int) -> None:
    deps = [f"d{number}" for number in range(many)]
    scheduler.add_task(worker="w", task_id="wide", deps=deps)
    for start in range(0, many - 1, 500):
        done = [{"task_id": dep, "status": "DONE"} for dep in deps[start : min(start + 500, many - 1)]]
        scheduler.add_tasks(worker="w", tasks=done)
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="w", task_id=deps[-1], status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "wide"

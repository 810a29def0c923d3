"""Tasks that are added and run, for tests of what is seen of them."""

from __future__ import annotations

import json
from typing import Any


def add(scheduler: Any, *ids: str, family: str = "F", **more: Any) -> None:
    """Worker w schedules these tasks, all alike."""
    for task_id in ids:
        scheduler.add_task(worker="w", task_id=task_id, family=family, **more)


def run(scheduler: Any, clock: Any, worker: str, seconds: float, status: str = "DONE", **more: Any) -> str:
    """The next task of this worker runs for so long, and ends so. Returns its id."""
    task_id: str = scheduler.get_work(worker=worker)["task_id"]
    clock.advance(seconds)
    scheduler.ping(worker=worker)
    scheduler.add_task(worker=worker, task_id=task_id, status=status, **more)
    return task_id


def fail(scheduler: Any, clock: Any, worker: str, error: str, seconds: float = 1) -> str:
    """The next task of this worker fails with this as the last line of its error. Returns its id."""
    return run(scheduler, clock, worker, seconds, status="FAILED", expl=json.dumps(f"Traceback:\n  line\n{error}\n"))

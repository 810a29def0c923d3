"""State files as luigid writes them: of the parity tests' reference, whose classes are copies of luigi's."""

from __future__ import annotations

import pickle
from collections import deque
from pathlib import Path
from typing import Any

import luigi.scheduler


def write_state(scheduler: Any, path: Path, protocol: int | None = None) -> Path:
    """Write the state of a scheduler of luigi's, or of a copy of that class, as luigid would. Returns the path."""
    state = scheduler._state
    objects: dict[int, Any] = {}
    tasks = {task_id: as_luigis(task, objects) for task_id, task in state._tasks.items()}
    workers = {worker_id: as_luigis(worker, objects) for worker_id, worker in state._active_workers.items()}
    with path.open("wb") as file:
        pickle.dump((tasks, workers, as_luigis(state._task_batchers, objects)), file, protocol)
    return path


def as_luigis(value: Any, objects: dict[int, Any]) -> Any:
    """The same, made of luigi's own classes."""
    kind = type(value).__name__
    if kind in ("Task", "Worker"):
        if id(value) not in objects:
            objects[id(value)] = made = object.__new__(getattr(luigi.scheduler, kind))
            made.__dict__.update({name: as_luigis(inner, objects) for name, inner in vars(value).items()})
        return objects[id(value)]
    if kind == "OrderedSet":
        return luigi.scheduler.OrderedSet(value)
    if kind == "RetryPolicy":
        return luigi.scheduler.RetryPolicy(*value)
    if kind in ("set", "InsertionOrderedSet"):
        return {as_luigis(each, objects) for each in value}
    if isinstance(value, dict):
        return {name: as_luigis(inner, objects) for name, inner in value.items()}
    if isinstance(value, (list, tuple, deque)):
        return type(value)(as_luigis(each, objects) for each in value)
    return value

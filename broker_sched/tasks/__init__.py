"""Tasks: our own kind, and what a worker needs of any kind. Imports neither luigi nor redis."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broker_sched.tasks.events import Event
    from broker_sched.tasks.loading import TaskNotLoadable, load_task
    from broker_sched.tasks.parameters import Batch, Parameter, ParameterError, TaskDefinitionError, Visibility
    from broker_sched.tasks.protocol import TaskLike, TaskTypeError, check_task
    from broker_sched.tasks.requirements import DynamicRequirements
    from broker_sched.tasks.targets import FSSpecTarget, LocalTarget, Target, TargetError
    from broker_sched.tasks.task import ExternalTask, Task, WrapperTask

__all__ = [
    "Batch",
    "DynamicRequirements",
    "Event",
    "ExternalTask",
    "FSSpecTarget",
    "LocalTarget",
    "Parameter",
    "ParameterError",
    "Target",
    "TargetError",
    "Task",
    "TaskDefinitionError",
    "TaskLike",
    "TaskNotLoadable",
    "TaskTypeError",
    "Visibility",
    "WrapperTask",
    "check_task",
    "load_task",
]

_HOME = {
    **dict.fromkeys(("TaskLike", "TaskTypeError", "check_task"), "protocol"),
    **dict.fromkeys(("Batch", "Parameter", "ParameterError", "TaskDefinitionError", "Visibility"), "parameters"),
    **dict.fromkeys(("TaskNotLoadable", "load_task"), "loading"),
    **dict.fromkeys(("FSSpecTarget", "LocalTarget", "Target", "TargetError"), "targets"),
    **dict.fromkeys(("ExternalTask", "Task", "WrapperTask"), "task"),
    "DynamicRequirements": "requirements",
    "Event": "events",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: who runs only luigi's tasks does without pydantic."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)

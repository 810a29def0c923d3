"""Describes a task to the scheduler, each time in full: it forgets what a call leaves out."""

from __future__ import annotations

from typing import Any

from broker_sched.tasks.protocol import TaskLike, owners_of, retry_policy_of, visibilities_of


def described(task: TaskLike, status: str, params: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Return the arguments of add_task that describe this task, without the worker.

    params: its parameters as texts; None: the task is asked for them. more: further arguments.
    """
    return {
        "task_id": task.task_id,
        "status": status,
        "resources": task.process_resources(),
        "params": task.to_str_params() if params is None else params,
        "param_visibilities": visibilities_of(task),
        "family": task.task_family,
        "module": task.task_module,
        "retry_policy_dict": retry_policy_of(task),
        "owners": owners_of(task),
        "accepts_messages": bool(task.accepts_messages),
        **more,
    }

"""What the scheduler is told of a task each time: what a call leaves out, it forgets."""

from __future__ import annotations

from typing import Any

from broker_sched.tasks.protocol import TaskLike, owners_of, retry_policy_of, visibilities_of


def described(task: TaskLike, status: str, **more: Any) -> dict[str, Any]:
    """The arguments of add_task, without the worker."""
    return {
        "task_id": task.task_id,
        "status": status,
        "resources": task.process_resources(),
        "params": task.to_str_params(),
        "param_visibilities": visibilities_of(task),
        "family": task.task_family,
        "module": task.task_module,
        "retry_policy_dict": retry_policy_of(task),
        "owners": owners_of(task),
        "accepts_messages": bool(task.accepts_messages),
        **more,
    }

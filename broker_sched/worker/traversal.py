"""From a task to all it needs: what is complete, what must run, what can't. Source: luigi.worker.Worker._add, 3.8.1."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass

from broker_sched.tasks.protocol import TaskLike, checked_deps, logged_name
from broker_sched.worker.completion import Failure
from broker_sched.worker.run_task import is_external

log = logging.getLogger("bsched.worker")


@dataclass(frozen=True)
class Finding:
    """How a task is to be scheduled: its status, whether it can run, and its deps."""

    task: TaskLike
    status: str  # PENDING, DONE, DISABLED, or UNKNOWN where it could not be found out
    runnable: bool
    deps: tuple[TaskLike, ...] | None = None  # None: they were not asked for
    trace: str | None = None  # the stack trace of what went wrong


def examine(task: TaskLike, answer: bool | Failure, retry_external_tasks: bool) -> Finding:
    """Decide how to schedule a task of which complete() gave this answer. Fires its DEPENDENCY_… events.

    Raises TaskTypeError when requires() gave something that is no task.
    """
    finding = _finding(task, answer, retry_external_tasks)
    checked_deps(finding.deps or (), f"requires() of {task.task_id}")
    for dep in finding.deps or ():
        task.trigger_event("event.core.dependency.discovered", task, dep)
    if task.disabled:
        return Finding(task, "DISABLED", finding.runnable, finding.deps, finding.trace)
    return finding


def over_limit(task: TaskLike, limit: int) -> Finding:
    """Decide about a task that is one too many for the task_limit: it is not scheduled, and that is logged."""
    log.warning("%s is not scheduled, nor is what it needs: the task_limit of %d is reached.", logged_name(task), limit)
    return Finding(task, "UNKNOWN", False)


def _finding(task: TaskLike, answer: bool | Failure, retry_external_tasks: bool) -> Finding:
    if isinstance(answer, Failure):
        log.warning(
            "%s is not scheduled, nor is what it needs: complete() failed.\n%s", logged_name(task), answer.trace
        )
        task.trigger_event("event.core.dependency.missing", task)
        return Finding(task, "UNKNOWN", False, trace=answer.trace)
    if answer:
        task.trigger_event("event.core.dependency.present", task)
        return Finding(task, "DONE", False)
    if is_external(task):
        log.warning("%s is external, and what it stands for does not exist (yet).", logged_name(task))
        task.trigger_event("event.core.dependency.missing", task)
        return Finding(task, "PENDING", retry_external_tasks)
    try:
        return Finding(task, "PENDING", True, tuple(task.deps()))
    except (Exception, SystemExit) as error:
        trace = traceback.format_exc()
        log.warning("%s is not scheduled, nor is what it needs: deps() failed.\n%s", logged_name(task), trace)
        task.trigger_event("event.core.task.broken", task, error)
        return Finding(task, "UNKNOWN", False, trace=trace)

"""Attempts: what is said about a run names the hand-out that it came from, and does not count once superseded."""

from __future__ import annotations

from broker_sched.contract import replies as replies
from broker_sched.errors import Superseded
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace

SUPERSEDED = -1  # a script's reply, see lua/lib/tasks/superseded.lua


def attempt_text(attempt: int | None) -> str:
    """Return the digits of an attempt, as scripts take it; '' for none."""
    return "" if attempt is None else str(attempt)


def refuse_superseded(namespace: Namespace, reply: int, task_id: str) -> Commands[None]:
    """Raise Superseded when that is a script's reply, with where the task stands by now."""
    if reply != SUPERSEDED:
        return
    (fields,) = yield Read([("HMGET", namespace.key("task", task_id), "status", "worker_running")])
    status, runner = fields
    if status in ("RUNNING", "BATCH_RUNNING") and runner:
        now = f"the task runs on {runner} now"
    else:
        now = f"the task is {status} by now" if status else "there is no such task any more"
    raise Superseded(f"This run of {task_id} does not count any more, {now}: what it reports changes nothing.")


def superseded_reports(namespace: Namespace) -> Commands[replies.SupersededReports]:
    """Count the reports that were refused since their run did not count any more. One read."""
    (count,) = yield Read([("HGET", namespace.key("counters"), "superseded")])
    return {"count": int(count or 0)}

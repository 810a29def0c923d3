"""Attempts: what is said about a run names the hand-out that it came from, and does not count once superseded."""

from __future__ import annotations

from broker_sched import wire
from broker_sched.errors import Superseded
from broker_sched.scheduler.space import Space
from broker_sched.steps import Read, Steps

SUPERSEDED = -1  # a script's reply, see lua/lib/refusing.lua


def attempt_text(attempt: int | None) -> str:
    """How a script takes an attempt: its digits, '' for none."""
    return "" if attempt is None else str(attempt)


def refuse_superseded(space: Space, reply: int, task_id: str) -> Steps[None]:
    """Raise Superseded when that is a script's reply, with where the task stands by now."""
    if reply != SUPERSEDED:
        return
    (fields,) = yield Read([("HMGET", space.key("task", task_id), "status", "worker_running")])
    status, runner = fields
    if status in ("RUNNING", "BATCH_RUNNING") and runner:
        now = f"the task runs on {runner} now"
    else:
        now = f"the task is {status} by now" if status else "there is no such task any more"
    raise Superseded(f"This run of {task_id} does not count any more, {now}: what it reports changes nothing.")


def superseded_reports(space: Space) -> Steps[wire.SupersededReports]:
    """One read."""
    (count,) = yield Read([("HGET", space.key("counters"), "superseded")])
    return {"count": int(count or 0)}

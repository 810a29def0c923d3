"""What operators and timers do: configure, prune, pause, forgive, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from broker_sched import wire
from broker_sched.config import SchedulerConfig, to_text
from broker_sched.errors import InvalidArgument
from broker_sched.scheduler.methods.attempts import attempt_text, refuse_superseded
from broker_sched.scheduler.methods.records import load_records, serialize
from broker_sched.scheduler.methods.reporting import number, work_off
from broker_sched.scheduler.methods.submissions import cancel, end_when_over
from broker_sched.scheduler.permissions import denied
from broker_sched.scheduler.space import Space
from broker_sched.steps import Call, Read, Steps

PRUNE_BUDGET = 100  # steps in one script
MAX_PRUNES = 100_000  # scripts in one call of prune
DEFAULTS = [text for name, value in asdict(SchedulerConfig()).items() for text in (name, to_text(value))]


def configure(space: Space, options: Mapping[str, str]) -> Steps[int]:
    """Make the namespace ready and write these options (name → text, as config.to_text makes it).

    Returns the configuration's version. Raises SchemaMismatch; Refused when Redis's user lacks a permission.
    """
    yield from check_permissions(space)
    given = [text for pair in options.items() for text in pair]
    version = yield Call("configure", (str(len(options)), *given, *DEFAULTS))
    return int(version)


def check_permissions(space: Space) -> Steps[None]:
    """Raises Refused when Redis's user may not run a command that some script needs, which would then stop half-way."""
    if missing := (yield Call("check_permissions", ())):
        raise denied(missing)


def prune(space: Space) -> Steps[None]:
    """Bites until nothing is due."""
    for _ in range(MAX_PRUNES):
        more, *over = yield Call("prune", (str(PRUNE_BUDGET),))
        for submission in over:
            yield from end_when_over(space, submission)
        if not more:
            return


def cancel_submission(space: Space, *, submission: str) -> Steps[wire.SubmissionState]:
    """Its tasks that nobody else wants go at once, so that nobody runs them."""
    state = yield from cancel(space, submission)
    yield from prune(space)
    return {"submission": submission, "state": state}


def pause(space: Space) -> Steps[None]:
    """One script."""
    yield Call("set_fields", ("config", "pause_enabled", "paused", "1"))


def unpause(space: Space) -> Steps[None]:
    """One script."""
    yield Call("set_fields", ("config", "pause_enabled", "paused", "0"))


def is_paused(space: Space) -> Steps[wire.Paused]:
    """One read."""
    (paused,) = yield Read([("HGET", space.key("config"), "paused")])
    return {"paused": paused == "1"}


def is_pause_enabled(space: Space) -> Steps[wire.Enabled]:
    """One read."""
    (enabled,) = yield Read([("HGET", space.key("config"), "pause_enabled")])
    return {"enabled": enabled == "1"}


def has_task_history(space: Space) -> Steps[bool]:
    """No history is kept, so there is nothing to ask."""
    yield from ()
    return False


def forgive_failures(space: Space, *, task_id: str | None) -> Steps[wire.TaskStatus]:
    """One script."""
    return (yield from _change_status(space, task_id, "forgive"))


def mark_as_done(space: Space, *, task_id: str | None) -> Steps[wire.TaskStatus]:
    """One script."""
    return (yield from _change_status(space, task_id, "done"))


def re_enable_task(space: Space, *, task_id: str) -> Steps[dict[str, Any]]:
    """One script; then the task is read."""
    _, re_enabled, left = yield Call("change_status", (task_id, "enable"), once=True)
    yield from work_off(left)
    if not re_enabled:
        return {}
    records = yield from load_records(space, [task_id], with_deps=True)
    return dict(serialize(records[task_id], deps=records[task_id]["deps"])) if task_id in records else {}


def release_task(space: Space, *, task_id: str, worker: str, attempt: int | None) -> Steps[wire.TaskStatus]:
    """One script."""
    return (yield from _change_status(space, task_id, "release", worker, attempt_text(attempt)))


def disable_worker(space: Space, *, worker: str) -> Steps[None]:
    """One script, and more when it has many crews."""
    left = yield Call("disable_worker", (worker,))
    if left < 0:
        raise InvalidArgument("worker", f"{worker} is a submission: cancel_submission ends it")
    yield from work_off(left)


def update_resources(space: Space, *, resources: Mapping[str, float]) -> Steps[None]:
    """One script."""
    flat = [text for name, amount in resources.items() for text in (name, number(amount))]
    yield Call("set_fields", ("resources", "", *flat))


def update_resource(space: Space, *, resource: str, amount: Any) -> Steps[bool]:
    """One script. Luigi: True is an int."""
    if not isinstance(amount, int) or amount < 0:
        return False
    yield Call("set_fields", ("resources", "", resource, str(int(amount))))
    return True


def _change_status(space: Space, task_id: str | None, what: str, *more: str) -> Steps[wire.TaskStatus]:
    if task_id is None:
        return {"task_id": None, "status": None}
    status, outcome, left = yield Call("change_status", (task_id, what, *more), once=True)
    yield from refuse_superseded(space, outcome, task_id)
    yield from work_off(left)
    return {"task_id": task_id, "status": status or None}

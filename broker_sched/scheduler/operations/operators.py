"""What operators and timers do: configure, prune, pause, forgive, workers, limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from broker_sched.config import SchedulerConfig, to_text
from broker_sched.contract import replies as replies
from broker_sched.contract.validation import to_json
from broker_sched.errors import InvalidArgument
from broker_sched.lua.loader import load
from broker_sched.redis_backend.commands import Call, Commands, Read, Write
from broker_sched.redis_backend.error_replies import schema_error
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace
from broker_sched.redis_backend.permissions import denied, only_looking
from broker_sched.scheduler.operations.attempts import attempt_text, refuse_superseded
from broker_sched.scheduler.operations.submissions import cancel, end_when_over
from broker_sched.scheduler.operations.task_details import message_to
from broker_sched.scheduler.operations.tasks import DEFERRED_BUDGET, number, run_deferred, truth
from broker_sched.scheduler.records import load_records, serialize
from broker_sched.scheduler.redis_users import Use, may_only_look, tried_of

PRUNE_BUDGET = DEFERRED_BUDGET  # pieces of work in one script: a prune does deferred steps, too
MAX_PRUNES = 200_000  # scripts in one call of prune
DEFAULTS = [text for name, value in asdict(SchedulerConfig()).items() for text in (name, to_text(value))]


def configure(
    namespace: Namespace, options: Mapping[str, str], by: str, use: Use = "worker", user: str = ""
) -> Commands[bool]:
    """Make the namespace ready and write these options (name → text, as config.to_text makes it).

    by: who brings them along, noted beside those that change. use, user: as in check_permissions. Returns whether
    changes may be made: not by a user of Redis who may only look; then the namespace was found ready, and nothing was
    written. Raises SchemaMismatch; RedisRefused when Redis's user lacks a permission.
    """
    if not (yield from check_permissions(namespace, use, user)):
        yield from _require_ready(namespace, options, user)
        return False
    given = [text for pair in options.items() for text in pair]
    yield Call("configure", by=by, given_count=str(len(options)), options=[*given, *DEFAULTS])
    return True


def check_permissions(namespace: Namespace, use: Use, user: str) -> Commands[bool]:
    """Raise RedisRefused when Redis's user may not run a command that some script needs, which would then stop
    half-way.

    use: what the user is needed for. user: as Redis calls it, '' where that is not known. Returns False for one who may
    only look, where a worker's user would do.
    """
    # Anew, though Redis may have it: scripts are loaded when called first, so else this would be missed much later.
    yield Write([("SCRIPT", "LOAD", load("check_permissions").source)])
    missing = yield Call("check_permissions", commands=tried_of(use))
    if missing and use == "worker" and may_only_look(missing):
        return False
    if missing:
        raise denied(missing, user, use)
    return True


def _require_ready(namespace: Namespace, options: Mapping[str, str], user: str) -> Commands[None]:
    """Raise where a user of Redis who may only look finds nothing to look at, or brings options along."""
    if options:
        raise only_looking(user, f"to set {', '.join(options)}")
    (schema,) = yield Read([("HGET", namespace.key("config"), "schema")])
    if schema is None:
        raise only_looking(user, f"to make the namespace {namespace.name}, which is not there,")
    if schema != SCHEMA_VERSION:
        raise schema_error(schema)


def prune(namespace: Namespace) -> Commands[None]:
    """Do all that is due by time, in as many short scripts as it takes."""
    for _ in range(MAX_PRUNES):
        more, *over = yield Call("prune", budget=str(PRUNE_BUDGET))
        for submission in over:
            yield from end_when_over(namespace, submission)
        if not more:
            return


def cancel_submission(namespace: Namespace, *, submission: str) -> Commands[replies.SubmissionState]:
    """End a submission. Those of its tasks that nobody else wants go at once, so that nobody runs them."""
    state = yield from cancel(namespace, submission)
    yield from prune(namespace)
    return {"submission": submission, "state": state}


def pause(namespace: Namespace) -> Commands[None]:
    """Hand out no more work, until unpause(), where pause is enabled. One script."""
    yield Call("set_fields", hash="config", option="pause_enabled", fields=["paused", "1"])


def unpause(namespace: Namespace) -> Commands[None]:
    """Hand out work again, where pause is enabled. One script."""
    yield Call("set_fields", hash="config", option="pause_enabled", fields=["paused", "0"])


def is_paused(namespace: Namespace) -> Commands[replies.Paused]:
    """Return whether handing out is paused. One read."""
    (paused,) = yield Read([("HGET", namespace.key("config"), "paused")])
    return {"paused": paused == "1"}


def pause_family(namespace: Namespace, *, family: str) -> Commands[replies.PausedFamily]:
    """Have no task of the family handed out, where pause is enabled. One script, and more where many are ready."""
    return (yield from _set_paused(namespace, family, True))


def unpause_family(namespace: Namespace, *, family: str) -> Commands[replies.PausedFamily]:
    """Have the family's tasks handed out again. One script."""
    return (yield from _set_paused(namespace, family, False))


def _set_paused(namespace: Namespace, family: str, paused: bool) -> Commands[replies.PausedFamily]:
    is_paused, changed, tasks, left = yield Call("pause_family", once=True, family=family, paused=truth(paused))
    if is_paused < 0:
        raise InvalidArgument("family", "no more can be paused: too many are; unpause some, or pause all with pause")
    yield from run_deferred(left)
    return {"family": family, "paused": bool(is_paused), "changed": bool(changed), "tasks": tasks}


def is_pause_enabled(namespace: Namespace) -> Commands[replies.Enabled]:
    """Return whether pause() has an effect. One read."""
    (enabled,) = yield Read([("HGET", namespace.key("config"), "pause_enabled")])
    return {"enabled": enabled == "1"}


def has_task_history(namespace: Namespace) -> Commands[bool]:
    """Return False: no history is kept, so there is nothing to ask."""
    yield from ()
    return False


def forgive_failures(namespace: Namespace, *, task_id: str | None) -> Commands[replies.TaskStatus]:
    """Put a failed or disabled task back to PENDING, and forget its failures. One script."""
    return (yield from _change_status(namespace, task_id, "forgive"))


def mark_as_done(namespace: Namespace, *, task_id: str | None) -> Commands[replies.TaskStatus]:
    """Make a task DONE, whatever its status. One script."""
    return (yield from _change_status(namespace, task_id, "done"))


def re_enable_task(namespace: Namespace, *, task_id: str) -> Commands[dict[str, Any]]:
    """Re-enable a task that the scheduler disabled, and return it. One script; then the task is read."""
    _, re_enabled, left, _ = yield Call(
        "change_status", once=True, task_id=task_id, action="enable", worker="", attempt=""
    )
    yield from run_deferred(left)
    if not re_enabled:
        return {}
    records = yield from load_records(namespace, [task_id], with_deps=True)
    return dict(serialize(records[task_id], deps=records[task_id]["deps"])) if task_id in records else {}


def release_task(
    namespace: Namespace, *, task_id: str, worker: str, attempt: int | None
) -> Commands[replies.TaskStatus]:
    """Take a running task back from its worker, for others to run; it has not failed. One script."""
    return (yield from _change_status(namespace, task_id, "release", worker, attempt))


def disable_worker(namespace: Namespace, *, worker: str) -> Commands[None]:
    """Hand this worker no more work. One script, and more when it has many runner sets."""
    left = yield Call("disable_worker", worker=worker)
    if left < 0:
        raise _is_submission(worker)
    yield from run_deferred(left)


def drain_worker(namespace: Namespace, *, worker: str, seconds: float | None) -> Commands[replies.DrainedWorker]:
    """Leave a worker the message to leave; disable it where it is none of ours. A read, and one script."""
    ((known, is_submission, start_id),) = yield Read(
        [("HMGET", namespace.key("worker", worker), "w", "submission", "start_id")]
    )
    if is_submission:
        raise _is_submission(worker)
    if known and not start_id:
        yield from disable_worker(namespace, worker=worker)
    elif known:
        name, kwargs = ("stop_asking", {}) if seconds is None else ("drain", {"seconds": seconds})
        yield message_to(worker, to_json("seconds", {"name": name, "kwargs": kwargs}))
    return {"worker": worker, "asked": bool(known and start_id), "disabled": bool(known and not start_id)}


def forget_worker(
    namespace: Namespace, *, worker: str, force: bool, by: str | None
) -> Commands[replies.ForgottenWorker]:
    """Remove a worker, and do what is due then: what it ran fails. One script, and those of a prune."""
    outcome, *told = yield Call("forget_worker", once=True, worker=worker, force=truth(force), by=by or "")
    if outcome == "submission":
        raise _is_submission(worker)
    reason = None
    if outcome == "unknown":
        reason = "There is no such worker."
    elif outcome == "alive":
        reason = (
            f"It was heard of {told[0]} s ago, and may live: without force it is removed when it was silent for "
            f"{told[1]} s. disable_worker and drain_worker let it finish what it runs."
        )
    else:
        yield from run_deferred(told[1])
        yield from prune(namespace)
    is_forgotten = outcome == "forgotten"
    return {"worker": worker, "forgotten": is_forgotten, "tasks": told[0] if is_forgotten else 0, "reason": reason}


def remove_resource(namespace: Namespace, *, resource: str) -> Commands[replies.RemovedResource]:
    """Take a resource's limit away. One script."""
    limit = yield Call("remove_resource", once=True, resource=resource)
    return {"resource": resource, "removed": limit != "", "limit": json.loads(limit) if limit != "" else None}


def update_resources(namespace: Namespace, *, resources: Mapping[str, float]) -> Commands[None]:
    """Set the limits of these resources; others stay as they are. One script."""
    flat = [text for name, amount in resources.items() for text in (name, number(amount))]
    yield Call("set_fields", hash="resources", option="", fields=flat)


def update_resource(namespace: Namespace, *, resource: str, amount: Any) -> Commands[bool]:
    """Set the limit of one resource. Returns whether the amount is a whole number of 0 or more. One script.

    Luigi: True is an int.
    """
    if not isinstance(amount, int) or amount < 0:
        return False
    yield Call("set_fields", hash="resources", option="", fields=[resource, str(int(amount))])
    return True


def _is_submission(worker: str) -> InvalidArgument:
    return InvalidArgument("worker", f"{worker} is a submission: cancel_submission ends it")


def _change_status(
    namespace: Namespace, task_id: str | None, action: str, worker: str = "", attempt: int | None = None
) -> Commands[replies.TaskStatus]:
    if task_id is None:
        return {"task_id": None, "status": None}
    status, outcome, left, _ = yield Call(
        "change_status", once=True, task_id=task_id, action=action, worker=worker, attempt=attempt_text(attempt)
    )
    yield from refuse_superseded(namespace, outcome, task_id)
    yield from run_deferred(left)
    return {"task_id": task_id, "status": status or None}

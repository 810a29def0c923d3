"""All that is known of one task."""

from __future__ import annotations

import json

from broker_sched.contract import view_replies
from broker_sched.contract.states import Status
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.lists import read_config
from broker_sched.scheduler.operations.task_details import task_log
from broker_sched.scheduler.task_lines import read_attempt, read_lines, read_whole_error
from broker_sched.scheduler.task_runs import LatestRun

MAX_WORKERS = 100  # named
FIELDS = (
    *("module", "created", "workers", "held", "attempt", "disabled_at", "disabled_by", "runner_set"),
    *("accepts_messages", "batch_id"),
)


def task_details(namespace: Namespace, *, task_id: str) -> Commands[view_replies.TaskDetails | None]:
    """Return all that is known of a task; None when it is not there. A few reads."""
    lines = yield from read_lines(namespace, [task_id], with_errors=False)
    if task_id not in lines:
        return None
    shown, n, _ = lines[task_id]
    fields, tracking_url, deps, unmet, dependents, blocked, retry_at, ended, memory, host = yield Read(
        [
            ("HMGET", namespace.key("task", task_id), *FIELDS),
            ("HGET", namespace.key("detail", task_id), "tracking_url"),
            *(("SCARD", namespace.key(kind, n)) for kind in ("deps", "unmet", "dependents")),
            ("EXISTS", namespace.key("blockers", n)),
            ("ZSCORE", namespace.key("due", "retry"), n),
            ("LRANGE", namespace.key("attempts", n), "0", "-1"),
            ("GET", namespace.key("memory", shown["worker"] or "")),
            ("HGET", namespace.key("worker", shown["worker"] or ""), "host"),
        ]
    )
    module, created, workers, held, attempt, disabled_at, disabled_by, runner_set, accepts, batch_id = fields
    if created is None:  # removed meanwhile
        return None
    if shown["status"] == Status.PENDING:
        shown["state"] = "BLOCKED" if blocked else "WAITING" if unmet else "READY"
    log = yield from task_log(namespace, task_id=task_id)
    names, count = yield from _workers(namespace, runner_set, workers)
    shown["error"] = yield from read_whole_error(namespace, task_id)
    runs = shown["status"] == Status.RUNNING
    accepts_messages = runs and accepts == "1" and (yield from read_config(namespace)).send_messages
    number = int(attempt) if attempt else None
    run = LatestRun(shown["status"], shown["family"], shown["updated"], shown["started"], shown["worker"], number)
    return {
        **shown,
        "module": module,
        "created": float(created),
        "workers": names,
        "n_workers": count,
        "resources_held": {} if held == "1" else json.loads(held) if held else None,
        "n_deps": deps,
        "n_unmet": unmet,
        "n_dependents": dependents,
        "attempt": number,
        "attempts": run.ended_runs([read_attempt(text) for text in ended], host),
        "retry_at": None if retry_at is None else float(retry_at),
        "disabled_until": (yield from _until(namespace, disabled_at)) if disabled_at and not disabled_by else None,
        "disabled_by": disabled_by,
        "accepts_messages": accepts_messages,
        "batch_id": batch_id if runs or shown["status"] == Status.BATCH_RUNNING else None,
        "tracking_url": tracking_url,
        "log_size": None if log["log"] is None else log["size"],
        "memory": json.loads(memory).get(task_id) if memory and runs else None,
    }


def _workers(namespace: Namespace, runner_set: str | None, workers: str | None) -> Commands[tuple[list[str], int]]:
    """Who may run it, first to sign up first, and how many they are. Who has left is still in the task's own list."""
    if not runner_set:
        return [], 0
    (members,) = yield Read([("SMEMBERS", namespace.key("runner_set", runner_set, "workers"))])
    still = set(members)
    numbers = [w for w in (workers or "").split(",") if w in still]
    if not numbers:
        return [], 0
    (names,) = yield Read([("HMGET", namespace.key("worker_ids"), *numbers[:MAX_WORKERS])])
    return [name for name in names if name is not None], len(numbers)


def _until(namespace: Namespace, disabled_at: str) -> Commands[float]:
    config = yield from read_config(namespace)
    return float(disabled_at) + config.disable_persist

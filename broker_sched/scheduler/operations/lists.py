"""Lists: tasks, workers, resources, search. They read page by page and are not atomic."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from broker_sched.config import SchedulerConfig, from_hash
from broker_sched.contract import replies as replies
from broker_sched.contract.states import Status, states_of
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.family_counts import read_counts, totals
from broker_sched.scheduler.operations.operators import prune
from broker_sched.scheduler.operations.upstream import upstream_of
from broker_sched.scheduler.paging import scan_set
from broker_sched.scheduler.records import (
    Record,
    display_name,
    ids_by_status,
    ids_of,
    load_records,
    nearest_amount,
    pairs,
    serialize,
)

STATUSES = tuple(status.value for status in Status)


def task_list(
    namespace: Namespace,
    *,
    status: str | None,
    upstream_status: str | None,
    limit: bool,
    search: str | None,
    max_shown_tasks: int | None,
) -> Commands[dict[str, Any]]:
    """Return the tasks of a status, of an upstream status, or with all words of `search` in their name.

    Luigi: above the limit and without a search, only the number is answered, before pruning.
    """
    config = yield from read_config(namespace)
    most = max_shown_tasks or config.max_shown_tasks
    statuses = [status] if status else list(STATUSES)
    if not search:
        states = [state for each in statuses for state in states_of(each)]
        count = sum(totals((yield from read_counts(namespace, states=states))).values())
        if limit and count > most:
            return {"num_tasks": -1 if upstream_status else count}
    yield from prune(namespace)
    records = yield from _load_by_status(namespace, statuses)
    terms = [term.casefold() for term in (search or "").split()]
    if terms:
        records = {i: r for i, r in records.items() if all(t in display_name(r).casefold() for t in terms)}
    if upstream_status:
        pending = [task_id for task_id, record in records.items() if record["status"] == Status.PENDING]
        upstream = yield from upstream_of(namespace, pending)
        records = {i: r for i, r in records.items() if upstream.get(i, upstream_status) == upstream_status}
    if limit and len(records) > most:
        return {"num_tasks": len(records)}
    return {i: serialize(record, with_messages=config.send_messages) for i, record in records.items()}


def task_search(namespace: Namespace, *, task_str: str) -> Commands[dict[str, dict[str, Any]]]:
    """Return the tasks whose id holds the text, by status. Luigi: case counts."""
    config = yield from read_config(namespace)
    yield from prune(namespace)
    ids = yield from ids_by_status(namespace, STATUSES)
    records = yield from load_records(namespace, [task_id for task_id in ids if task_str in task_id])
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for task_id, record in records.items():
        found[record["status"]][task_id] = serialize(record, with_messages=config.send_messages)
    return dict(found)


def worker_list(namespace: Namespace, *, include_running: bool) -> Commands[list[dict[str, Any]]]:
    """Return every worker, the last started first. Luigi: each entry is merged with the worker's info."""
    config = yield from read_config(namespace)
    yield from prune(namespace)
    (names,) = yield Read([("ZRANGE", namespace.key("workers"), "0", "-1")])
    workers = []
    for name in names:
        entry = yield from _worker_entry(namespace, name)
        if entry is None:
            continue
        if include_running:
            yield from _add_running(namespace, entry, config)
        del entry["w"]
        workers.append(entry)
    return sorted(workers, key=lambda entry: entry["started"], reverse=True)


def resource_list(namespace: Namespace) -> Commands[list[replies.Resource]]:
    """Return every resource that has a limit, with the tasks that use it.

    Luigi: `running` goes by what tasks need, num_used by what they hold.
    """
    config = yield from read_config(namespace)
    yield from prune(namespace)
    limits, used = yield Read([("HGETALL", namespace.key("resources")), ("HGETALL", namespace.key("used"))])
    records = yield from _load_by_status(namespace, [Status.RUNNING.value])
    in_use = pairs(used)
    resources: list[replies.Resource] = []
    for name, total in pairs(limits).items():
        running = {
            task_id: serialize(record, with_messages=config.send_messages)
            for task_id, record in records.items()
            if name in record["resources"]
        }
        resources.append(
            {
                "name": name,
                "num_total": json.loads(total),
                "num_used": nearest_amount(in_use.get(name, "0")),
                "num_consumer": len(running),
                "running": running,
            }
        )
    return resources


def read_config(namespace: Namespace) -> Commands[SchedulerConfig]:
    """Return the options of the namespace, as Redis has them. One read."""
    (stored,) = yield Read([("HGETALL", namespace.key("config"))])
    return from_hash(pairs(stored))


def _load_by_status(namespace: Namespace, statuses: list[str]) -> Commands[dict[str, Record]]:
    ids = yield from ids_by_status(namespace, statuses)
    records = yield from load_records(namespace, ids)
    # A task may have moved on between reading the set and reading the task.
    return {task_id: record for task_id, record in records.items() if record["status"] in statuses}


def _worker_entry(namespace: Namespace, name: str) -> Commands[dict[str, Any] | None]:
    fields, info, unread, last_active = yield Read(
        [
            ("HMGET", namespace.key("worker", name), "started", "disabled", "w"),
            ("HGETALL", namespace.key("worker_info", name)),
            ("LLEN", namespace.key("messages", name)),
            ("ZSCORE", namespace.key("workers"), name),
        ]
    )
    started, disabled, w = fields
    if w is None or last_active is None:
        return None
    details = {key: json.loads(text) for key, text in pairs(info).items()}
    first_task = details.get("first_task", "")
    first = (yield from load_records(namespace, [first_task])) if isinstance(first_task, str) else {}
    return {
        **details,
        "name": name,
        "last_active": float(last_active),
        "started": float(started),
        "state": "disabled" if disabled == "1" else "active",
        "first_task_display_name": display_name(first[first_task]) if first else first_task,
        "num_unread_rpc_messages": unread,
        "w": w,
    }


def _add_running(namespace: Namespace, entry: dict[str, Any], config: SchedulerConfig) -> Commands[None]:
    numbers = yield from scan_set(namespace, "running", entry["name"])
    ids = yield from ids_of(namespace, sorted(numbers))
    records = yield from load_records(namespace, list(ids.values()))
    (runner_sets,) = yield Read([("SMEMBERS", namespace.key("worker_runner_sets", entry["w"]))])
    counts = yield Read(
        [("HMGET", namespace.key("runner_set", runner_set), "pending", "size") for runner_set in runner_sets]
    )
    entry["num_running"] = len(records)
    entry["num_pending"] = sum(int(pending or 0) for pending, _ in counts)
    entry["num_uniques"] = sum(int(pending or 0) for pending, size in counts if size == "1")
    entry["running"] = {i: serialize(record, with_messages=config.send_messages) for i, record in records.items()}

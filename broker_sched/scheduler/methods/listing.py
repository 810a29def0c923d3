"""Lists: tasks, workers, resources, search. They read page by page and are not atomic."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import Any

from broker_sched import wire
from broker_sched.config import SchedulerConfig, from_hash
from broker_sched.scheduler.methods.records import (
    Record,
    display_name,
    ids_by_status,
    ids_of,
    load_records,
    pairs,
    scan_set,
    serialize,
)
from broker_sched.scheduler.methods.upkeep import prune
from broker_sched.scheduler.methods.upstream import upstream_of
from broker_sched.scheduler.space import Space
from broker_sched.states import Status
from broker_sched.steps import Read, Steps

STATUSES = tuple(status.value for status in Status)


def task_list(
    space: Space,
    *,
    status: str | None,
    upstream_status: str | None,
    limit: bool,
    search: str | None,
    max_shown_tasks: int | None,
) -> Steps[dict[str, Any]]:
    """Luigi: above the limit and without a search, only the number is answered, before pruning."""
    config = yield from read_config(space)
    most = max_shown_tasks or config.max_shown_tasks
    statuses = [status] if status else list(STATUSES)
    if not search:
        counts = yield Read([("SCARD", space.key("tasks", each)) for each in statuses])
        if limit and sum(counts) > most:
            return {"num_tasks": -1 if upstream_status else sum(counts)}
    yield from prune(space)
    records = yield from _load_by_status(space, statuses)
    terms = [term.casefold() for term in (search or "").split()]
    if terms:
        records = {i: r for i, r in records.items() if all(t in display_name(r).casefold() for t in terms)}
    if upstream_status:
        pending = [task_id for task_id, record in records.items() if record["status"] == Status.PENDING]
        upstream = yield from upstream_of(space, pending)
        records = {i: r for i, r in records.items() if upstream.get(i, upstream_status) == upstream_status}
    if limit and len(records) > most:
        return {"num_tasks": len(records)}
    return {i: serialize(record, with_messages=config.send_messages) for i, record in records.items()}


def task_search(space: Space, *, task_str: str) -> Steps[dict[str, dict[str, Any]]]:
    """Luigi: the text is looked for in the id, case counts."""
    config = yield from read_config(space)
    yield from prune(space)
    ids = yield from ids_by_status(space, STATUSES)
    records = yield from load_records(space, [task_id for task_id in ids if task_str in task_id])
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for task_id, record in records.items():
        found[record["status"]][task_id] = serialize(record, with_messages=config.send_messages)
    return dict(found)


def worker_list(space: Space, *, include_running: bool) -> Steps[list[dict[str, Any]]]:
    """Luigi: each entry is merged with the worker's info."""
    config = yield from read_config(space)
    yield from prune(space)
    (names,) = yield Read([("ZRANGE", space.key("workers"), "0", "-1")])
    workers = []
    for name in names:
        entry = yield from _worker_entry(space, name)
        if entry is None:
            continue
        if include_running:
            yield from _add_running(space, entry, config)
        del entry["w"]
        workers.append(entry)
    return sorted(workers, key=lambda entry: entry["started"], reverse=True)


def resource_list(space: Space) -> Steps[list[wire.Resource]]:
    """Luigi: only resources with a limit; `running` goes by what tasks need, num_used by what they hold."""
    config = yield from read_config(space)
    yield from prune(space)
    limits, used = yield Read([("HGETALL", space.key("resources")), ("HGETALL", space.key("used"))])
    records = yield from _load_by_status(space, [Status.RUNNING.value])
    in_use = pairs(used)
    resources: list[wire.Resource] = []
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
                "num_used": _nearest(in_use.get(name, "0")),
                "num_consumer": len(running),
                "running": running,
            }
        )
    return resources


def _nearest(amount: str) -> float:
    """The number nearest to an amount in use, which is several numbers where one can't hold the sum (resources.lua)."""
    parts: list[float] = [json.loads(part) for part in amount.split()]
    return parts[0] if len(parts) == 1 else math.fsum(parts)


def read_config(space: Space) -> Steps[SchedulerConfig]:
    """The namespace's options."""
    (stored,) = yield Read([("HGETALL", space.key("config"))])
    return from_hash(pairs(stored))


def _load_by_status(space: Space, statuses: list[str]) -> Steps[dict[str, Record]]:
    ids = yield from ids_by_status(space, statuses)
    records = yield from load_records(space, ids)
    # A task may have moved on between reading the set and reading the task.
    return {task_id: record for task_id, record in records.items() if record["status"] in statuses}


def _worker_entry(space: Space, name: str) -> Steps[dict[str, Any] | None]:
    fields, info, unread, last_active = yield Read(
        [
            ("HMGET", space.key("worker", name), "started", "disabled", "w"),
            ("HGETALL", space.key("worker_info", name)),
            ("LLEN", space.key("messages", name)),
            ("ZSCORE", space.key("workers"), name),
        ]
    )
    started, disabled, w = fields
    if w is None or last_active is None:
        return None
    details = {key: json.loads(text) for key, text in pairs(info).items()}
    first_task = details.get("first_task", "")
    first = (yield from load_records(space, [first_task])) if isinstance(first_task, str) else {}
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


def _add_running(space: Space, entry: dict[str, Any], config: SchedulerConfig) -> Steps[None]:
    numbers = yield from scan_set(space, "running", entry["name"])
    ids = yield from ids_of(space, sorted(numbers))
    records = yield from load_records(space, list(ids.values()))
    (crews,) = yield Read([("SMEMBERS", space.key("worker_crews", entry["w"]))])
    counts = yield Read([("HMGET", space.key("crew", crew), "pending", "size") for crew in crews])
    entry["num_running"] = len(records)
    entry["num_pending"] = sum(int(pending or 0) for pending, _ in counts)
    entry["num_uniques"] = sum(int(pending or 0) for pending, size in counts if size == "1")
    entry["running"] = {i: serialize(record, with_messages=config.send_messages) for i, record in records.items()}

"""Reading tasks back out of Redis, many at a time, and showing them as the contract does."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from broker_sched.contract import replies as replies
from broker_sched.contract.states import Status, states_of
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.family_counts import read_counts
from broker_sched.scheduler.paging import scan_sorted_set

# One task as read: the fields below, decoded, and workers, resources_running, deps.
Record: TypeAlias = dict[str, Any]

CHUNK = 500  # tasks read in one round trip
IDS_AT_ONCE = 100
TASK_FIELDS = (
    "n",
    "rank",
    "status",
    "priority",
    "created",
    "updated",
    "family",
    "module",
    "params",
    "runner_set",
    "workers",
    "worker_running",
    "time_running",
    "resources",
    "held",
    "disabled_at",
    "accepts_messages",
    "expl",
)
DETAIL_FIELDS = ("params", "param_visibilities", "expl", "tracking_url", "status_message", "progress_percentage")


def load_records(namespace: Namespace, ids: Sequence[str], with_deps: bool = False) -> Commands[dict[str, Record]]:
    """The tasks with these ids, in their order; absent ones are left out."""
    records: dict[str, Record] = {}
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        replies = yield Read([command for task_id in chunk for command in _record_commands(namespace, task_id)])
        found = {
            task_id: _decode(task_id, fields, detail)
            for task_id, fields, detail in zip(chunk, replies[::2], replies[1::2])
            if fields[0] is not None
        }
        yield from _add_workers(namespace, found)
        if with_deps:
            yield from _add_deps(namespace, found)
        records.update(found)
    return records


def ids_of(namespace: Namespace, numbers: Sequence[str]) -> Commands[dict[str, str]]:
    """Return number → task id, for the numbers that are known."""
    known: dict[str, str] = {}
    for start in range(0, len(numbers), IDS_AT_ONCE):
        chunk = numbers[start : start + IDS_AT_ONCE]
        (ids,) = yield Read([("HMGET", namespace.key("ids"), *chunk)])
        known.update((n, task_id) for n, task_id in zip(chunk, ids) if task_id is not None)
    return known


def ids_by_status(namespace: Namespace, statuses: Iterable[str]) -> Commands[list[str]]:
    """Return the ids of all tasks of these statuses, first created first.

    A task that goes from one state to another meanwhile may be left out, as one that changes its status may.
    """
    numbers: set[str] = set()
    for status in statuses:
        states = states_of(status)
        counts = yield from read_counts(namespace, states=states)
        for state in reversed(states):  # a task goes on to READY sooner than it comes back
            for family in counts:
                if state in counts[family]:
                    numbers.update((yield from scan_sorted_set(namespace, "tasks", state, family)))
    known = yield from ids_of(namespace, sorted(numbers))
    return list(known.values())


def display_name(record: Record) -> str:
    """Return a task's family and public parameters, as listings show it."""
    shown = ", ".join(f"{name}={value}" for name, value in sorted(public_params(record).items()))
    return f"{record['family']}({shown})"


def public_params(record: Record) -> dict[str, Any]:
    """Return the parameters that anybody may see (visibility 0)."""
    hidden = record["param_visibilities"]
    return {name: value for name, value in record["params"].items() if hidden.get(name, 0) == 0}


def serialize(record: Record, deps: Iterable[str] | None = None, with_messages: bool = True) -> replies.Task:
    """A task as listings show it; `deps` only in graphs, `with_messages` while messages are on."""
    task: replies.Task = {
        "display_name": display_name(record),
        "status": record["status"],
        "workers": record["workers"],
        "worker_running": record["worker_running"],
        "time_running": record["time_running"],
        "start_time": record["created"],
        "last_updated": record["updated"],
        "params": public_params(record),
        "name": record["family"],
        "priority": record["priority"],
        "resources": record["resources"],
        "resources_running": record["resources_running"],
        "tracking_url": record["tracking_url"],
        "status_message": record["status_message"],
        "progress_percentage": record["progress_percentage"],
    }
    if record["status"] == Status.DISABLED:
        task["re_enable_able"] = record["disabled_at"] is not None
    if deps is not None:
        task["deps"] = list(deps)
    if with_messages and record["status"] == Status.RUNNING:
        task["accepts_messages"] = record["accepts_messages"]
    return task


def pairs(reply: Any) -> dict[str, str]:
    """A hash as a dict, whether the client gives it flat or as a dict."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2]))


def nearest_amount(amount: str) -> float:
    """Return the number nearest to an amount in use, which is several numbers where one can't hold the sum
    (resources.lua)."""
    parts: list[float] = [json.loads(part) for part in amount.split()]
    return parts[0] if len(parts) == 1 else math.fsum(parts)


def _record_commands(namespace: Namespace, task_id: str) -> Iterator[tuple[str, ...]]:
    yield ("HMGET", namespace.key("task", task_id), *TASK_FIELDS)
    yield ("HMGET", namespace.key("detail", task_id), *DETAIL_FIELDS)


def _decode(task_id: str, fields: list[str | None], detail: list[str | None]) -> Record:
    record: Record = dict(zip(TASK_FIELDS, fields))
    beside = dict(zip(DETAIL_FIELDS, detail))
    record["task_id"] = task_id
    record["rank"] = record["rank"] or record["n"]
    record["family"] = record["family"] or ""
    record["params"] = json.loads(record["params"] or beside["params"] or "{}")
    record["param_visibilities"] = json.loads(beside["param_visibilities"] or "{}")
    record["resources"] = json.loads(record["resources"] or "{}")
    held = record["held"]  # '1' for nothing
    record["resources_running"] = None if held is None else {} if held == "1" else json.loads(held)
    record["accepts_messages"] = record["accepts_messages"] == "1"
    record["priority"] = json.loads(record["priority"])
    for name in ("created", "updated", "time_running", "disabled_at"):
        record[name] = None if record[name] is None else float(record[name])
    if record["expl"] is None:
        record["expl"] = beside["expl"]
    for name in ("tracking_url", "status_message"):
        record[name] = beside[name]
    record["progress_percentage"] = json.loads(beside["progress_percentage"] or "null")
    record["workers"] = (record["workers"] or "").split(",") if record["runner_set"] else []
    return record


def _add_workers(namespace: Namespace, records: dict[str, Record]) -> Commands[None]:
    """Replace worker numbers by ids, leaving out those that left the task's runner_set."""
    runner_sets = sorted({record["runner_set"] for record in records.values() if record["runner_set"]})
    if not runner_sets:
        return
    replies = yield Read(
        [("SMEMBERS", namespace.key("runner_set", runner_set, "workers")) for runner_set in runner_sets]
    )
    members = dict(zip(runner_sets, map(set, replies)))
    numbers = sorted(set().union(*members.values()))
    ids: dict[str, str] = {}
    if numbers:
        (found,) = yield Read([("HMGET", namespace.key("worker_ids"), *numbers)])
        ids = dict(zip(numbers, found))
    for record in records.values():
        runner_set = members.get(record["runner_set"], set())
        record["workers"] = [ids[w] for w in record["workers"] if w in runner_set]


def _add_deps(namespace: Namespace, records: dict[str, Record]) -> Commands[None]:
    replies = yield Read([("SMEMBERS", namespace.key("deps", record["n"])) for record in records.values()])
    ids = yield from ids_of(namespace, sorted({n for numbers in replies for n in numbers}))
    for record, numbers in zip(records.values(), replies):
        record["deps"] = sorted(ids[n] for n in numbers if n in ids)

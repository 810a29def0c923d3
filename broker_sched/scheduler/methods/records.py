"""Reading tasks back out of Redis, many at a time, and showing them as the contract does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from broker_sched import wire
from broker_sched.scheduler.space import Space
from broker_sched.states import Status
from broker_sched.steps import Read, Steps

# One task as read: the fields below, decoded, and workers, resources_running, deps.
Record: TypeAlias = dict[str, Any]

CHUNK = 500  # tasks read in one round trip
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
    "crew",
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


def load_records(space: Space, ids: Sequence[str], with_deps: bool = False) -> Steps[dict[str, Record]]:
    """The tasks with these ids, in their order; absent ones are left out."""
    records: dict[str, Record] = {}
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        replies = yield Read([command for task_id in chunk for command in _record_commands(space, task_id)])
        found = {
            task_id: _decode(task_id, fields, detail)
            for task_id, fields, detail in zip(chunk, replies[::2], replies[1::2])
            if fields[0] is not None
        }
        yield from _add_workers(space, found)
        if with_deps:
            yield from _add_deps(space, found)
        records.update(found)
    return records


def ids_of(space: Space, numbers: Sequence[str]) -> Steps[dict[str, str]]:
    """Number → task id, for those that are known."""
    known: dict[str, str] = {}
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK]
        (ids,) = yield Read([("HMGET", space.key("ids"), *chunk)])
        known.update((n, task_id) for n, task_id in zip(chunk, ids) if task_id is not None)
    return known


def scan_set(space: Space, *parts: str) -> Steps[list[str]]:
    """All members of a set, a page at a time."""
    members: dict[str, None] = {}
    cursor = "0"
    while True:
        ((cursor, page),) = yield Read([("SSCAN", space.key(*parts), cursor, "COUNT", "1000")])
        members.update(dict.fromkeys(page))
        if str(cursor) == "0":
            return list(members)


def ids_by_status(space: Space, statuses: Iterable[str]) -> Steps[list[str]]:
    """The ids of all tasks of these statuses, first created first."""
    numbers: set[str] = set()
    for status in statuses:
        numbers.update((yield from scan_set(space, "tasks", status)))
    known = yield from ids_of(space, sorted(numbers))
    return list(known.values())


def display_name(record: Record) -> str:
    """Family and public parameters."""
    shown = ", ".join(f"{name}={value}" for name, value in sorted(public_params(record).items()))
    return f"{record['family']}({shown})"


def public_params(record: Record) -> dict[str, Any]:
    """The parameters anybody may see (visibility 0)."""
    hidden = record["param_visibilities"]
    return {name: value for name, value in record["params"].items() if hidden.get(name, 0) == 0}


def serialize(record: Record, deps: Iterable[str] | None = None, with_messages: bool = True) -> wire.Task:
    """A task as listings show it; `deps` only in graphs, `with_messages` while messages are on."""
    task: wire.Task = {
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


def _record_commands(space: Space, task_id: str) -> Iterator[tuple[str, ...]]:
    yield ("HMGET", space.key("task", task_id), *TASK_FIELDS)
    yield ("HMGET", space.key("detail", task_id), *DETAIL_FIELDS)


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
    record["workers"] = (record["workers"] or "").split(",") if record["crew"] else []
    return record


def _add_workers(space: Space, records: dict[str, Record]) -> Steps[None]:
    """Replace worker numbers by ids, leaving out those that left the task's crew."""
    crews = sorted({record["crew"] for record in records.values() if record["crew"]})
    if not crews:
        return
    replies = yield Read([("SMEMBERS", space.key("crew", crew, "workers")) for crew in crews])
    members = dict(zip(crews, map(set, replies)))
    numbers = sorted(set().union(*members.values()))
    ids: dict[str, str] = {}
    if numbers:
        (found,) = yield Read([("HMGET", space.key("worker_ids"), *numbers)])
        ids = dict(zip(numbers, found))
    for record in records.values():
        crew = members.get(record["crew"], set())
        record["workers"] = [ids[w] for w in record["workers"] if w in crew]


def _add_deps(space: Space, records: dict[str, Record]) -> Steps[None]:
    replies = yield Read([("SMEMBERS", space.key("deps", record["n"])) for record in records.values()])
    ids = yield from ids_of(space, sorted({n for numbers in replies for n in numbers}))
    for record, numbers in zip(records.values(), replies):
        record["deps"] = sorted(ids[n] for n in numbers if n in ids)

"""Dependency graphs, both ways, breadth first.

Source: luigi.scheduler.Scheduler.graph, dep_graph, inverse_dep_graph, 3.8.1.
"""

from __future__ import annotations

import re
from typing import Any

from broker_sched.config import SchedulerConfig
from broker_sched.contract.states import Status
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.lists import STATUSES, read_config
from broker_sched.scheduler.operations.operators import prune
from broker_sched.scheduler.paging import scan_sets
from broker_sched.scheduler.records import (
    Record,
    ids_by_status,
    ids_of,
    load_records,
    serialize,
)

FAMILY_IN_ID = re.compile(r"([^(_]+)[(_]")


def graph(namespace: Namespace) -> Commands[dict[str, Any]]:
    """Return every task, as the graphs of all tasks in the order of creation, each task once."""
    config = yield from read_config(namespace)
    yield from prune(namespace)
    ids = yield from ids_by_status(namespace, STATUSES)
    records = yield from load_records(namespace, ids, with_deps=True)
    shown: dict[str, Any] = {}
    seen: set[str] = set()
    cache: dict[str, Record | None] = dict(records)
    for root in sorted(records, key=lambda task_id: str(records[task_id]["rank"])):
        if root not in seen:
            shown.update((yield from _traverse(namespace, root, config, seen, cache, "deps", include_done=True)))
    return shown


def dep_graph(namespace: Namespace, *, task_id: str, include_done: bool) -> Commands[dict[str, Any]]:
    """Return the task and what it depends on; {} for an unknown task."""
    return (yield from _graph_from(namespace, task_id, "deps", include_done))


def inverse_dep_graph(namespace: Namespace, *, task_id: str, include_done: bool) -> Commands[dict[str, Any]]:
    """Return the task and what depends on it; {} for an unknown task."""
    return (yield from _graph_from(namespace, task_id, "dependents", include_done))


def _graph_from(namespace: Namespace, task_id: str, edges: str, include_done: bool) -> Commands[dict[str, Any]]:
    config = yield from read_config(namespace)
    yield from prune(namespace)
    (exists,) = yield Read([("EXISTS", namespace.key("task", task_id))])
    if not exists:
        return {}
    return (yield from _traverse(namespace, task_id, config, set(), {}, edges, include_done))


def _traverse(
    namespace: Namespace,
    root: str,
    config: SchedulerConfig,
    seen: set[str],
    cache: dict[str, Record | None],
    edges: str,
    include_done: bool,
) -> Commands[dict[str, Any]]:
    """Luigi: stops at max_graph_nodes; only the root has a display name; the unknown are shown with less."""
    seen.add(root)
    shown: dict[str, Any] = {}
    wave = [root]
    while wave:
        yield from _load(namespace, wave, edges, include_done, cache)
        following = []
        for task_id in wave:
            record = cache[task_id]
            if record is None or not record["family"]:
                shown[task_id] = _unknown(task_id)
            else:
                neighbours = [i for i in record[edges] if include_done or not _is_done(cache, i)]
                shown[task_id] = serialize(record, deps=neighbours, with_messages=config.send_messages)
                fresh = [i for i in sorted(neighbours) if i not in seen]
                seen.update(fresh)
                following += fresh
            if task_id != root:
                del shown[task_id]["display_name"]
            if len(shown) >= config.max_graph_nodes:
                return shown
        wave = following
    return shown


def _load(
    namespace: Namespace, ids: list[str], edges: str, include_done: bool, cache: dict[str, Record | None]
) -> Commands[None]:
    """Read these tasks with their edges and, where DONE ones are to be left out, the neighbours."""
    yield from _load_missing(namespace, ids, cache)
    lacking = [(i, record) for i in ids if (record := cache[i]) is not None and edges not in record]
    sets = yield from scan_sets([namespace.key(edges, record["n"]) for _, record in lacking])
    names = yield from ids_of(namespace, sorted({n for numbers in sets for n in numbers}))
    for (_, record), numbers in zip(lacking, sets):
        record[edges] = sorted({names[n] for n in numbers if n in names})
    if not include_done:
        neighbours = {i for task_id in ids if (record := cache[task_id]) is not None for i in record[edges]}
        yield from _load_missing(namespace, sorted(neighbours), cache)


def _load_missing(namespace: Namespace, ids: list[str], cache: dict[str, Record | None]) -> Commands[None]:
    wanted = [task_id for task_id in ids if task_id not in cache]
    records = yield from load_records(namespace, wanted)
    cache.update((task_id, records.get(task_id)) for task_id in wanted)


def _is_done(cache: dict[str, Record | None], task_id: str) -> bool:
    record = cache.get(task_id)
    return record is not None and record["status"] == Status.DONE


def _unknown(task_id: str) -> dict[str, Any]:
    """Return a node of the graph for a task of which only the id is known."""
    family = FAMILY_IN_ID.match(task_id)
    return {
        "deps": [],
        "status": Status.UNKNOWN.value,
        "workers": [],
        "start_time": Status.UNKNOWN.value,
        "params": {"task_id": task_id},
        "name": family.group(1) if family else Status.UNKNOWN.value,
        "display_name": task_id,
        "priority": 0,
    }

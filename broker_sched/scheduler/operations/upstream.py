"""Upstream status: the worst of what keeps a PENDING task from running.

Source: luigi.scheduler.Scheduler._upstream_status, 3.8.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker_sched.contract.states import UPSTREAM_OF_STATUS, UPSTREAM_SEVERITY, Status
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import scan_sets
from broker_sched.scheduler.records import CHUNK, ids_of


def upstream_of(namespace: Namespace, ids: Sequence[str]) -> Commands[dict[str, str]]:
    """Return task id → upstream status, for these PENDING tasks. Reads what is above them, each task once."""
    statuses, deps = yield from _read_above(namespace, ids)
    known = _spread(statuses, deps)
    return {task_id: known.get(task_id, "") for task_id in ids}


def _read_above(
    namespace: Namespace, ids: Sequence[str]
) -> Commands[tuple[dict[str, str | None], dict[str, list[str]]]]:
    """Statuses of the tasks and of all above them, through PENDING ones, and the deps of those."""
    statuses: dict[str, str | None] = {}
    deps: dict[str, list[str]] = {}
    wave = list(dict.fromkeys(ids))
    while wave:
        above: dict[str, None] = {}
        for start in range(0, len(wave), CHUNK):
            chunk = wave[start : start + CHUNK]
            replies = yield Read([("HMGET", namespace.key("task", task_id), "status", "n") for task_id in chunk])
            statuses.update((task_id, reply[0]) for task_id, reply in zip(chunk, replies))
            pending = [(i, reply[1]) for i, reply in zip(chunk, replies) if reply[0] == Status.PENDING]
            sets = yield from scan_sets([namespace.key("deps", n) for _, n in pending])
            names = yield from ids_of(namespace, sorted({n for numbers in sets for n in numbers}))
            for (task_id, _), numbers in zip(pending, sets):
                deps[task_id] = [names[n] for n in numbers if n in names]
                above.update(dict.fromkeys(deps[task_id]))
        wave = [task_id for task_id in above if task_id not in statuses]
    return statuses, deps


def _spread(statuses: dict[str, str | None], deps: dict[str, list[str]]) -> dict[str, str]:
    """Task id → upstream status, '' left out.

    The worst is passed on first, so that each task is reached once. In a cycle of deps all have the worst that any of
    them has from outside.
    """
    dependents: dict[str, list[str]] = {}
    for task_id, above in deps.items():
        for dep in above:
            dependents.setdefault(dep, []).append(task_id)
    known: dict[str, str] = {}
    for severity in reversed(UPSTREAM_SEVERITY[1:]):
        wave = [task_id for task_id, status in statuses.items() if not deps.get(task_id) and _own(status) == severity]
        while wave:
            fresh = [task_id for task_id in dict.fromkeys(wave) if task_id not in known]
            known.update(dict.fromkeys(fresh, severity))
            wave = [dependent for task_id in fresh for dependent in dependents.get(task_id, ())]
    return known


def _own(status: str | None) -> str:
    """What a task without deps of its own is to those above it."""
    return UPSTREAM_OF_STATUS.get(Status(status), "") if status else ""

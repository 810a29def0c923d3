"""How many slots could be used now, and what keeps the other tasks from running."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.batch_slots import read_batch_sizes, slots_saved
from broker_sched.scheduler.family_counts import FamilyCounts, totals
from broker_sched.scheduler.paging import SMALL_PACE, read_paced
from broker_sched.scheduler.ready_queues import SortedQueues, read_resources, sort_ready_queues
from broker_sched.scheduler.records import ids_of
from broker_sched.scheduler.worker_standings import WorkerStanding

MOST_OF_FAMILY = 1000  # ready tasks of a family that are looked at, where not all ready tasks can run
MOST_RUNNER_SETS = 500  # that are looked at for whether anybody of them is alive


# Codes of why() for what keeps tasks from running, as far as indexes tell: deps stands for all that waits for a dep,
# disabled for all behind a DISABLED task.
REASONS = (
    *("deps", "disabled", "failed", "paused", "family_paused", "external", "over_limit", "no_worker", "resource"),
    "busy",
)


class Demand(NamedTuple):
    """How many slots could be used.

    running: tasks that run. runnable: for how many more slots there is work. blocked: how many tasks are kept from
    running, by a code of why(). is_exact: everything was looked at.
    """

    running: int
    runnable: int
    blocked: dict[str, int]
    is_exact: bool

    @property
    def wanted(self) -> int:
        """How many slots would all be used."""
        return self.running + self.runnable


def read_demand(
    namespace: Namespace,
    counts: FamilyCounts,
    workers: Sequence[WorkerStanding],
    families: Collection[str] | None = None,
) -> Commands[Demand]:
    """Return how many slots could be used. Reads the size of each ready queue; where resources are scarce, ranks.

    counts: of all families. workers: how all stand. families: their tasks alone are looked at; None: all.
    """
    (config,) = yield Read([("HMGET", namespace.key("config"), "paused", "paused_families")])
    tasks = totals(counts)
    running = tasks["RUNNING"] if families is None else _count(counts, families, "RUNNING")
    blocked = dict.fromkeys(REASONS, 0) | {
        "deps": tasks["WAITING"],
        "disabled": tasks["BLOCKED"],
        "failed": tasks["FAILED"],
    }
    if config[0] == "1":
        return Demand(running, 0, {**blocked, "paused": tasks["READY"]}, True)
    paused = frozenset(json.loads(config[1] or "{}"))
    queues = yield from sort_ready_queues(namespace, (yield from read_resources(namespace)), paused)
    blocked |= yield from _blocked(namespace, counts, queues, paused, workers)
    looked_at = [family for family in (counts if families is None else sorted(set(families))) if family not in paused]
    sizes = yield from read_batch_sizes(namespace, looked_at, [each.worker for each in workers])
    if families is None:
        runnable, is_exact = _all_runnable(counts, queues, paused), True
    else:
        runnable, is_exact = 0, True
        for family in looked_at:
            found, is_whole = yield from _runnable_of(namespace, family, counts, queues)
            runnable, is_exact = runnable + found, is_exact and is_whole
    saved = yield from slots_saved(namespace, sizes)
    return Demand(running, max(0, runnable - saved), blocked, is_exact and queues.is_exact)


def _count(counts: FamilyCounts, families: Iterable[str], state: str) -> int:
    return sum(counts.get(family, {}).get(state, 0) for family in families)


def _all_runnable(counts: FamilyCounts, queues: SortedQueues, paused: Collection[str]) -> int:
    """Of paused families, some tasks may stand among others still, in the sizes of the ready queues, and can't run."""
    in_queues = sum(queue.size for queue in (*queues.external, *queues.over_limit, *queues.free, *queues.contended))
    not_apart = max(0, in_queues - (totals(counts)["READY"] - _count(counts, paused, "READY")))
    return max(0, sum(count for _, count in queues.runnable()) - not_apart)


def _runnable_of(
    namespace: Namespace, family: str, counts: FamilyCounts, queues: SortedQueues
) -> Commands[tuple[int, bool]]:
    """How many ready tasks of the family can run, and whether all were looked at; else it is worked out from some."""
    ready = _count(counts, [family], "READY")
    if not (queues.external or queues.over_limit or queues.contended):
        return ready, True
    (numbers,) = yield Read([("ZRANGE", namespace.key("tasks", "READY", family), "0", str(MOST_OF_FAMILY - 1))])
    ids = yield from ids_of(namespace, numbers)
    places = yield from read_paced(
        [("HGET", namespace.key("task", each), "ready") for each in ids.values()], SMALL_PACE
    )
    free = {queue.name for queue in queues.free}
    chosen = {n for some in queues.chosen.values() for n in some}
    found = sum(place in free or n in chosen for n, place in zip(ids, places))
    if ready <= MOST_OF_FAMILY:
        return found, True
    all_that_can = sum(count for _, count in queues.runnable())
    return min(math.ceil(found * ready / max(1, len(numbers))), all_that_can), False


def _blocked(
    namespace: Namespace,
    counts: FamilyCounts,
    queues: SortedQueues,
    paused: Collection[str],
    workers: Sequence[WorkerStanding],
) -> Commands[dict[str, int]]:
    """How many READY tasks do not run, by what keeps them; as why() tells of one."""
    active = [each for each in workers if each.state == "active"]
    manned = yield from _manned(namespace, queues, active)
    found = Counter({"family_paused": _count(counts, paused, "READY")})
    found["external"] = sum(queue.size for queue in queues.external)
    found["over_limit"] = sum(queue.size for queue in queues.over_limit)
    could_run = 0
    for queue, count in queues.runnable():
        if queue.runner_set not in manned:
            found["no_worker"] += queue.size
            continue
        found["resource"] += queue.size - count
        could_run += count
    idle = math.floor(sum(max(0.0, each.slots - each.running) for each in active))
    found["busy"] = max(0, could_run - idle)
    return dict(found)


def _manned(namespace: Namespace, queues: SortedQueues, active: Sequence[WorkerStanding]) -> Commands[set[str]]:
    """The runner sets with a worker that is alive: with an assistant, all."""
    runner_sets = sorted({queue.runner_set for queue, _ in queues.runnable()})
    if any(each.assistant for each in active):
        return set(runner_sets)
    numbers = yield from read_paced(
        [("HGET", namespace.key("worker", each.worker), "w") for each in active], SMALL_PACE
    )
    alive = set(numbers)
    looked_at = runner_sets[:MOST_RUNNER_SETS]
    members = yield from read_paced(
        [("SRANDMEMBER", namespace.key("runner_set", each, "workers"), "100") for each in looked_at]
    )
    empty = {each for each, some in zip(looked_at, members) if not alive & set(some)}
    return set(runner_sets) - empty

"""How many tasks each family has in each state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from broker_sched.contract.states import STATES
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import PACE

FamilyCounts: TypeAlias = dict[str, dict[str, int]]  # family → state → how many, without zeros


def read_counts(
    namespace: Namespace,
    families: Sequence[str] | None = None,
    states: Sequence[str] = STATES,
    least: float | None = None,
) -> Commands[FamilyCounts]:
    """Return how many tasks these families have in these states; families without any are left out.

    families: None for all. least: only those that came into their state then or later. One command for each pair.
    """
    if families is None:
        (found,) = yield Read([("SMEMBERS", namespace.key("families"))])
        families = sorted(found)
    sets = [(family, state) for family in families for state in states]
    counts: FamilyCounts = {}
    for start in range(0, len(sets), PACE):
        some = sets[start : start + PACE]
        keys = [namespace.key("tasks", state, family) for family, state in some]
        sizes = yield Read([("ZCARD", key) if least is None else ("ZCOUNT", key, repr(least), "+inf") for key in keys])
        for (family, state), size in zip(some, sizes):
            if size:
                counts.setdefault(family, {})[state] = size
    return counts


def totals(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return how many tasks all families together have in each state, zeros included."""
    sums: Counter[str] = Counter()
    for by_state in counts.values():
        sums.update(by_state)
    return {state: sums[state] for state in STATES}

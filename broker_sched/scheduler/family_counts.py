"""How many tasks each family has in each state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from broker_sched.contract.states import STATES
from broker_sched.redis_backend.commands import Call, Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import scan_set

FAMILIES_AT_ONCE = 5  # counted by one script, for others wait meanwhile: about a tenth of a millisecond
FamilyCounts: TypeAlias = dict[str, dict[str, int]]  # family → state → how many, without zeros


def read_counts(
    namespace: Namespace,
    families: Sequence[str] | None = None,
    states: Sequence[str] = STATES,
    least: float | None = None,
) -> Commands[FamilyCounts]:
    """Return how many tasks these families have in these states; families without any are left out.

    families: None for all. least: only those that came into their state then or later. A script for every few families.
    """
    if families is None:
        families = sorted(set((yield from scan_set(namespace, "families"))))
    counts: FamilyCounts = {}
    for start in range(0, len(families), FAMILIES_AT_ONCE):
        some = families[start : start + FAMILIES_AT_ONCE]
        flat = yield Call(
            "count_tasks",
            least="" if least is None else repr(least),
            state_count=str(len(states)),
            names=[*states, *some],
        )
        for family, state, count in zip(flat[::3], flat[1::3], flat[2::3]):
            counts.setdefault(some[family - 1], {})[states[state - 1]] = count
    return counts


def totals(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return how many tasks all families together have in each state, zeros included."""
    sums = dict.fromkeys(STATES, 0)
    for by_state in counts.values():
        for state, count in by_state.items():
            sums[state] += count
    return sums

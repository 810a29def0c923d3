"""How many tasks each family has in each state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from broker_sched.contract.states import STATES
from broker_sched.redis_backend.commands import Call, Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import scan_set

FAMILIES_AT_ONCE = 10  # counted by one script, for others wait meanwhile: about a tenth of a millisecond
MOST_AT_ONCE = 40  # of very many families: who looks waits, too. Others wait for some tenths then
SCRIPTS = 250  # for so many more are not counted by one
USUAL = ("DONE", "READY", "WAITING", "FAILED")  # states that are looked for first
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
    counts: FamilyCounts = {family: {} for family in families}
    asked = sorted(states, key=lambda state: state not in USUAL)
    at_once = max(FAMILIES_AT_ONCE, min(MOST_AT_ONCE, len(families) // SCRIPTS))
    for start in range(0, len(families), at_once):
        some = families[start : start + at_once]
        flat = yield Call(
            "count_tasks",
            least="" if least is None else repr(least),
            state_count=str(len(asked)),
            names=[*asked, *some],
        )
        for family, state, count in zip(flat[::3], flat[1::3], flat[2::3]):
            counts[some[family - 1]][asked[state - 1]] = count
    return {family: _in_order(by_state) for family, by_state in counts.items() if by_state}


def _in_order(by_state: dict[str, int]) -> dict[str, int]:
    """The same, as STATES has them."""
    return by_state if len(by_state) == 1 else {state: by_state[state] for state in STATES if state in by_state}


def totals(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return how many tasks all families together have in each state, zeros included."""
    sums = dict.fromkeys(STATES, 0)
    for by_state in counts.values():
        for state, count in by_state.items():
            sums[state] += count
    return sums

"""When all that can run will have ended: an estimate, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.family_counts import FamilyCounts, totals
from broker_sched.scheduler.run_times import mean, read_run_times

MOST_FAMILIES = 500  # whose run times are read
FAMILIES_AT_ONCE = 50  # of which nothing more is read once one is found that has no run time
LEFT = ("READY", "WAITING", "RUNNING")
BEHIND = {
    "READY": 0.0,
    "WAITING": 0.0,
    "RUNNING": 0.5,
}  # what a task in this state has of its run behind it, on average
STUCK = "nothing is READY or RUNNING: what is left waits for tasks that have failed, are DISABLED or are not there"


def estimate_end(
    namespace: Namespace, counts: FamilyCounts, slots: float, now: float, paused: Sequence[str] | None
) -> Commands[view_replies.EstimatedEnd]:
    """Return when all that can run will have ended. Reads a key of each family that has tasks left.

    slots: of the active workers. paused: the families that are; None: all are.
    """
    left = {family: by_state for family, by_state in counts.items() if any(state in by_state for state in LEFT)}
    reason = _why_not(totals(counts), left, slots, paused)
    if reason is not None:
        return {"at": None, "reason": reason}
    seconds, families = 0.0, list(left)
    for start in range(0, len(families), FAMILIES_AT_ONCE):
        times = yield from read_run_times(namespace, families[start : start + FAMILIES_AT_ONCE])
        for family in times:
            usual = mean(times[family])
            if usual is None:
                return {
                    "at": None,
                    "reason": f"no run of the family {family} was DONE yet, so nobody knows how long one takes",
                }
            seconds += usual * sum(left[family].get(state, 0) * (1 - BEHIND[state]) for state in LEFT)
    return {"at": now + seconds / slots, "reason": None}


def _why_not(
    tasks: Mapping[str, int], left: Mapping[str, object], slots: float, paused: Sequence[str] | None
) -> str | None:
    """What can be said before any run time is looked at."""
    if not tasks["READY"] + tasks["RUNNING"]:
        return STUCK if tasks["WAITING"] + tasks["BLOCKED"] + tasks["FAILED"] else "nothing is left to be done"
    if len(left) > MOST_FAMILIES:
        return f"{len(left):,} families have tasks left: the run times of no more than {MOST_FAMILIES:,} are looked at"
    if paused is None:
        return "handing out is paused"
    for family in left:
        if family in paused:
            return f"the family {family} is paused, and has tasks left"
    if slots <= 0:
        return "no worker is active"
    return None

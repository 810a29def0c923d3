"""When all that can run will have ended: an estimate, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import read_paced

MAX_FAMILIES = 1000
LEFT = ("READY", "WAITING", "RUNNING")
HALF = 0.5  # of its run a RUNNING task has behind it, on average
STUCK = "nothing is READY or RUNNING: what is left waits for tasks that have failed, are DISABLED or are not there"


def estimate_end(
    namespace: Namespace,
    families: Sequence[str],
    totals: Mapping[str, int],
    slots: float,
    now: float,
    paused: Sequence[str] | None,
) -> Commands[view_replies.EstimatedEnd]:
    """Return when all that can run will have ended. Reads some keys of each family.

    totals: tasks by state. slots: of the active workers. paused: the families that are; None: all are.
    """
    reason = _why_not(families, totals, slots, paused)
    if reason is not None:
        return {"at": None, "reason": reason}
    counts = yield from read_paced(
        [("ZCARD", namespace.key("tasks", state, name)) for name in families for state in LEFT]
    )
    left = {
        name: (ready + waiting, running)
        for name, ready, waiting, running in zip(families, counts[::3], counts[1::3], counts[2::3])
        if ready or waiting or running
    }
    means = yield from _mean_seconds(namespace, list(left))
    for name in left:
        if name in (paused or ()):
            return {"at": None, "reason": f"the family {name} is paused, and has tasks left"}
        if name not in means:
            return {
                "at": None,
                "reason": f"no task of the family {name} has ended yet, so nobody knows how long one takes",
            }
    seconds = sum(means[name] * (pending + HALF * running) for name, (pending, running) in left.items())
    return {"at": now + seconds / slots, "reason": None}


def _why_not(
    families: Sequence[str], totals: Mapping[str, int], slots: float, paused: Sequence[str] | None
) -> str | None:
    """What can be said before any family is looked at."""
    ready, waiting, running = (totals.get(state, 0) for state in LEFT)
    unfinished = totals.get("BLOCKED", 0) + totals.get("FAILED", 0) + waiting
    if not ready + running:
        return STUCK if unfinished else "nothing is left to be done"
    if paused is None:
        return "handing out is paused"
    if slots <= 0:
        return "no worker is active"
    if len(families) > MAX_FAMILIES:
        return f"there are more than {MAX_FAMILIES:,} families"
    return None


def _mean_seconds(namespace: Namespace, names: Sequence[str]) -> Commands[dict[str, float]]:
    """The mean run time of the last runs of each of these families; those without a run are left out."""
    commands = [
        command
        for name in names
        for command in (
            ("HGET", namespace.key("family", name), "recent_seconds"),
            ("LLEN", namespace.key("run_times", name)),
        )
    ]
    replies = yield from read_paced(commands)
    return {name: float(total or 0) / size for name, total, size in zip(names, replies[::2], replies[1::2]) if size}

"""The listing of families: their tasks by state, run times, failures."""

from __future__ import annotations

import json

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.ended_runs import read_ended_runs
from broker_sched.scheduler.family_counts import read_counts
from broker_sched.scheduler.paging import make_cursor, read_cursor, read_paced
from broker_sched.scheduler.run_times import mean, percentile_95, read_run_times

FIELDS = ("runs", "last_error", "last_failed", "last_failed_task")


def families(namespace: Namespace, *, cursor: str | None, limit: int) -> Commands[view_replies.Families]:
    """Return a page of the families. Counts the tasks of all families, and reads two keys of each that is shown."""
    after = read_cursor("families", None, cursor, (int, str)) if cursor is not None else None
    counts = yield from read_counts(namespace)
    places = sorted((-sum(by_state.values()), family) for family, by_state in counts.items())
    behind = places if after is None else [place for place in places if place > tuple(after)]
    names = [family for _, family in behind[:limit]]
    more = make_cursor("families", None, behind[limit - 1]) if len(behind) > limit else None
    now = float((yield Call("read_clock")))
    ended = yield from read_ended_runs(namespace, now)
    failed = yield from ended.by_field(namespace, [f"failed:{name}" for name in names], only_failed=True)
    (paused,) = yield Read([("HGET", namespace.key("config"), "paused_families")])
    are_paused = json.loads(paused or "{}")
    known = yield from read_paced([("HMGET", namespace.key("family", name), *FIELDS) for name in names])
    run_times = yield from read_run_times(namespace, names)
    found = []
    for name, fields in zip(names, known):
        shown = _family(name, counts[name], dict(zip(FIELDS, fields)), run_times[name])
        shown["paused"], shown["failed_last_hour"] = name in are_paused, failed[f"failed:{name}"]
        found.append(shown)
    return {"families": found, "cursor": more}


def _family(
    name: str, by_state: dict[str, int], known: dict[str, str | None], run_times: list[float]
) -> view_replies.Family:
    last_failed = known["last_failed"]
    return {
        "family": name,
        "tasks": by_state,
        "total": sum(by_state.values()),
        "paused": False,
        "runs": int(known["runs"] or 0),
        "mean_seconds": mean(run_times),
        "p95_seconds": percentile_95(run_times),
        "failed_last_hour": 0,
        "last_error": known["last_error"] or None,
        "last_failed": float(last_failed) if last_failed else None,
        "last_failed_task": known["last_failed_task"] or None,
    }

"""The listing of families: their tasks by state, run times, failures."""

from __future__ import annotations

import json
import math

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.ended_runs import read_ended_runs
from broker_sched.scheduler.family_counts import read_counts
from broker_sched.scheduler.paging import make_cursor, read_cursor

FIELDS = ("runs", "last_error", "last_failed", "last_failed_task")
TOGETHER = 5  # families read at once
MOST_OFTEN = 0.95


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
    found: list[view_replies.Family] = []
    for start in range(0, len(names), TOGETHER):
        some = names[start : start + TOGETHER]
        replies = yield Read([command for name in some for command in _commands(namespace, name)])
        for index, name in enumerate(some):
            shown = _family(name, counts[name], replies[2 * index], replies[2 * index + 1])
            shown["paused"], shown["failed_last_hour"] = name in are_paused, failed[f"failed:{name}"]
            found.append(shown)
    return {"families": found, "cursor": more}


def _commands(namespace: Namespace, name: str) -> list[tuple[str, ...]]:
    return [
        ("HMGET", namespace.key("family", name), *FIELDS),
        ("LRANGE", namespace.key("run_times", name), "0", "-1"),
    ]


def _family(name: str, by_state: dict[str, int], fields: list[str | None], times: list[str]) -> view_replies.Family:
    known, run_times = dict(zip(FIELDS, fields)), [float(each) for each in times]
    last_failed = known["last_failed"]
    return {
        "family": name,
        "tasks": by_state,
        "total": sum(by_state.values()),
        "paused": False,
        "runs": int(known["runs"] or 0),
        "mean_seconds": sum(run_times) / len(run_times) if run_times else None,
        "p95_seconds": usual_most(run_times) if run_times else None,
        "failed_last_hour": 0,
        "last_error": known["last_error"] or None,
        "last_failed": float(last_failed) if last_failed else None,
        "last_failed_task": known["last_failed_task"] or None,
    }


def usual_most(seconds: list[float]) -> float:
    """Return the least of them that at least 95 % do not exceed (the nearest-rank percentile)."""
    return sorted(seconds)[math.ceil(MOST_OFTEN * len(seconds)) - 1]

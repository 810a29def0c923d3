"""The listing of families: their tasks by state, run times, failures."""

from __future__ import annotations

import json
import math
from typing import Any

from broker_sched.contract import view_replies
from broker_sched.contract.states import STATES
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.ended_runs import read_ended_runs
from broker_sched.scheduler.paging import make_cursor, pages_behind, read_place

FIELDS = ("runs", "recent_seconds", "last_error", "last_failed", "last_failed_task")
TOGETHER = 5  # families read at once
MOST_OFTEN = 0.95


def families(namespace: Namespace, *, cursor: str | None, limit: int) -> Commands[view_replies.Families]:
    """Return a page of the families. Reads a few keys of each, and counts of the last hour."""
    after, _ = read_place("families", None, cursor)
    (page,) = yield from pages_behind(namespace, [(namespace.key("families"), after, limit)], reverse=True)
    names = [each.member for each in page.entries]
    now = float((yield Call("read_clock")))
    ended = yield from read_ended_runs(namespace, now)
    failed = yield from ended.by_field(namespace, [f"failed:{name}" for name in names], only_failed=True)
    paused = yield from read_paused_families(namespace)
    found: list[view_replies.Family] = []
    for start in range(0, len(names), TOGETHER):
        some = names[start : start + TOGETHER]
        replies = yield Read([command for name in some for command in _commands(namespace, name)])
        size = len(replies) // len(some)
        for index, name in enumerate(some):
            found.append(_family(name, replies[index * size : (index + 1) * size], name in paused))
            found[-1]["failed_last_hour"] = failed[f"failed:{name}"]
    return {"families": found, "cursor": None if page.is_last else make_cursor("families", None, page.entries[-1])}


def read_paused_families(namespace: Namespace) -> Commands[list[str]]:
    """Return the families that are paused, by name. One read."""
    (text,) = yield Read([("HGET", namespace.key("config"), "paused_families")])
    return sorted(json.loads(text or "{}"))


def _commands(namespace: Namespace, name: str) -> list[tuple[str, ...]]:
    return [
        ("HMGET", namespace.key("family", name), *FIELDS),
        ("LRANGE", namespace.key("run_times", name), "0", "-1"),
        *(("ZCARD", namespace.key("tasks", state, name)) for state in STATES),
    ]


def _family(name: str, replies: list[Any], is_paused: bool) -> view_replies.Family:
    (runs, recent_seconds, last_error, last_failed, last_failed_task), run_times, *counts = replies
    return {
        "family": name,
        "tasks": {state: count for state, count in zip(STATES, counts) if count},
        "total": sum(counts),
        "paused": is_paused,
        "runs": int(runs or 0),
        "mean_seconds": float(recent_seconds or 0) / len(run_times) if run_times else None,
        "p95_seconds": _usual_most([float(each) for each in run_times]) if run_times else None,
        "failed_last_hour": 0,
        "last_error": last_error or None,
        "last_failed": float(last_failed) if last_failed else None,
        "last_failed_task": last_failed_task or None,
    }


def _usual_most(seconds: list[float]) -> float:
    """The least of them that at least 95 % do not exceed (the nearest-rank percentile)."""
    return sorted(seconds)[math.ceil(MOST_OFTEN * len(seconds)) - 1]

"""How a namespace stands, in one reply."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.ended_runs import read_ended_runs
from broker_sched.scheduler.estimates import estimate_end
from broker_sched.scheduler.family_counts import FamilyCounts, read_counts, totals
from broker_sched.scheduler.keys import SERVER_SECONDS
from broker_sched.scheduler.paging import SMALL_PACE, read_paced
from broker_sched.scheduler.records import ids_of, nearest_amount, pairs
from broker_sched.scheduler.redis_state import redis_state
from broker_sched.scheduler.worker_standings import WorkerStanding, read_contacts, read_standings

MAX_BEHIND_FAILED = 1000  # tasks that are looked at for UPSTREAM_FAILED
MAX_STEPS = 50  # from dep to dependent, likewise
TOGETHER = 5  # sets read at once, each of which may be large
NUMBERS = 50  # of tasks, read with one command
SECTIONS = ("server", "memory", "persistence")  # of Redis's INFO


def overview(namespace: Namespace) -> Commands[view_replies.Overview]:
    """Return how the namespace stands. Reads a few keys of each family and of each worker, and 1,000 tasks at most."""
    now_text = yield Call("read_clock")
    now = float(now_text)
    sections = []
    for section in SECTIONS:
        sections.append((yield Call("look_at_redis", section=section)))
    config, limits, used, servers = yield Read(
        [("HGETALL", namespace.key(name)) for name in ("config", "resources", "used", "servers")]
    )
    options, counts = pairs(config), (yield from read_counts(namespace))
    tasks = totals(counts)
    workers = yield from read_workers(namespace, now)
    standing = _count_workers(workers)
    is_paused = options.get("paused") == "1"
    paused = sorted(json.loads(options.get("paused_families") or "{}"))
    ended = yield from read_ended_runs(namespace, now)
    end = yield from estimate_end(namespace, counts, standing["slots"], now, None if is_paused else paused)
    return {
        "time": now,
        "namespace": namespace.name,
        "schema": options.get("schema", ""),
        "tasks": tasks,
        "ready": tasks["READY"],
        "oldest_ready": (yield from read_oldest_ready(namespace, counts)),
        "upstream": {
            "UPSTREAM_DISABLED": tasks["BLOCKED"],
            "UPSTREAM_FAILED": (yield from _behind_failed(namespace, counts)),
        },
        "workers": standing,
        "resources": _resources(pairs(limits), pairs(used)),
        "paused": is_paused,
        "paused_families": paused,
        "throughput": ended.throughput(),
        "estimated_end": end,
        "redis": redis_state(*sections),
        "versions": {
            "servers": _servers(pairs(servers), now),
            "workers": dict(Counter(each.version or "" for each in workers if each.state != "submission")),
        },
    }


def read_workers(namespace: Namespace, now: float) -> Commands[list[WorkerStanding]]:
    """Return how all workers and submissions stand. now: by the scheduler's clock."""
    contacts = yield from read_contacts(namespace)
    return (yield from read_standings(namespace, list(contacts), now, contacts))


def _count_workers(workers: Sequence[WorkerStanding]) -> view_replies.WorkerCounts:
    states = Counter(each.state for each in workers)
    active = [each for each in workers if each.state == "active"]
    return {
        "active": states["active"],
        "disabled": states["disabled"],
        "silent": states["silent"],
        "submissions": states["submission"],
        "slots": sum(each.slots for each in active),
        "slots_in_use": sum(int(min(each.running, each.slots)) for each in active),
    }


def read_oldest_ready(namespace: Namespace, counts: FamilyCounts) -> Commands[float | None]:
    """Return since when (s) the oldest READY task is so; None when there is none."""
    keys = [namespace.key("tasks", "READY", family) for family, by_state in counts.items() if "READY" in by_state]
    heads = yield from read_paced([("ZRANGE", key, "0", "0", "WITHSCORES") for key in keys], SMALL_PACE)
    return min((float(head[1]) for head in heads if head), default=None)


def _behind_failed(namespace: Namespace, counts: FamilyCounts) -> Commands[view_replies.UpstreamFailed]:
    """How many PENDING tasks, not BLOCKED, are reached from the FAILED ones through PENDING ones, breadth first."""
    wave = yield from _failed(
        namespace, {family: by_state["FAILED"] for family, by_state in counts.items() if "FAILED" in by_state}
    )
    seen, count = set(wave), 0
    for _ in range(MAX_STEPS):
        if not wave:
            return {"count": count, "exact": len(seen) <= MAX_BEHIND_FAILED}
        if len(seen) > MAX_BEHIND_FAILED:
            break
        wave = yield from _waiting(namespace, (yield from _fresh_dependents(namespace, wave, seen)))
        count += len(wave)
    return {"count": count, "exact": False}


def _failed(namespace: Namespace, families: Mapping[str, int]) -> Commands[list[str]]:
    """The numbers of the FAILED tasks of these families (→ how many); of very many, more than may be looked at."""
    commands: list[tuple[str, ...]] = []
    left = MAX_BEHIND_FAILED + 1
    for family, count in families.items():
        size = min(count, left)
        left -= size
        commands += [
            ("ZRANGE", namespace.key("tasks", "FAILED", family), str(start), str(min(start + NUMBERS, size) - 1))
            for start in range(0, size, NUMBERS)
        ]
    replies = yield from read_paced(commands, pace=2)
    return list(dict.fromkeys(n for numbers in replies for n in numbers))


def _fresh_dependents(namespace: Namespace, wave: Sequence[str], seen: set[str]) -> Commands[list[str]]:
    """The dependents of these tasks that were not seen, which then are, until more were than may be looked at."""
    fresh: list[str] = []
    most = str(MAX_BEHIND_FAILED + 1)
    for start in range(0, len(wave), TOGETHER):
        some = wave[start : start + TOGETHER]
        found = yield Read([("SRANDMEMBER", namespace.key("dependents", n), most) for n in some])
        for n in (n for numbers in found for n in numbers):
            if n not in seen and len(seen) <= MAX_BEHIND_FAILED:
                seen.add(n)
                fresh.append(n)
    return fresh


def _waiting(namespace: Namespace, numbers: Sequence[str]) -> Commands[list[str]]:
    """Those of these tasks that are PENDING, and not BLOCKED."""
    ids = yield from ids_of(namespace, numbers)
    commands = [
        command
        for n, task_id in ids.items()
        for command in (("HGET", namespace.key("task", task_id), "status"), ("EXISTS", namespace.key("blockers", n)))
    ]
    replies = yield from read_paced(commands)
    return [n for n, status, blocked in zip(ids, replies[::2], replies[1::2]) if status == "PENDING" and not blocked]


def _resources(limits: dict[str, str], used: dict[str, str]) -> list[view_replies.ResourceUse]:
    return [
        {"name": name, "limit": json.loads(limits.get(name, "1")), "used": nearest_amount(used.get(name, "0"))}
        for name in sorted({*limits, *used})
    ]


def _servers(entries: dict[str, str], now: float) -> list[view_replies.ServerProcess]:
    found: list[view_replies.ServerProcess] = []
    for server, text in sorted(entries.items()):
        told: dict[str, Any] = json.loads(text)
        if now - told["seen"] <= SERVER_SECONDS:
            found.append(
                {
                    "server": server,
                    "host": told["host"],
                    "pid": told["pid"],
                    "version": told["version"],
                    "address": told["address"],
                    "started": told["started"],
                    "seen": told["seen"],
                }
            )
    return found

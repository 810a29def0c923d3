"""A submission as people look at it: how far it is, by state, and when it may end. Its cost does not grow with it."""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

from broker_sched.contract import submission_replies, view_replies
from broker_sched.contract.states import Status
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.estimates import estimate_end
from broker_sched.scheduler.operations.overview import read_workers
from broker_sched.scheduler.operations.submissions import EXTERNAL, HAS_FAILED, MAX_SHOWN, look_at
from broker_sched.scheduler.paging import SMALL_PACE, read_paced
from broker_sched.scheduler.records import ids_of

MOST_LOOKED_AT = 1000  # tasks
MOST_SETS = 500  # stakeholder sets that are looked at
NUMBERS = 50  # of tasks, read with one command


def submission_details(
    namespace: Namespace, *, submission: str
) -> Commands[submission_replies.SubmissionDetails | None]:
    """Return how a submission stands or ended; None when it is unknown. Reads up to 1,000 of its tasks.

    What is left of more tasks is in proportion.
    """
    found, w, _ = yield from look_at(namespace, submission)
    if found["state"] is None:
        return None
    seen = yield from _look(namespace, w)
    total = seen.total if w else sum(found["counts"].values())
    end: view_replies.EstimatedEnd = {"at": found["ended"], "reason": None}
    if w:
        end = yield from _estimate(namespace, seen)
    return {
        "submission": submission,
        "state": found["state"],
        "tasks": found["tasks"],
        "submitted": found["submitted"],
        "ended": found["ended"],
        "n_pending": found["n_pending"],
        "n_running": found["n_running"],
        "n_ready": found["n_ready"],
        "total": total,
        "counts": dict(seen.states) if w else found["counts"],
        "looked_at": seen.looked_at if w else total,
        "families": [
            {"family": family, "tasks": dict(states)}
            for family, states in sorted(seen.families.items(), key=lambda each: (-each[1].total(), each[0]))
        ],
        "running": seen.running,
        "failed": seen.failed if w else found["failed"],
        "refused": seen.refused,
        "estimated_end": end,
    }


class _Seen(NamedTuple):
    """What was seen of a submission's tasks: of those looked at how many are in each state, in all and by family."""

    total: int
    looked_at: int
    states: Counter[str]
    families: dict[str, Counter[str]]
    running: list[submission_replies.SubmittedTask]
    failed: list[str]
    refused: list[str]


def _look(namespace: Namespace, w: str) -> Commands[_Seen]:
    total, numbers = yield from _some_of_its_tasks(namespace, w)
    ids = yield from ids_of(namespace, numbers)
    fields = ("status", "family", "ready", "blocked", "runner_set", "refusals", "worker_running", "time_running")
    rows = yield from read_paced([("HMGET", namespace.key("task", each), *fields) for each in ids.values()], SMALL_PACE)
    seen = _Seen(total, 0, Counter(), {}, [], [], [])
    for task_id, (status, family, ready, blocked, runner_set, refusals, worker, since) in zip(ids.values(), rows):
        if status is None:
            continue
        state: str = status
        if runner_set is None and status in (Status.PENDING, Status.UNKNOWN):
            state = EXTERNAL
        elif status == Status.PENDING:
            state = "READY" if ready else "BLOCKED" if blocked == "1" else "WAITING"
        seen.states[state] += 1
        seen.families.setdefault(family or "", Counter())[state] += 1
        if status == Status.RUNNING:
            began = None if since is None else float(since)
            seen.running.append({"task_id": task_id, "family": family or "", "worker": worker, "since": began})
        elif status in HAS_FAILED:
            seen.failed.append(task_id)
        elif refusals:
            seen.refused.append(task_id)
    seen.running.sort(key=lambda each: each["since"] or 0.0)
    for shown in (seen.running, seen.failed, seen.refused):
        del shown[MAX_SHOWN:]
    return seen._replace(looked_at=seen.states.total())


def _some_of_its_tasks(namespace: Namespace, w: str) -> Commands[tuple[int, list[str]]]:
    """How many tasks it has, and the numbers of up to 1,000 of them, taken by chance from all its sets in proportion.

    A task is in one of these sets, so their sizes add up.
    """
    if not w:
        return 0, []
    (sets,) = yield Read([("SMEMBERS", namespace.key("worker_stakeholder_sets", w))])
    keys = [namespace.key("stakeholder_set", each, "tasks") for each in sorted(sets)]
    sizes = yield from read_paced([("SCARD", key) for key in keys], SMALL_PACE)
    total = sum(sizes)
    share = min(1.0, MOST_LOOKED_AT / max(total, 1))
    numbers: list[str] = []
    for key, size in sorted(zip(keys, sizes), key=lambda each: -each[1])[:MOST_SETS]:
        (some,) = yield Read([("SRANDMEMBER", key, str(max(1, int(size * share))))])
        numbers += some
    return total, sorted(numbers[:MOST_LOOKED_AT])


def _estimate(namespace: Namespace, seen: _Seen) -> Commands[view_replies.EstimatedEnd]:
    """When all that can run of it will have ended, if the workers did nothing else."""
    now = float((yield Call("read_clock")))
    paused_text, families_text = (yield Read([("HMGET", namespace.key("config"), "paused", "paused_families")]))[0]
    active = [each for each in (yield from read_workers(namespace, now)) if each.state == "active"]
    scale = seen.total / max(seen.looked_at, 1)
    left = {
        family: {state: round(count * scale) for state, count in states.items() if state != EXTERNAL}
        for family, states in seen.families.items()
    }
    paused = None if paused_text == "1" else sorted(json.loads(families_text or "{}"))
    return (yield from estimate_end(namespace, left, sum(each.slots for each in active), now, paused))

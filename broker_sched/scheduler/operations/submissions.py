"""Submissions: tasks that run though nobody waits for them. See lua/lib/workers/submissions.lua."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from broker_sched.contract import replies as replies
from broker_sched.contract.states import Status
from broker_sched.contract.validation import to_json
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.tasks import run_deferred
from broker_sched.scheduler.paging import scan_set
from broker_sched.scheduler.records import CHUNK, ids_of, pairs

DONE, FAILED, INCOMPLETE, CANCELLED = "DONE", "FAILED", "INCOMPLETE", "CANCELLED"
EXTERNAL = "EXTERNAL"  # counted beside the statuses: not DONE, and no worker can run it
HAS_FAILED = (Status.FAILED.value, Status.DISABLED.value)
MAX_SHOWN = 20  # failed tasks named


def add_submission(namespace: Namespace, *, submission: str, tasks: Sequence[str]) -> Commands[replies.SubmissionState]:
    """Make a submission of the worker that has scheduled these tasks.

    One script; when it refuses, a look for the reason.
    """
    state = yield Call("add_submission", submission=submission, tasks=to_json("tasks", list(tasks)), task_ids=tasks)
    if not state:
        raise InvalidArgument("submission", (yield from _why_refused(namespace, submission, tasks)))
    return {"submission": submission, "state": state}


def _why_refused(namespace: Namespace, submission: str, tasks: Sequence[str]) -> Commands[str]:
    statuses = yield Read([("HGET", namespace.key("task", each), "status") for each in tasks])
    done = [each for each, status in zip(tasks, statuses) if status == Status.DONE]
    if done:
        return (
            f"{done[0]} is DONE. When it has just become so, the scheduler takes it for done, though its output may be "
            "gone again: schedule it once stable_done_cooldown_secs have passed since then"
        )
    return (
        f"{submission} is no worker that has scheduled all of these tasks, or it was silent for so long that it "
        "was forgotten: schedule them under this id, then add it at once"
    )


def submission(namespace: Namespace, *, submission: str) -> Commands[replies.Submission]:
    """Return how a submission stands, and end it when all of its tasks have ended.

    One script, and a read of its tasks.
    """
    found, w, is_over = yield from look_at(namespace, submission)
    if not w or found["state"] is None:
        return found
    yield from _count(namespace, found, w)
    if is_over:
        yield from _end(namespace, found)
        found, _, _ = yield from look_at(namespace, submission)
    return found


def submission_list(namespace: Namespace) -> Commands[list[replies.Submission]]:
    """Return every submission as it stands, without its tasks; the newest first."""
    numbers, ended = yield Read(
        [("SMEMBERS", namespace.key("submissions")), ("ZRANGE", namespace.key("ended_submissions"), "0", "-1")]
    )
    ids: list[str] = list(ended)
    if numbers:
        (live,) = yield Read([("HMGET", namespace.key("worker_ids"), *sorted(numbers))])
        ids += [each for each in live if each is not None]
    found = []
    for each in ids:
        shown, _, _ = yield from look_at(namespace, each)
        if shown["state"] is not None:
            found.append(shown)
    return sorted(found, key=lambda each: each["submitted"] or 0.0, reverse=True)


def cancel(namespace: Namespace, submission: str) -> Commands[str | None]:
    """End a submission as CANCELLED. Returns the state that it has then; None when it is unknown."""
    found, w, _ = yield from look_at(namespace, submission)
    if w:
        yield from _count(namespace, found, w)
    state, left = yield Call("end_submission", submission=submission, state=CANCELLED, counts=_kept(found))
    yield from run_deferred(left)
    return state or None


def end_when_over(namespace: Namespace, submission: str) -> Commands[None]:
    """End a submission of which nothing is left to be done; prune() calls it."""
    found, w, is_over = yield from look_at(namespace, submission)
    if w and is_over:
        yield from _count(namespace, found, w)
        yield from _end(namespace, found)


def look_at(namespace: Namespace, submission: str) -> Commands[tuple[replies.Submission, str, bool]]:
    """Return a submission as it stands or ended, its number as a worker ('' when it has ended), and whether nothing of
    it is left to be done. One script."""
    kept, w, pending, running, ready, is_over = yield Call("look_at_submission", submission=submission)
    fields = pairs(kept)
    counted = json.loads(fields.get("counts", "{}"))
    found: replies.Submission = {
        "submission": submission,
        "state": fields.get("state"),
        "tasks": json.loads(fields.get("tasks", "[]")),
        "submitted": float(fields["submitted"]) if "submitted" in fields else None,
        "ended": float(fields["ended"]) if "ended" in fields else None,
        "n_pending": pending,
        "n_running": running,
        "n_ready": ready,
        "counts": counted.get("counts", {}),
        "failed": counted.get("failed", []),
        "refused": [],
    }
    return found, w, bool(is_over)


def _count(namespace: Namespace, found: replies.Submission, w: str) -> Commands[None]:
    """Count the submission's tasks by status, and put that into `found`."""
    (stakeholder_sets,) = yield Read([("SMEMBERS", namespace.key("worker_stakeholder_sets", w))])
    numbers: set[str] = set()
    for stakeholder_set in stakeholder_sets:
        numbers.update((yield from scan_set(namespace, "stakeholder_set", stakeholder_set, "tasks")))
    counts: Counter[str] = Counter()
    failed: list[str] = []
    refused: list[str] = []
    ordered = sorted(numbers)
    for start in range(0, len(ordered), CHUNK):
        ids = list((yield from ids_of(namespace, ordered[start : start + CHUNK])).values())
        replies = yield Read(
            [("HMGET", namespace.key("task", each), "status", "runner_set", "refusals") for each in ids]
        )
        for task_id, (status, runner_set, refusals) in zip(ids, replies):
            if status is None:
                continue
            is_external = runner_set is None and status in (Status.PENDING, Status.UNKNOWN)
            counts[EXTERNAL if is_external else status] += 1
            if status in HAS_FAILED and len(failed) < MAX_SHOWN:
                failed.append(task_id)
            if status == Status.PENDING and refusals and len(refused) < MAX_SHOWN:
                refused.append(task_id)
    found["counts"], found["failed"], found["refused"] = dict(counts), failed, refused


def _end(namespace: Namespace, found: replies.Submission) -> Commands[None]:
    """End the submission with the state that its counts say, unless something of it is to be done by now."""
    counts = found["counts"]
    has_failed = any(counts.get(status) for status in HAS_FAILED)
    state = FAILED if has_failed else DONE if set(counts) <= {Status.DONE.value} else INCOMPLETE
    _, left = yield Call("end_submission", submission=found["submission"], state=state, counts=_kept(found))
    yield from run_deferred(left)


def _kept(found: replies.Submission) -> str:
    kept: dict[str, Any] = {"counts": found["counts"], "failed": found["failed"]}
    return json.dumps(kept)

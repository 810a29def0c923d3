"""What links the traces of tasks: the span of a submission, and that of each task's latest attempt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker_sched.contract import replies as replies
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace

MOST_LINKS = 100  # deps of one attempt: OpenTelemetry keeps 128 links of a span


def note_submission_trace(namespace: Namespace, *, task_ids: Sequence[str], traceparent: str) -> Commands[None]:
    """Keep the span in which tasks were scheduled. One script."""
    yield Call("note_trace", field="submission", traceparent=traceparent, task_ids=list(task_ids))


def begin_trace(namespace: Namespace, *, task_ids: Sequence[str], traceparent: str) -> Commands[replies.TraceLinks]:
    """Keep the span of an attempt, and return what it follows from. One script, and at most four reads."""
    yield Call("note_trace", field="attempt", traceparent=traceparent, task_ids=list(task_ids))
    key = namespace.key
    commands: list[tuple[Any, ...]] = []
    for task_id in task_ids:
        commands += [("HGET", key("trace", task_id), "submission"), ("HGET", key("task", task_id), "n")]
    found = yield Read(commands)
    submissions, numbers = found[::2], [n for n in found[1::2] if n is not None]
    groups = yield Read([("SRANDMEMBER", key("deps", n), str(MOST_LINKS)) for n in numbers])
    members = list(dict.fromkeys(member for group in groups for member in group))[:MOST_LINKS]
    (names,) = (yield Read([("HMGET", key("ids"), *members)])) if members else ([],)
    deps = sorted(name for name in names if name is not None)  # each kind of Redis gives a set in another order
    traces = yield Read([("HGET", key("trace", dep), "attempt") for dep in deps])
    return {
        "submissions": [each for each in dict.fromkeys(submissions) if each is not None],
        "deps": {dep: trace for dep, trace in zip(deps, traces) if trace is not None},
    }

"""Why a task does not run: to the tasks at the root, each with a reason of the closed list in contract/why_replies.py.

Reads at most about 1,000 tasks, and changes nothing. A task that has changed meanwhile is looked at once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker_sched.contract.states import Status
from broker_sched.contract.why_replies import Cause, Why
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.why_causes import (
    SEVERITY,
    Group,
    Options,
    describe,
    group_roots,
    read_options,
    removed_at,
)
from broker_sched.scheduler.operations.why_ready import MOST_RUNNING, describe_ready
from broker_sched.scheduler.operations.why_sentences import tell
from broker_sched.scheduler.operations.why_walk import SIGNS_OF_CHANGE, Walk, walk
from broker_sched.scheduler.operations.why_workers import SeenWorkers

MOST_CAUSES = 20
MOST_READY = 4  # kinds of ready tasks that are looked at closely


def why(namespace: Namespace, *, task_id: str) -> Commands[Why]:
    """Return why the task does not run, or how it stands. Reads only, and twice when something changed meanwhile."""
    found = yield from walk(namespace, task_id)
    reply = yield from _explain(namespace, task_id, found)
    if (yield from _has_changed(namespace, reply, found)):
        found = yield from walk(namespace, task_id)
        reply = yield from _explain(namespace, task_id, found)
    return reply


def _explain(namespace: Namespace, task_id: str, found: Walk) -> Commands[Why]:
    focus = found.focus
    if focus is None or focus.status is None:
        return (yield from _explain_unknown(namespace, task_id, found))
    options = yield from read_options(namespace)
    roots = found.roots()
    groups = yield from group_roots(namespace, roots)
    causes, other_causes, looked_closely = yield from _causes_of(namespace, groups, found, options)
    waits = focus.status == Status.PENDING and (focus.unmet_count > 0 or any(each.ring for each in roots))
    if waits and not causes:
        last = next(reversed(found.nodes.values()))
        causes.append({"code": "deps", "task_id": last.task_id, "others": 0})
    reply: Why = {
        "task_id": task_id,
        "status": focus.status,
        "code": "deps" if waits else causes[0]["code"],
        "sentence": "",
        "causes": causes,
        "unmet": focus.unmet_count,
        "other_causes": other_causes,
        "looked_at": len(found.nodes) + looked_closely,
        "complete": found.is_complete,
    }
    tell(reply, found.now)
    return reply


def _causes_of(
    namespace: Namespace, groups: Sequence[Group], found: Walk, options: Options
) -> Commands[tuple[list[Cause], int, int]]:
    """The causes, those first that somebody has to mend; how many tasks are in none; how many more were looked at."""
    ready = sorted((each for each in groups if each[0].code == "ready"), key=_place)
    causes: dict[tuple[str, str], Cause] = {}
    looked_closely, seen = 0, SeenWorkers(found.now)
    for group in ready[:MOST_READY]:
        cause = yield from describe_ready(namespace, group, options, seen)
        looked_closely += MOST_RUNNING if cause["code"] == "resource" else 0
        kind = cause["code"], cause.get("resource", cause.get("first") or cause["family"])
        if kind in causes:
            causes[kind]["others"] += cause["others"] + 1
        else:
            causes[kind] = cause
    others = sorted(
        (each for each in groups if each[0].code != "ready"),
        key=lambda each: (SEVERITY.index(each[0].code), -len(each)),
    )
    told = list(causes.values())
    for group in others[: MOST_CAUSES - len(told)]:
        told.append((yield from describe(namespace, group, found, options)))
    left = sum(len(group) for group in [*ready[MOST_READY:], *others[MOST_CAUSES - len(causes) :]])
    return sorted(told, key=lambda each: SEVERITY.index(each["code"])), left, min(looked_closely, MOST_RUNNING)


def _place(group: Group) -> tuple[int, float]:
    """Where many tasks stand, the reason matters most."""
    return -len(group), -(group[0].node.number("priority") or 0.0)


def _explain_unknown(namespace: Namespace, task_id: str, found: Walk) -> Commands[Why]:
    removed = yield from removed_at(namespace, task_id)
    dependents = 0
    if found.focus is not None:
        (dependents,) = yield Read([("SCARD", namespace.key("dependents", found.focus.n))])
    cause: Cause = {"code": "unknown", "task_id": task_id, "others": 0, "removed": removed, "dependents": dependents}
    reply: Why = {
        "task_id": task_id,
        "status": None,
        "code": "unknown",
        "sentence": "",
        "causes": [cause],
        "unmet": 0,
        "other_causes": 0,
        "looked_at": 0,
        "complete": True,
    }
    tell(reply, found.now)
    return reply


def _has_changed(namespace: Namespace, reply: Why, found: Walk) -> Commands[bool]:
    """Whether the task, or one that a cause is about, is not any more as it was read. One read."""
    told = {cause["task_id"] for cause in reply["causes"]} | {reply["task_id"]}
    nodes = [node for node in found.nodes.values() if node.task_id in told and node.status is not None]
    now = yield Read([("HMGET", namespace.key("task", node.task_id), *SIGNS_OF_CHANGE) for node in nodes])
    return any(list(each) != [node.fields[name] for name in SIGNS_OF_CHANGE] for node, each in zip(nodes, now))

"""The condensed graph: single tasks near the one that was asked for, beyond them one node for each family and state.

graph_walk.py says what is looked at; here it is made into few nodes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from broker_sched.contract.graph_replies import CondensedGraph, GraphEdge, GraphNode
from broker_sched.contract.states import STATES
from broker_sched.contract.view_replies import TaskLine
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.graph_walk import LookedAt, Walk, numbers_of, walk_from
from broker_sched.scheduler.task_lines import read_errors, read_lines

FAILURES = ("FAILED", "DISABLED")
MAX_STATES = len(STATES) + 1  # with MISSING


class Group(NamedTuple):
    """What the tasks of a group have in common."""

    state: str
    family: str | None  # None: whatever it is

    @property
    def name(self) -> str:
        """The name of the group's node, which `expand` takes."""
        return f"others:{self.state}" if self.family is None else f"group:{self.state}:{self.family}"


Groups: TypeAlias = dict[Group, list[str]]  # the numbers of their tasks, the nearest first
Call: TypeAlias = dict[str, Any]  # the arguments of a call of condensed_graph


def condensed_graph(
    namespace: Namespace, *, task_id: str, direction: str, nodes: int, expand: Sequence[str], include_done: bool
) -> Commands[CondensedGraph | None]:
    """Return what the task depends on, or what depends on it, in few nodes; None when nobody knows the task."""
    first = yield from numbers_of(namespace, [task_id])
    if not first:
        return None
    walk = yield from walk_from(namespace, first, direction, include_done=include_done)
    groups = condense(walk, nodes, expand)
    grouped = {each for members in groups.values() for each in members}
    single = [each for each in walk.tasks if each not in grouped]
    lines = yield from _lines(namespace, [walk.tasks[each] for each in single])
    exact = yield from _exact(namespace, walk, groups)
    call: Call = {"task_id": task_id, "direction": direction, "nodes": nodes}
    if not include_done:
        call["include_done"] = False
    shown = [_task(walk, each, lines.get(walk.tasks[each].task_id), call) for each in single]
    shown += [_group(walk, group, members, group in exact, call, expand) for group, members in groups.items()]
    return {
        "task_id": task_id,
        "direction": direction,
        "nodes": sorted(shown, key=lambda node: node["distance"]),
        "edges": _edges(walk, groups, direction),
        "looked_at": len(walk.tasks),
        "complete": walk.is_complete,
    }


def condense(walk: Walk, nodes: int, expand: Iterable[str] = ()) -> Groups:
    """Say which tasks of a walk are shown in groups, so that there are at most so many nodes; all others are single.

    First the groups in `expand` are taken apart as far as they fit. Then, level by level from the first task on, all
    that fits is single; of the level that does not fit whole, the smallest groups: a few that failed among many
    that are done. Beyond it only what would be a group of one is.
    """
    groups = _all_in_groups(walk, nodes - 1)
    room = nodes - 1 - len(groups)
    for group in [group for name in dict.fromkeys(expand) for group in groups if group.name == name]:
        room -= _take_out(groups, group, groups[group][:room])
    for level in _levels(walk, groups):
        does_all_fit = True
        for group, members in sorted(level.items(), key=lambda item: (len(item[1]), item[0].name)):
            cost = len(members) - (len(members) == len(groups[group]))
            if cost <= room:
                room -= _take_out(groups, group, members)
            else:
                does_all_fit = False
        if not does_all_fit:
            break
    return {group: members for group, members in groups.items() if len(members) > 1}


def _all_in_groups(walk: Walk, most: int) -> Groups:
    """All but the first task in groups, of which there are no more than so many: small families are put together."""
    _, *others = walk.tasks
    group_of = {n: Group(walk.tasks[n].state, walk.tasks[n].family) for n in others}
    sizes = Counter(group_of.values())
    kept = set(sizes)
    if len(kept) > most:
        kept = set(sorted(sizes, key=lambda group: (-sizes[group], group.name))[: most - MAX_STATES])
    groups: Groups = {}
    for n, group in group_of.items():
        groups.setdefault(group if group in kept else Group(group.state, None), []).append(n)
    return groups


def _take_out(groups: Groups, group: Group, members: Sequence[str]) -> int:
    """Make these tasks of a group single. Returns how many nodes more that are."""
    if not members:
        return 0
    out = set(members)
    groups[group] = [n for n in groups[group] if n not in out]
    if groups[group]:
        return len(out)
    del groups[group]
    return len(out) - 1


def _levels(walk: Walk, groups: Groups) -> list[Groups]:
    """What is in the groups, by distance from the first task."""
    levels: dict[int, Groups] = defaultdict(lambda: defaultdict(list))
    for group, members in groups.items():
        for n in members:
            levels[walk.tasks[n].distance][group].append(n)
    return [levels[distance] for distance in sorted(levels)]


def _lines(namespace: Namespace, tasks: Sequence[LookedAt]) -> Commands[dict[str, TaskLine]]:
    """What listings show of these tasks, in the states in which they were found; of those that failed, the error."""
    found = yield from read_lines(namespace, [task.task_id for task in tasks], with_errors=False)
    lines = {task_id: each.shown for task_id, each in found.items()}
    for task in tasks:
        if task.status is not None and task.task_id in lines:
            line = lines[task.task_id]
            line["status"], line["state"] = task.status, task.state
    yield from read_errors(namespace, [line for line in lines.values() if line["status"] in FAILURES])
    return lines


def _task(walk: Walk, n: str, line: TaskLine | None, call: Call) -> GraphNode:
    """A task's node. line: None for a missing one, and for one that was removed a moment ago."""
    task, further = walk.tasks[n], walk.further[n]
    has_more = further > 0 and task.distance > 0  # asked for once more, the first one shows the same
    return {
        "node": _name_of_task(task),
        "task_id": task.task_id,
        "task": line,
        "family": task.family,
        "status": task.status,
        "state": task.state,
        "count": 1,
        "exact": True,
        "distance": task.distance,
        "further": further,
        "example": task.task_id,
        "more": {**call, "task_id": task.task_id} if has_more else None,
    }


def _group(
    walk: Walk, group: Group, members: Sequence[str], is_exact: bool, call: Call, expand: Sequence[str]
) -> GraphNode:
    """The node of a group. `more` takes it apart; where that is done as far as it goes, `more` is about its nearest."""
    nearest = walk.tasks[members[0]]
    may_expand = group.family is not None and group.name not in expand
    return {
        "node": group.name,
        "task_id": None,
        "task": None,
        "family": group.family,
        "status": nearest.status,
        "state": group.state,
        "count": len(members),
        "exact": is_exact,
        "distance": nearest.distance,
        "further": sum(walk.further[n] for n in members),
        "example": nearest.task_id,
        "more": {**call, "expand": [*expand, group.name]} if may_expand else {**call, "task_id": nearest.task_id},
    }


def _exact(namespace: Namespace, walk: Walk, groups: Groups) -> Commands[set[Group]]:
    """The groups of which there are no more tasks than were looked at."""
    if walk.is_complete:
        return set(groups)
    known = [group for group in groups if group.family is not None]
    totals = yield Read([("ZCARD", namespace.key("tasks", group.state, group.family or "")) for group in known])
    shown = Counter(Group(task.state, task.family) for task in walk.tasks.values())
    return {group for group, total in zip(known, totals) if 0 < total <= shown[group]}


def _edges(walk: Walk, groups: Groups, direction: str) -> list[GraphEdge]:
    nodes = {n: _name_of_task(task) for n, task in walk.tasks.items()}
    nodes.update((n, group.name) for group, members in groups.items() for n in members)
    counts = Counter((nodes[n], nodes[other]) for n, other in walk.edges)
    if direction == "dependents":
        counts = Counter({(other, node): count for (node, other), count in counts.items()})
    return [{"dependent": dependent, "dep": dep, "count": count} for (dependent, dep), count in counts.items()]


def _name_of_task(task: LookedAt) -> str:
    return f"task:{task.task_id}"

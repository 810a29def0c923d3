"""The shapes of what condensed_graph and critical_path reply: a part of the graph of deps, and a chain in it."""

from __future__ import annotations

from typing import TypedDict

from broker_sched.contract.types import JSON
from broker_sched.contract.view_replies import TaskLine


class GraphNode(TypedDict):
    """A node of a condensed graph: one task, or the tasks of one family that are in one state.

    node: its name in `edges` and in `expand`.
    task_id: of one task; null where the node is several. task: its line, as `tasks` has it; null for a missing one too.
    family: null where the node holds small groups of several families, for want of room.
    state: as in `tasks`, or MISSING: depended on, and not there; then status is null.
    count: how many tasks it is, of those looked at; exact false: there may be more of them.
    distance: the least number of steps from the task that was asked for.
    further: how many deps (or dependents) of its tasks were not looked at.
    example: the id of the nearest of its tasks.
    more: the arguments of the call that shows more of it; null when there is no more.
    """

    node: str
    task_id: str | None
    task: TaskLine | None
    family: str | None
    status: str | None
    state: str
    count: int
    exact: bool
    distance: int
    further: int
    example: str
    more: dict[str, JSON] | None


class GraphEdge(TypedDict):
    """How many deps lead from the tasks of one node to those of another, or within one."""

    dependent: str  # names of nodes
    dep: str
    count: int


class CondensedGraph(TypedDict):
    """What can be reached from a task, as a graph of few nodes. The first node is that task.

    looked_at: how many tasks were read; the counts of the nodes add up to it.
    complete: whether that is all there is; then all counts are exact, and so are those of the edges.
    """

    task_id: str
    direction: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    looked_at: int
    complete: bool


class PathStep(TypedDict):
    """A task of a critical path.

    state: as in `tasks`, or MISSING; then status is null. worker, started, ended: of its latest run; null where there
    was none, and ended while it runs. spent_seconds: what its runs have taken so far. expected_seconds: what is to
    come; null: nobody knows, since no run of its family was DONE yet, and it counts as 0.
    """

    task_id: str
    family: str
    status: str | None
    state: str
    worker: str | None
    started: float | None
    ended: float | None
    spent_seconds: float
    expected_seconds: float | None


class CriticalPath(TypedDict):
    """The chain of deps that takes longest, in the order in which it runs. task_id: the last of it.

    spent_seconds, expected_seconds: the sums of its steps. looked_at: how many tasks were looked at; complete: whether
    that is all that they depend on; further: how many deps were left out. unknown_families: up to 20 of those of which
    nobody knows how long a run takes, n_unknown_families: how many there are. missing: up to 20 deps that are not
    there, n_missing: how many. cycle: tasks that need each other in a ring, if there are such: the dep of the last of
    them that closes it is left out.
    """

    task_id: str | None
    steps: list[PathStep]
    spent_seconds: float
    expected_seconds: float
    looked_at: int
    complete: bool
    further: int
    unknown_families: list[str]
    n_unknown_families: int
    missing: list[str]
    n_missing: int
    cycle: list[str]

"""The shape of condensed_graph's reply: a part of the graph of deps, small enough to be drawn."""

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

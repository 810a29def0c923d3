"""The tasks that a task waits for, down its unmet deps to those at the root, and the rings among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from broker_sched.contract.states import Status
from broker_sched.contract.why_replies import WhyCode
from broker_sched.redis_backend.commands import Call, Commands
from broker_sched.redis_backend.namespace import Namespace

MOST_WALKED = 600  # tasks
PART = 50  # tasks that one script reads, for others wait meanwhile
# As walk_unmet.lua has them; of a task that waits for others only SIGNS_OF_CHANGE are read.
SIGNS_OF_CHANGE = ("status", "updated", "attempt", "ready")
FIELDS = (
    *SIGNS_OF_CHANGE,
    *("family", "module", "priority", "rank", "worker_running", "time_running", "batch_id", "disabled_at"),
    *("disabled_by", "runner_set", "workers", "refusals", "postponed", "policy"),
)
CODE_OF_STATUS: dict[str | None, WhyCode] = {
    None: "missing",
    Status.DONE: "done",
    Status.UNKNOWN: "placeholder",
    Status.RUNNING: "running",
    Status.BATCH_RUNNING: "in_batch",
    Status.FAILED: "failed",
    Status.DISABLED: "disabled",
}


class Node(NamedTuple):
    """One task, or missing dep, as walk_unmet.lua has read it."""

    n: str
    task_id: str  # '' when there is none of this number any more
    fields: dict[str, str | None]
    unmet: list[str]  # numbers of its deps that are not DONE, not all of very many
    unmet_count: int
    is_linking: bool
    dropped: list[str]  # deps that it does not have any more, which has not reached it

    @property
    def status(self) -> str | None:
        """The task's status; None when there is no such task."""
        return self.fields.get("status")

    def number(self, name: str) -> float | None:
        """Return a field that is a number; None when the task does not have it."""
        text = self.fields.get(name)
        return float(text) if text else None


class Root(NamedTuple):
    """A task that waits for no other one, and what it waits for instead; a ring: all its tasks."""

    code: WhyCode  # `ready` also when it remains to be seen why a ready task is not handed out
    node: Node
    dep: str = ""  # of deferred: the dep that has changed
    ring: tuple[str, ...] = ()


class Walk:
    """What was read of the tasks that the first one waits for."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}  # by number, as they were read
        self.now = 0.0  # s
        self.steps = 0  # deferred steps that wait
        self.failed_steps = 0
        self.is_complete = True

    @property
    def focus(self) -> Node | None:
        """The task that was asked about; None when it is unknown, and no task depends on it."""
        return next(iter(self.nodes.values()), None)

    def add(self, reply: list[Any]) -> list[Node]:
        """Take in what walk_unmet.lua has read."""
        now, self.steps, self.failed_steps, *tasks = reply
        self.now = float(now)
        fresh = [
            Node(n, task_id, dict(zip(FIELDS, fields)), unmet, count, bool(is_linking), dropped)
            for n, task_id, fields, unmet, count, is_linking, dropped in tasks
        ]
        self.nodes.update((node.n, node) for node in fresh)
        return fresh

    def deps_of(self, node: Node) -> Iterator[Node]:
        """The unmet deps of a PENDING task, as far as they were read."""
        return (self.nodes[dep] for dep in node.unmet if dep in self.nodes)

    def roots(self) -> list[Root]:
        """Return all that the task waits for in the end. A task may be at the root for two reasons."""
        found = [root for node in self.nodes.values() for root in self._roots_at(node)]
        return found + [Root("cycle", self.nodes[ring[0]], ring=tuple(ring)) for ring in self._rings()]

    def _roots_at(self, node: Node) -> Iterator[Root]:
        if node.status != Status.PENDING:
            if node.status != Status.DONE or node is self.focus:
                yield Root(CODE_OF_STATUS[node.status], node)
            return
        if node.is_linking:
            yield Root("linking", node)
        done = next((dep for dep in self.deps_of(node) if dep.status == Status.DONE), None)
        is_late = not node.unmet_count and not node.is_linking and not node.fields["ready"]
        if node.dropped or done is not None or is_late:
            yield Root("deferred", node, dep=done.task_id if done else "")
        elif not node.unmet_count and not node.is_linking:
            yield Root("ready", node)

    def _rings(self) -> Iterator[list[str]]:
        """Tasks that need each other, as numbers, in the order in which each needs the next."""
        pending = {n: node for n, node in self.nodes.items() if node.status == Status.PENDING}
        needs = {n: {dep for dep in node.unmet if dep in pending} for n, node in pending.items()}
        while True:
            _peel(needs)
            if not needs:
                return
            ring = _shortest_ring(needs)
            yield ring
            for n in ring:
                _remove(needs, n)


def _peel(needs: dict[str, set[str]]) -> None:
    """Leave out what needs none of the others, again and again: what remains needs some ring, or is one."""
    needed_by: dict[str, set[str]] = {n: set() for n in needs}
    for n, deps in needs.items():
        for dep in deps:
            needed_by[dep].add(n)
    leaves = [n for n, deps in needs.items() if not deps]
    while leaves:
        leaf = leaves.pop()
        del needs[leaf]
        for n in needed_by[leaf]:
            if n in needs:
                needs[n].discard(leaf)
                if not needs[n]:
                    leaves.append(n)


def _remove(needs: dict[str, set[str]], gone: str) -> None:
    del needs[gone]
    for deps in needs.values():
        deps.discard(gone)


def _shortest_ring(needs: dict[str, set[str]]) -> list[str]:
    """Every task here needs another one here, so whoever follows that comes to a ring; the shortest one there."""
    n, passed = min(needs), set()
    while n not in passed:
        passed.add(n)
        n = min(needs[n])
    came_from: dict[str, str] = {}
    wave = deque([n])
    while n not in came_from:
        at = wave.popleft()
        for dep in sorted(needs[at]):
            if dep not in came_from:
                came_from[dep] = at
                wave.append(dep)
    ring = [n]
    while (before := came_from[ring[-1]]) != n:
        ring.append(before)
    return [n, *reversed(ring[1:])]


def walk(namespace: Namespace, task_id: str) -> Commands[Walk]:
    """Read the task, and what it waits for, up to MOST_WALKED tasks. A script for each 25 to 50 of them, or for fewer
    that have many deps.

    Breadth first, but no more than PART / 2 side by side before their deps are read: so a root is found below
    thousands of deps, too.
    """
    found = Walk()
    fresh = found.add((yield Call("walk_unmet", task_id=task_id, most=str(PART), fresh_count="0", numbers=[])))
    waiting: deque[str] = deque()
    while True:
        waiting.extendleft(reversed(_unread(fresh, found, waiting)))
        waiting = deque(n for n in waiting if n not in found.nodes)
        left = min(PART, MOST_WALKED - len(found.nodes))
        if not waiting or left <= 0:
            break
        numbers = [waiting.popleft() for _ in range(min(PART // 2, left, len(waiting)))]
        reply = yield Call(
            "walk_unmet",
            task_id="",
            most=str(left),
            fresh_count=str(len(numbers)),
            numbers=[*numbers, *found.nodes],
        )
        fresh = found.add(reply)
        waiting.extendleft(n for n in reversed(numbers) if n not in found.nodes)  # that would have taken it too long
    are_all_named = all(node.unmet_count <= len(node.unmet) for node in found.nodes.values())
    found.is_complete = not waiting and are_all_named
    return found


def _unread(fresh: Iterable[Node], found: Walk, waiting: Iterable[str]) -> list[str]:
    known = {*found.nodes, *waiting}
    return list(dict.fromkeys(dep for node in fresh for dep in node.unmet if dep not in known))

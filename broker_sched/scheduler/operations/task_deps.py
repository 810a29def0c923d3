"""What a task depends on directly, or what depends on it, and where each of them stands; a page at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from broker_sched.contract import view_replies
from broker_sched.contract.states import states_of
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.graph_walk import MISSING, state_of
from broker_sched.scheduler.paging import make_cursor, read_cursor, read_paced
from broker_sched.scheduler.records import ids_of
from broker_sched.scheduler.task_lines import read_errors, read_lines

MAX_LOOKED_AT = 1000  # tasks in one call, or some more; a set of no more is read whole, and sorted
SCANNED = 100  # members of a larger set that are read together
PACE = 24  # commands sent together: about a tenth of a millisecond of Redis
DONE = "DONE"
# The states in the order in which somebody has to see to them.
ORDER = ("DISABLED", "FAILED", MISSING, "UNKNOWN", "BLOCKED", "RUNNING", "BATCH_RUNNING", "READY", "WAITING", DONE)
ERROR_STATES = ("FAILED", "DISABLED")


class _Part(NamedTuple):
    """A set through which a listing goes, and the states of the members that it lists from there."""

    key: str
    states: frozenset[str]


class _Seen(NamedTuple):
    """A task as it was found."""

    n: str
    task_id: str
    state: str

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in a set that is read whole."""
        return ORDER.index(self.state), int(self.n)


@dataclass
class _Page:
    """What a call has found so far, and where it is: in which part, and behind which place ('': its beginning)."""

    states: frozenset[str]
    limit: int
    part: int
    place: str
    looked_at: int
    found: list[_Seen] = field(default_factory=list)
    counts: Counter[str] | None = None  # by state, of a first part that was read whole

    @property
    def room(self) -> int:
        """How many more may be listed."""
        return self.limit - len(self.found)


def task_deps(
    namespace: Namespace,
    *,
    task_id: str,
    direction: str,
    status: str | None,
    include_done: bool,
    cursor: str | None,
    limit: int,
) -> Commands[view_replies.TaskDeps | None]:
    """Return a page of the tasks that a task depends on, or that depend on it; None when nobody knows the task."""
    n, missing = yield Read(
        [("HGET", namespace.key("task", task_id), "n"), ("HGET", namespace.key("missing_deps"), task_id)]
    )
    number = n or missing
    if number is None:
        return None
    states = frozenset(states_of(status) if status else ORDER) - (set() if include_done else {DONE})
    parts = _parts(namespace, direction, number, states)
    arguments = [task_id, direction, status, include_done]
    part, place, looked_at = (
        (0, "", 0) if cursor is None else read_cursor("task_deps", arguments, cursor, (int, str, int))
    )
    if not 0 <= part <= len(parts) or not set(place) <= set("0123456789 "):
        raise InvalidArgument("cursor", "is none: give the one of the reply before, or leave it out to begin anew")
    page = _Page(states, limit, part, place, looked_at)
    sizes = yield Read([("SCARD", namespace.key(kind, number)) for kind in (direction, "unmet")])
    budget = MAX_LOOKED_AT
    while page.part < len(parts) and page.room > 0 and budget > 0:
        if parts[page.part].states == {DONE} and sizes[0] == sizes[1]:
            page.part = len(parts)  # none of the deps is DONE
            break
        budget -= yield from _go_on(namespace, parts[page.part], page, budget)
    counts = page.counts
    if counts is not None and direction == "deps":
        counts[DONE] = max(0, sizes[0] - sizes[1])
    is_all = page.part >= len(parts)
    return {
        "tasks": (yield from _shown(namespace, page.found)),
        "counts": None if counts is None else {state: counts[state] for state in ORDER if counts[state]},
        "total": sizes[0],
        "cursor": None if is_all else make_cursor("task_deps", arguments, (page.part, page.place, page.looked_at)),
        "looked_at": page.looked_at,
    }


def _parts(namespace: Namespace, direction: str, number: str, states: frozenset[str]) -> list[_Part]:
    """The sets to go through: of deps first those that are not DONE, of which there is a set."""
    if direction == "dependents":
        return [_Part(namespace.key("dependents", number), states)]
    parts = [
        _Part(namespace.key("unmet", number), states - {DONE}),
        _Part(namespace.key("deps", number), states & {DONE}),
    ]
    return [part for part in parts if part.states]


def _go_on(namespace: Namespace, part: _Part, page: _Page, budget: int) -> Commands[int]:
    """List what comes next of a part, or go to the next one at its end. Returns how many tasks were looked at."""
    (size,) = yield Read([("SCARD", part.key)])
    if size <= MAX_LOOKED_AT:
        return (yield from _list_sorted(namespace, part, page))
    return (yield from _list_scanned(namespace, part, page, budget))


def _list_sorted(namespace: Namespace, part: _Part, page: _Page) -> Commands[int]:
    (members,) = yield Read([("SMEMBERS", part.key)])
    seen = yield from _look_at(namespace, members)
    if page.part == 0 and not page.place:
        page.counts = Counter(each.state for each in seen)
    rank, _, n = page.place.partition(" ")
    last = (int(rank), int(n)) if rank and n else (-1, -1)
    listed = sorted((each for each in seen if each.state in part.states), key=lambda each: each.place)
    behind = [each for each in listed if each.place > last]
    taken = behind[: page.room]
    page.found += taken
    page.looked_at += len(taken)
    if len(taken) < len(behind):
        page.place = "{} {}".format(*taken[-1].place)
    else:
        page.part, page.place = page.part + 1, ""
    return len(seen)


def _list_scanned(namespace: Namespace, part: _Part, page: _Page, budget: int) -> Commands[int]:
    cursor = page.place if page.place.isdecimal() else "0"
    looked_at = 0
    while page.room > 0 and looked_at < budget:
        count = SCANNED if len(page.states) < len(ORDER) else min(page.room, SCANNED)
        ((cursor, members),) = yield Read([("SSCAN", part.key, cursor, "COUNT", str(count))])
        seen = yield from _look_at(namespace, members)
        known = {each.n for each in page.found}
        page.found += [each for each in seen if each.state in part.states and each.n not in known]
        looked_at += len(members)
        if str(cursor) == "0":
            page.part, page.place = page.part + 1, ""
            break
        page.place = str(cursor)
    page.looked_at += looked_at
    return looked_at


def _look_at(namespace: Namespace, members: Sequence[str]) -> Commands[list[_Seen]]:
    """Say where the tasks with these numbers stand. Two commands for each."""
    numbers = [n for n in members if n.isdecimal()]  # among the unmet deps there may be '!'
    names = yield from ids_of(namespace, sorted(numbers, key=int))
    replies = yield from read_paced(
        [
            command
            for n, task_id in names.items()
            for command in (
                ("HGET", namespace.key("task", task_id), "status"),
                ("EXISTS", namespace.key("unmet", n), namespace.key("blockers", n)),
            )
        ],
        PACE,
    )
    return [
        _Seen(n, task_id, state_of(status, waits_for))
        for (n, task_id), status, waits_for in zip(names.items(), replies[::2], replies[1::2])
    ]


def _shown(namespace: Namespace, found: Sequence[_Seen]) -> Commands[list[view_replies.LinkedTask]]:
    lines = yield from read_lines(namespace, [each.task_id for each in found], with_errors=False)
    shown = {task_id: line.shown for task_id, line in lines.items()}
    for each in found:
        if each.task_id in shown and each.state != MISSING:
            shown[each.task_id]["state"] = each.state
    yield from read_errors(namespace, [line for line in shown.values() if line["status"] in ERROR_STATES])
    return [{"task_id": each.task_id, "state": each.state, "task": shown.get(each.task_id)} for each in found]

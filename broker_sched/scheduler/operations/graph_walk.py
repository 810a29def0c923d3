"""Walks the graph of deps from one task, breadth first, and never looks at more than a bounded part of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import NamedTuple

from broker_sched.contract.states import PENDING_STATES, Status
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import read_paced
from broker_sched.scheduler.records import ids_of

FAMILY_IN_ID = re.compile(r"([^(_]+)[(_]")
MISSING = "MISSING"  # the state of what is depended on and not there
READ_IN = "!"  # in unmet:<n> while deps are being read in

LOOKED_AT = 1000  # tasks
LEVELS = 100  # steps from the first task; each takes three round trips or more
MEMBERS = 10_000  # deps or dependents read, of all tasks together
PACE = 25  # commands sent together: about a tenth of a millisecond of Redis
SMALLEST_PART = 50  # of a set that is not read whole: Redis gives a small set whole, however little is asked for


class LookedAt(NamedTuple):
    """A task that was reached, as it stood then."""

    task_id: str
    family: str  # guessed from the id where nothing else tells it; '' where that can't be done
    status: str | None  # None: MISSING
    state: str
    distance: int


@dataclass
class Walk:
    """What was reached: tasks by number, the first one first, then by distance.

    edges: pairs of numbers, first the one whose set was read. further: of each task, how many of its deps (or
    dependents) were not looked at.
    """

    tasks: dict[str, LookedAt] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    further: dict[str, int] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether everything that can be reached was looked at."""
        return not any(self.further.values())


def walk_from(
    namespace: Namespace, first: Mapping[str, str], edges: str, *, levels: int = LEVELS, include_done: bool = True
) -> Commands[Walk]:
    """Look at what is reached from some tasks.

    first: their ids by number. edges: the sets to follow, deps or dependents. levels: how many steps. include_done:
    else DONE tasks, but for the first ones, are left out, and so is what is reached through them alone.
    """
    walk = Walk()
    wave = dict(first)
    seen = set(first)
    left_out: set[str] = set()
    members_left = MEMBERS
    if edges == "deps" and not include_done:
        edges = "unmet"  # of very many deps the few that are not DONE
    for distance in range(levels + 1):
        degrees = yield from _look_at(namespace, wave, edges, distance, walk)
        if distance and not include_done:
            left_out |= _drop_done(walk, degrees)
        neighbours = yield from _read_sets(namespace, edges, degrees, members_left)
        members_left -= sum(map(len, neighbours.values()))
        room = LOOKED_AT - len(seen) if distance < levels else 0
        taken = [each for each in _in_turn(neighbours.values()) if each not in seen][:room]
        names = yield from ids_of(namespace, taken)
        gone = set(taken) - set(names)  # removed a moment ago
        wave = {each: names[each] for each in sorted(names, key=int)}
        seen.update(wave)
        for each, found in neighbours.items():
            reached = [other for other in found if other in seen]
            walk.edges += [(each, other) for other in reached]
            walk.further[each] = max(0, degrees[each] - len(reached) - len(gone.intersection(found)))
        if not wave:
            break
    walk.edges = [(each, other) for each, other in walk.edges if other not in left_out]
    return walk


def state_of(status: str | None, waits_for: int) -> str:
    """Return the state of a task: its status, where PENDING is one of three; MISSING where it has none.

    waits_for: how many of the keys unmet:<n> and blockers:<n> are there.
    """
    return (PENDING_STATES[waits_for] if status == Status.PENDING else status) or MISSING


def numbers_of(namespace: Namespace, ids: Sequence[str]) -> Commands[dict[str, str]]:
    """Return the ids of those tasks that are there, or that others depend on, by number."""
    replies = yield from read_paced(
        [
            command
            for task_id in ids
            for command in (
                ("HGET", namespace.key("task", task_id), "n"),
                ("HGET", namespace.key("missing_deps"), task_id),
            )
        ],
        PACE,
    )
    found = zip(ids, replies[::2], replies[1::2])
    return {n or missing: task_id for task_id, n, missing in found if n is not None or missing is not None}


def _drop_done(walk: Walk, degrees: dict[str, int]) -> set[str]:
    """Take the DONE tasks of this wave out of the walk. Returns their numbers."""
    done = {n for n in degrees if walk.tasks[n].status == Status.DONE}
    for n in done:
        del walk.tasks[n], degrees[n]
    return done


def _look_at(
    namespace: Namespace, wave: Mapping[str, str], edges: str, distance: int, walk: Walk
) -> Commands[dict[str, int]]:
    """Add these tasks (number → id) to the walk. Returns how many deps or dependents each has."""
    replies = yield from read_paced(
        [
            command
            for n, task_id in wave.items()
            for command in (
                ("HMGET", namespace.key("task", task_id), "status", "family"),
                ("EXISTS", namespace.key("unmet", n), namespace.key("blockers", n)),
                ("SCARD", namespace.key(edges, n)),
            )
        ],
        PACE,
    )
    degrees: dict[str, int] = {}
    for (n, task_id), (status, family), waits_for, degree in zip(
        wave.items(), replies[::3], replies[1::3], replies[2::3]
    ):
        walk.tasks[n] = LookedAt(task_id, family or _family_in(task_id), status, state_of(status, waits_for), distance)
        degrees[n] = degree
    return degrees


def _read_sets(
    namespace: Namespace, edges: str, degrees: Mapping[str, int], members_left: int
) -> Commands[dict[str, list[str]]]:
    """Read the deps or dependents of each of these tasks, of very many a part."""
    shares = _shares(degrees, members_left)
    commands: list[tuple[str, ...]] = []
    for n, share in shares.items():
        key = namespace.key(edges, n)
        is_whole = share == degrees[n]
        # A set's beginning, not a random part: who asks again shall see the same as before.
        commands.append(("SMEMBERS", key) if is_whole else ("SSCAN", key, "0", "COUNT", str(share)))
    replies = yield from read_paced(commands, PACE)
    found: dict[str, list[str]] = {n: [] for n in degrees}
    for (n, share), reply in zip(shares.items(), replies):
        members = reply if share == degrees[n] else reply[1]
        found[n] = sorted((each for each in members if each != READ_IN), key=int)
    return found


def _shares(degrees: Mapping[str, int], members_left: int) -> dict[str, int]:
    """Say how many members of each set are read: small sets whole, the large ones share what is left.

    Sets of which nothing is read are left out.
    """
    shares: dict[str, int] = {}
    by_size = sorted((n for n in degrees if degrees[n]), key=lambda n: (degrees[n], int(n)))
    for position, n in enumerate(by_size):
        share = max(0, members_left) // (len(by_size) - position)
        if degrees[n] <= share:
            shares[n] = degrees[n]
        elif share >= SMALLEST_PART:
            shares[n] = min(share, LOOKED_AT)
        members_left -= shares.get(n, 0)
    return {n: shares[n] for n in degrees if n in shares}


def _in_turn(lists: Iterable[list[str]]) -> list[str]:
    """The first of each list, then the second of each, and so on, each value once: no long list comes before others."""
    return [each for each in dict.fromkeys(chain.from_iterable(zip_longest(*lists))) if each is not None]


def _family_in(task_id: str) -> str:
    found = FAMILY_IN_ID.match(task_id)
    return found.group(1) if found else ""

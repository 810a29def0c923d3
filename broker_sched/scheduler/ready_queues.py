"""Which ready tasks limits of resources keep from running, however many slots there are.

Where a resource is too scarce for all who want it, the ranks decide: then running and ready tasks are gone through in
their order, as get_work does (lua/lib/hand_out/starvation_guard.lua).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.why_ready import READY_QUEUE, exact_sum, exceeds
from broker_sched.scheduler.paging import SMALL_PACE, read_paced
from broker_sched.scheduler.records import ids_of, pairs
from broker_sched.scheduler.worker_standings import plain_label

MOST_QUEUES = 2000  # ready queues that are looked at
MOST_RANKED = 1000  # running tasks, and tasks of one ready queue, that are gone through in their order
MOST_ALTOGETHER = 5000  # tasks of all ready queues, but for LEAST_OF_EACH
LEAST_OF_EACH = 5
RANKED_TOGETHER = 5  # ready queues whose tasks are read at once


class ReadyQueue(NamedTuple):
    """A ready queue: what its tasks need of each resource, and how many they are."""

    name: str
    runner_set: str
    is_postponed: bool
    needs: dict[str, float]
    size: int


class Resources(NamedTuple):
    """The limits of resources, 1 where there is none, and what is in use."""

    limits: dict[str, float]
    used: dict[str, Fraction]

    def fit(self, needs: Mapping[str, float], taken: Mapping[str, Fraction], times: int = 1) -> bool:
        """Return whether the needs of so many tasks fit beside what is taken."""
        return not any(
            exceeds(taken.get(name, Fraction()) + Fraction(amount) * times, self.limits.get(name, 1.0))
            for name, amount in needs.items()
        )

    def most(self, needs: Mapping[str, float]) -> int:
        """Return how many tasks of these needs the limits allow, if nothing else runs; with none, very many."""
        return min(
            (int(self.limits.get(name, 1.0) / amount) + 1 for name, amount in needs.items()), default=MOST_RANKED
        )


class SortedQueues(NamedTuple):
    """The ready queues by what becomes of their tasks.

    external: no worker has signed up for them. over_limit: they want more than there is. free: all can run. contended:
    of those `chosen` can, the numbers of its tasks by ready queue; and so many `more` of those that were not looked at,
    as far as what is left of the resources tells. is_exact: everything was looked at that could run.
    """

    external: list[ReadyQueue]
    over_limit: list[ReadyQueue]
    free: list[ReadyQueue]
    contended: list[ReadyQueue]
    chosen: dict[str, list[str]]
    more: dict[str, int]
    is_exact: bool

    def runnable(self) -> Iterator[tuple[ReadyQueue, int]]:
        """Return the ready queues of which tasks can run, and how many."""
        yield from ((queue, queue.size) for queue in self.free)
        yield from (
            (queue, len(self.chosen.get(queue.name, ())) + self.more.get(queue.name, 0)) for queue in self.contended
        )


def read_resources(namespace: Namespace) -> Commands[Resources]:
    """Return the limits of resources, and what is in use."""
    limits, used = yield Read([("HGETALL", namespace.key("resources")), ("HGETALL", namespace.key("used"))])
    return Resources(
        {name: float(text) for name, text in pairs(limits).items()},
        {name: exact_sum(text) for name, text in pairs(used).items()},
    )


def sort_ready_queues(namespace: Namespace, resources: Resources, paused: Collection[str]) -> Commands[SortedQueues]:
    """Return the ready queues by what becomes of their tasks, without those of paused families.

    Reads the size of each ready queue, and the ranks of up to 1,000 tasks of each where resources are scarce.
    """
    queues, is_whole = yield from read_ready_queues(namespace, paused)
    found = SortedQueues([], [], [], [], {}, {}, is_whole)
    eligible: list[ReadyQueue] = []
    for queue in queues:
        if queue.runner_set == "0":
            found.external.append(queue)
        else:
            (eligible if resources.fit(queue.needs, {}) else found.over_limit).append(queue)
    # Luigi: a task that nobody has signed up for is given to nobody, and yet has its turn before those behind it.
    scarce = _scarce(resources, [*eligible, *found.external])
    for queue in eligible:
        (found.contended if scarce & queue.needs.keys() else found.free).append(queue)
    if not found.contended:
        return found
    running, is_all = yield from _read_running(namespace, scarce)
    ranked, is_every = yield from _read_ranked(namespace, [*found.contended, *found.external], resources, paused)
    chosen, held = _choose(resources, running, ranked, {queue.name for queue in found.external})
    more = {} if is_every else _choose_unseen(resources, found.contended, ranked, chosen, held)
    return found._replace(chosen=chosen, more=more, is_exact=is_whole and is_all and is_every)


def read_ready_queues(
    namespace: Namespace, paused: Collection[str] = (), resource: str | None = None
) -> Commands[tuple[list[ReadyQueue], bool]]:
    """Return the ready queues, without those of paused families; and whether these are all.

    resource: only those whose tasks want some of it.
    """
    (names,) = yield Read([("SMEMBERS", namespace.key("ready_queues"))])
    found = []
    for name in sorted(names):
        match = READY_QUEUE.fullmatch(name)
        if match is None:
            continue
        label = match[2] or ""
        _, colon, family = label.rstrip("!").partition(":")
        needs = {each: amount for each, amount in json.loads(match[3] or "{}").items() if amount}
        if (not colon or plain_label(family) not in paused) and (resource is None or resource in needs):
            found.append(ReadyQueue(name, match[1], label.endswith("!"), needs, 0))
    looked_at = found[:MOST_QUEUES]
    sizes = yield from read_paced([("ZCARD", namespace.key("ready", each.name)) for each in looked_at], SMALL_PACE)
    filled = [queue._replace(size=size) for queue, size in zip(looked_at, sizes) if size]
    return filled, len(found) <= MOST_QUEUES


def _scarce(resources: Resources, queues: Sequence[ReadyQueue]) -> set[str]:
    """The resources of which there is not enough for all of these ready queues' tasks."""
    wanted = dict(resources.used)
    for queue in queues:
        for name, amount in queue.needs.items():
            wanted[name] = wanted.get(name, Fraction()) + Fraction(amount) * queue.size
    return {name for name, amount in wanted.items() if exceeds(amount, resources.limits.get(name, 1.0))}


class _Ranked(NamedTuple):
    """A task in the order of hand-out. queue: None of one that runs."""

    is_postponed: bool
    score: float
    rank: str
    needs: Mapping[str, float]
    queue: str | None


def _read_running(namespace: Namespace, scarce: Collection[str]) -> Commands[tuple[list[_Ranked], bool]]:
    """The running tasks that hold something scarce, best first; and whether these are all."""
    flat, count = yield Read(
        [
            ("ZRANGE", namespace.key("running"), "0", str(MOST_RANKED - 1), "WITHSCORES"),
            ("ZCARD", namespace.key("running")),
        ]
    )
    ids = yield from ids_of(namespace, [_number(rank) for rank in flat[::2]])
    fields = yield from read_paced(
        [("HMGET", namespace.key("task", each), "held", "resources") for each in ids.values()], SMALL_PACE
    )
    held = {n: _amounts(holds or needs) for n, (holds, needs) in zip(ids, fields)}
    found = [
        _Ranked(False, float(score), rank, held[_number(rank)], None)
        for rank, score in zip(flat[::2], flat[1::2])
        if scarce & held.get(_number(rank), {}).keys()
    ]
    return found, count <= MOST_RANKED


def _read_ranked(
    namespace: Namespace, queues: Sequence[ReadyQueue], resources: Resources, paused: Collection[str]
) -> Commands[tuple[list[_Ranked], bool]]:
    """The best tasks of these ready queues, without those of paused families; and whether no other could run."""
    most = min(MOST_RANKED, max(LEAST_OF_EACH, MOST_ALTOGETHER // len(queues)))
    could_run = {queue.name: min(queue.size, resources.most(queue.needs) + 1) for queue in queues}
    is_all = all(count <= most for count in could_run.values())
    found: list[_Ranked] = []
    for start in range(0, len(queues), RANKED_TOGETHER):
        some = queues[start : start + RANKED_TOGETHER]
        lists = yield Read(
            [
                (
                    "ZRANGE",
                    namespace.key("ready", each.name),
                    "0",
                    str(min(most, could_run[each.name]) - 1),
                    "WITHSCORES",
                )
                for each in some
            ]
        )
        for queue, flat in zip(some, lists):
            found += [
                _Ranked(queue.is_postponed, float(score), rank, queue.needs, queue.name)
                for rank, score in zip(flat[::2], flat[1::2])
            ]
    if not paused:
        return found, is_all
    # Those of paused families are set apart only when somebody meets them: some may stand among others.
    ids = yield from ids_of(namespace, [_number(each.rank) for each in found])
    fields = yield from read_paced(
        [("HGET", namespace.key("task", each), "family") for each in ids.values()], SMALL_PACE
    )
    families = dict(zip(ids, fields))
    return [each for each in found if (families.get(_number(each.rank)) or "") not in paused], is_all


def _choose(
    resources: Resources, running: Sequence[_Ranked], ready: Sequence[_Ranked], external: Collection[str]
) -> tuple[dict[str, list[str]], dict[str, Fraction]]:
    """The numbers of the ready tasks that can run beside what is in use, by ready queue: those that workers of one slot
    each would be given, who come until one is given nothing. And what is kept from others then, of each resource.

    A task is given that fits beside what is in use, and beside what those before it hold. The slot of whoever asks is
    kept for the first one before it that fits but for what is in use: what that wants is kept for it, too. external:
    ready queues whose tasks nobody is given.
    """
    used, taken = dict(resources.used), dict[str, Fraction]()
    chosen: dict[str, list[str]] = {}
    left: set[str] = set()  # ready queues whose tasks do not fit any more, or have no slot: there will be no more of it
    is_slot_kept = False
    for each in sorted([*running, *ready], key=lambda task: (task.is_postponed, task.score, task.rank)):
        if each.queue is None:
            _take(taken, each.needs)
        elif each.queue not in left:
            if not resources.fit(each.needs, taken):
                left.add(each.queue)
            elif each.queue not in external and resources.fit(each.needs, used):
                _take(taken, each.needs)
                _take(used, each.needs)
                chosen.setdefault(each.queue, []).append(_number(each.rank))
            elif is_slot_kept:
                left.add(each.queue)
            else:
                _take(taken, each.needs)
                is_slot_kept = True
    return chosen, {name: max(used.get(name, Fraction()), taken.get(name, Fraction())) for name in {*used, *taken}}


def _choose_unseen(
    resources: Resources,
    queues: Sequence[ReadyQueue],
    seen: Sequence[_Ranked],
    chosen: Mapping[str, Sequence[str]],
    held: dict[str, Fraction],
) -> dict[str, int]:
    """How many tasks more can run of the ready queues of which all that were looked at can: as many as fit."""
    looked_at = Counter(each.queue for each in seen)
    more = {}
    for queue in queues:
        if len(chosen.get(queue.name, ())) == looked_at[queue.name] < queue.size:
            fitting = (
                int((Fraction(resources.limits.get(name, 1.0)) - held.get(name, Fraction())) / Fraction(amount))
                for name, amount in queue.needs.items()
            )
            more[queue.name] = max(0, min(queue.size - looked_at[queue.name], *fitting))
            for name, amount in queue.needs.items():
                held[name] = held.get(name, Fraction()) + Fraction(amount) * more[queue.name]
    return more


def _take(taken: dict[str, Fraction], needs: Mapping[str, float]) -> None:
    for name, amount in needs.items():
        taken[name] = taken.get(name, Fraction()) + Fraction(amount)


def _amounts(text: str | None) -> dict[str, float]:
    return {} if text in (None, "", "1") else dict(json.loads(text or "{}"))


def _number(rank: str) -> str:
    return rank.rpartition(":")[2]

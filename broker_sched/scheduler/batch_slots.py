"""How many slots fewer are wanted because ready tasks would be handed out in batches."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import SMALL_PACE, read_paced

MOST_MEMBERS = 1000  # batchable tasks of a family that are looked at
MOST_IN_BATCH = 150  # as in lua/lib/batches/batching.lua


class BatchSize(NamedTuple):
    """What a family's batches are: the largest that any worker makes, which parameters differ, how many are ready."""

    family: str
    maximum: int
    names: str  # JSON
    ready: int


def read_batch_sizes(
    namespace: Namespace, families: Sequence[str], workers: Sequence[str]
) -> Commands[list[BatchSize]]:
    """Return what the batches of those of these families are that have ready batchable tasks."""
    sizes = yield from read_paced([("SCARD", namespace.key("batchable", each)) for each in families], SMALL_PACE)
    ready = {family: size for family, size in zip(families, sizes) if size > 1}
    if not ready:
        return []
    told = yield from read_paced([("HMGET", namespace.key("batchers", each), *ready) for each in workers])
    found = []
    for index, (family, size) in enumerate(ready.items()):
        registered = [row[index].partition(" ") for row in told if row[index] is not None]
        largest = max(registered, key=lambda each: float(each[0]), default=None)
        if largest is not None and largest[2] != "[]":
            found.append(BatchSize(family, math.ceil(min(float(largest[0]), MOST_IN_BATCH)), largest[2], size))
    return found


def slots_saved(namespace: Namespace, sizes: Sequence[BatchSize]) -> Commands[int]:
    """Return how many slots fewer are wanted than ready tasks. Looks at 1,000 tasks of each of these families."""
    saved = 0
    for size in sizes:
        (numbers,) = yield Read([("SRANDMEMBER", namespace.key("batchable", size.family), str(MOST_MEMBERS))])
        places = yield from read_paced([("SMEMBERS", namespace.key("batch_keys", n)) for n in numbers], SMALL_PACE)
        # Those of one batch share what stands behind the runner set: <names>|<needs>|<other parameters>|<family>
        together = Counter(
            place.partition("|")[2]
            for each in places
            for place in sorted(each)
            if place.partition("|")[2].startswith(size.names + "|")
        )
        share = size.ready / max(1, len(numbers))
        for count in together.values():
            members = count * share
            saved += math.floor(members - math.ceil(members / max(1, size.maximum)))
    return saved

"""How long the runs of a family take, by its last 100 that ended DONE."""

from __future__ import annotations

import math
from collections.abc import Sequence

from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace

RUNS = 100  # the last ones: the list may have some more
TOGETHER = 5  # lists read at once
NEARLY_ALL = 0.95


def read_run_times(namespace: Namespace, families: Sequence[str]) -> Commands[dict[str, list[float]]]:
    """Return the seconds of the last runs of each of these families, newest first; none for one that has no run yet."""
    found: dict[str, list[float]] = {}
    for start in range(0, len(families), TOGETHER):
        some = families[start : start + TOGETHER]
        lists = yield Read([("LRANGE", namespace.key("run_times", family), "0", str(RUNS - 1)) for family in some])
        found.update((family, [float(each) for each in times]) for family, times in zip(some, lists))
    return found


def mean(seconds: Sequence[float]) -> float | None:
    """Return their mean; None where there are none."""
    return math.fsum(seconds) / len(seconds) if seconds else None


def percentile_95(seconds: Sequence[float]) -> float | None:
    """Return the shortest of them that at least 95 % of them do not exceed (nearest rank); None of none."""
    return sorted(seconds)[math.ceil(NEARLY_ALL * len(seconds)) - 1] if seconds else None

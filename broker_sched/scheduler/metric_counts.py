"""What was counted for /metrics: by family, of wakeups, and by servers (lua/lib/tasks/metric_counts.lua)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import read_paced
from broker_sched.scheduler.records import pairs

# Upper ends of the buckets of histograms (s), as in the Lua file; there is one more, for what takes longer.
TASK_ENDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
WAKEUP_ENDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
RPC_ENDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
NOTES = 500  # that one script adds up
OTHER = "other"  # the name under which families are counted that have no counts of their own
FAMILIES_AT_ONCE = 10


class Histogram(NamedTuple):
    """How many were at most as long as each end of a bucket, the last of which is all; and how long all were (s)."""

    ends: tuple[float, ...]
    counts: list[int]
    total: float


class MetricCounts(NamedTuple):
    """What was counted since the namespace began. families, servers: what their hashes hold, by field."""

    families: dict[str, dict[str, float]]
    wakeups: Histogram
    servers: dict[str, float]


def histogram(fields: Mapping[str, float], kind: str, ends: tuple[float, ...], sum_field: str) -> Histogram:
    """Return the histogram whose buckets stand in the fields <kind>:<number>, counted from 1."""
    counts = [int(fields.get(f"{kind}:{number}", 0)) for number in range(1, len(ends) + 2)]
    return Histogram(ends, list(accumulate(counts)), fields.get(sum_field, 0.0))


def add_up() -> Commands[None]:
    """Have the scripts' notes added up."""
    while (yield from add_counted({})) >= NOTES:
        pass


def add_counted(counted: Mapping[str, float]) -> Commands[int]:
    """Add what a server process has counted, by field of `server_metrics`, and some of the scripts' notes.

    One script, which is not to be carried out twice. Returns how many notes are left.
    """
    flat = [text for field, amount in counted.items() for text in (field, repr(amount))]
    return int((yield Call("count_metrics", once=True, count=str(NOTES), counted=flat)))


def read_metric_counts(namespace: Namespace) -> Commands[MetricCounts]:
    """Return what was counted, as far as it is added up. Reads one hash for each family that has counts of its own."""
    names, other, wakeups, servers = yield Read(
        [
            ("SMEMBERS", namespace.key("metric_families")),
            *(("HGETALL", namespace.key(name)) for name in ("other_metrics", "wakeup_metrics", "server_metrics")),
        ]
    )
    families = sorted(names)
    hashes = yield from read_paced([("HGETALL", namespace.key("metrics", name)) for name in families], FAMILIES_AT_ONCE)
    counts = {name: _numbers(flat) for name, flat in zip(families, hashes)}
    if other:
        counts[OTHER] = _numbers(other)
    woken = histogram(_numbers(wakeups), "woken", WAKEUP_ENDS, "woken_sum")
    return MetricCounts(counts, woken, _numbers(servers))


def _numbers(flat: Sequence[str]) -> dict[str, float]:
    return {name: float(text) for name, text in pairs(flat).items()}

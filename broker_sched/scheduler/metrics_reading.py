"""All that /metrics tells of a namespace, read with a bounded number of commands, few at a time."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from broker_sched.contract.states import Status, status_of
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.demand import Demand, read_demand
from broker_sched.scheduler.family_counts import read_counts, totals
from broker_sched.scheduler.metric_counts import MetricCounts, add_up, read_metric_counts
from broker_sched.scheduler.operations.overview import read_oldest_ready, read_workers
from broker_sched.scheduler.ready_queues import Resources, read_resources

WORKER_STATES = ("active", "disabled", "silent", "submission")


class MetricsReading(NamedTuple):
    """Holds what was read of a namespace for /metrics.

    tasks: how many, by status. oldest_ready_seconds: for how long the oldest READY task is so; 0 without one.
    workers: how many, by state. slots: of the active workers. superseded: reports that were refused.
    """

    tasks: dict[str, int]
    ready: int
    oldest_ready_seconds: float
    workers: dict[str, int]
    slots: float
    demand: Demand
    resources: Resources
    counts: MetricCounts
    superseded: int


def read_metrics(namespace: Namespace) -> Commands[MetricsReading]:
    """Return what /metrics tells. Reads some keys of each family, worker and ready queue, and no tasks but where
    resources are scarce."""
    yield from add_up()
    now = float((yield Call("read_clock")))
    counts = yield from read_counts(namespace)
    by_state = totals(counts)
    tasks = dict.fromkeys((status.value for status in Status), 0)
    for state, count in by_state.items():
        tasks[status_of(state)] += count
    oldest = yield from read_oldest_ready(namespace, counts)
    workers = yield from read_workers(namespace, now)
    states = Counter(each.state for each in workers)
    (superseded,) = yield Read([("HGET", namespace.key("counters"), "superseded")])
    return MetricsReading(
        tasks=tasks,
        ready=by_state["READY"],
        oldest_ready_seconds=max(0.0, now - oldest) if oldest is not None else 0.0,
        workers={state: states[state] for state in WORKER_STATES},
        slots=sum(each.slots for each in workers if each.state == "active"),
        demand=(yield from read_demand(namespace, counts, workers)),
        resources=(yield from read_resources(namespace)),
        counts=(yield from read_metric_counts(namespace)),
        superseded=int(superseded or 0),
    )


def read_scale(namespace: Namespace, families: list[str] | None) -> Commands[Demand]:
    """Return how many slots could be used, for these families or for all."""
    now = float((yield Call("read_clock")))
    counts = yield from read_counts(namespace)
    workers = yield from read_workers(namespace, now)
    return (yield from read_demand(namespace, counts, workers, families))

"""From what was read of a namespace to the text that Prometheus reads, by prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from broker_sched import __version__
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.metric_counts import RPC_ENDS, TASK_ENDS, Histogram, MetricCounts, histogram
from broker_sched.scheduler.metrics_reading import MetricsReading
from broker_sched.server.metrics.table import METRICS

MOST_RESOURCES = 200  # of which is told: those in use first
Labels: TypeAlias = tuple[str, ...]
Samples: TypeAlias = Sequence[tuple[Labels, "float | Histogram"]]
FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
LUIGI = {
    "luigi_task_started_total": "started",
    "luigi_task_done_total": "done",
    "luigi_task_failed_total": "failed",
    "luigi_task_disabled_total": "disabled",
    "luigi_task_execution_time_seconds": "last",
}


def exposition(reading: MetricsReading | None, accept: str, *, with_names: bool = True) -> tuple[bytes, str]:
    """Return the text and its content type.

    reading: None when Redis can't be reached. accept: the client's header Accept, which may ask for OpenMetrics.
    with_names: False leaves out names that users gave, of families and of resources.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reading(_samples(reading, with_names)))
    encoder, content_type = choose_encoder(accept)
    return encoder(registry), content_type


class _Reading(Collector):
    """Gives the registry what was read, in the order of the table."""

    def __init__(self, samples: Mapping[str, Samples]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Family]:
        """Return the metrics of which there is something to tell."""
        for metric in METRICS:
            if metric.name not in self._samples:
                continue
            family = FAMILIES[metric.type](metric.name, metric.help, labels=metric.labels)
            for labels, value in self._samples[metric.name]:
                if isinstance(value, Histogram):
                    ends = [*map(str, value.ends), "+Inf"]
                    family.add_metric(labels, list(zip(ends, value.counts)), value.total)
                else:
                    family.add_metric(labels, value)
            yield family


def _samples(reading: MetricsReading | None, with_names: bool) -> dict[str, Samples]:
    found: dict[str, Samples] = {"bsched_build_info": [((__version__, SCHEMA_VERSION), 1.0)]}
    found["bsched_redis_up"] = [((), 0.0 if reading is None else 1.0)]
    if reading is None:
        return found
    plain: dict[str, float | Histogram] = {
        "bsched_ready_tasks": reading.ready,
        "bsched_oldest_ready_seconds": reading.oldest_ready_seconds,
        "bsched_worker_slots": reading.slots,
        "bsched_wanted_slots": reading.demand.wanted,
        "bsched_superseded_reports_total": reading.superseded,
        "bsched_redis_errors_total": reading.counts.servers.get("redis_errors", 0.0),
        "bsched_wakeup_seconds": reading.counts.wakeups,
    }
    found |= {name: [((), value)] for name, value in plain.items()}
    for name, by_label in {
        "bsched_tasks": reading.tasks,
        "bsched_workers": reading.workers,
        "bsched_blocked_tasks": reading.demand.blocked,
    }.items():
        found[name] = [((label,), value) for label, value in by_label.items()]
    if with_names:
        found |= _resources(reading)
    found |= _families(reading.counts.families, with_names)
    found["bsched_rpc_duration_seconds"] = _calls(reading.counts)
    return found


def _resources(reading: MetricsReading) -> dict[str, Samples]:
    limits, used = reading.resources
    names = sorted({*limits, *used}, key=lambda name: (name not in used, name))[:MOST_RESOURCES]
    return {
        "bsched_resource_used": [((name,), float(used.get(name, 0))) for name in names],
        "bsched_resource_limit": [((name,), limits.get(name, 1.0)) for name in names],
    }


def _families(families: Mapping[str, Mapping[str, float]], with_names: bool) -> dict[str, Samples]:
    if not with_names:
        families = {"": _together(families)} if families else {}
    found: dict[str, Samples] = {
        name: [((family,), fields[field]) for family, fields in families.items() if field in fields]
        for name, field in LUIGI.items()
    }
    for name, kind in {"bsched_queue_wait_seconds": "wait", "bsched_task_runtime_seconds": "run"}.items():
        found[name] = [
            ((family,), histogram(fields, kind, TASK_ENDS, f"{kind}_sum"))
            for family, fields in families.items()
            if f"{kind}_sum" in fields
        ]
    return found


def _together(families: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for fields in families.values():
        for field, amount in fields.items():
            if field != "last":
                sums[field] = sums.get(field, 0.0) + amount
    return sums


def _calls(counts: MetricCounts) -> Samples:
    methods = sorted(field.partition(":")[2] for field in counts.servers if field.startswith("rpc_sum:"))
    return [
        ((method,), histogram(counts.servers, f"rpc:{method}", RPC_ENDS, f"rpc_sum:{method}")) for method in methods
    ]

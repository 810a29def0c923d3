"""Every metric of /metrics; docs/metrics.md is made from this table."""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """Says what a metric is: name, type and labels as Prometheus has them, its help text, and more for the docs."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    more: str = ""


FAMILY = ("family",)
METRICS = (
    Metric(
        "luigi_task_started_total",
        "counter",
        FAMILY,
        "Tasks handed out, but for those of batches",
        "As luigi's own collector counts.",
    ),
    Metric(
        "luigi_task_done_total",
        "counter",
        FAMILY,
        "Tasks that became DONE",
        "As luigi's own collector counts: those, too, that a worker found complete, and each member of a batch.",
    ),
    Metric(
        "luigi_task_failed_total",
        "counter",
        FAMILY,
        "Tasks that became FAILED",
        "As luigi's own collector counts: one that is disabled by its failure is not among them, one that is enabled "
        "again is.",
    ),
    Metric(
        "luigi_task_disabled_total",
        "counter",
        FAMILY,
        "Tasks that became DISABLED",
        "As luigi's own collector counts.",
    ),
    Metric(
        "luigi_task_execution_time_seconds",
        "gauge",
        FAMILY,
        "How long the last run took that ended",
        "As luigi's own collector says; for averages use `bsched_task_runtime_seconds`.",
    ),
    Metric(
        "bsched_task_runtime_seconds",
        "histogram",
        FAMILY,
        "How long runs took that ended DONE",
        "Of a batch, the whole, once.",
    ),
    Metric(
        "bsched_queue_wait_seconds",
        "histogram",
        FAMILY,
        "How long tasks were ready before they were handed out",
        "From when a task was PENDING without an unmet dep; the delay before a retry is no part of it.",
    ),
    Metric("bsched_tasks", "gauge", ("status",), "Tasks by status"),
    Metric("bsched_ready_tasks", "gauge", (), "PENDING tasks without an unmet dep"),
    Metric(
        "bsched_oldest_ready_seconds",
        "gauge",
        (),
        "For how long the oldest ready task is ready; 0 without one",
        "External tasks and those of paused families are ready, too.",
    ),
    Metric(
        "bsched_blocked_tasks",
        "gauge",
        ("reason",),
        "Tasks that do not run, by what keeps them from it",
        "The reasons are codes of [why](states.md#why-a-task-does-not-run): deps, disabled (a task upstream), failed, "
        "paused, family_paused, external, over_limit, no_worker, resource, busy.",
    ),
    Metric(
        "bsched_workers",
        "gauge",
        ("state",),
        "Workers by state: active, disabled, silent; and submissions",
    ),
    Metric("bsched_worker_slots", "gauge", (), "Tasks that the active workers can run at the same time"),
    Metric(
        "bsched_wanted_slots",
        "gauge",
        (),
        "Slots that could all be used now: running tasks, and ready ones that no limit keeps out",
        "What `/scale` says without a family.",
    ),
    Metric("bsched_resource_used", "gauge", ("resource",), "How much of a resource running tasks hold"),
    Metric("bsched_resource_limit", "gauge", ("resource",), "The limit of a resource"),
    Metric(
        "bsched_rpc_duration_seconds",
        "histogram",
        ("method",),
        "How long servers took to answer calls, by method",
        "Of all servers of the namespace together. `await_work` waits for work, up to half a minute.",
    ),
    Metric(
        "bsched_wakeup_seconds",
        "histogram",
        (),
        "From when a waiting worker was woken until it asked for work",
    ),
    Metric(
        "bsched_superseded_reports_total",
        "counter",
        (),
        "Reports that were refused, since the task had been handed out anew or had ended otherwise",
    ),
    Metric(
        "bsched_redis_errors_total",
        "counter",
        (),
        "How often Redis did not answer a server, or refused to serve it",
        "Told once Redis can be reached again.",
    ),
    Metric(
        "bsched_redis_up",
        "gauge",
        (),
        "1 when Redis serves the server that was asked, else 0",
        "It does not while it is away, lacks memory or replicas, or indexes are repaired. "
        "At 0 there is nothing else but `bsched_build_info`.",
    ),
    Metric("bsched_build_info", "gauge", ("version", "schema"), "The server that was asked: always 1"),
)

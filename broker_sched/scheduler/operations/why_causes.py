"""What is told of the tasks at the root that are not ready: those that run, have failed, are disabled, or not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from broker_sched.config import SchedulerConfig
from broker_sched.contract.why_replies import Cause, WhyCode
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.why_walk import Root, Walk
from broker_sched.scheduler.paging import read_paced
from broker_sched.scheduler.run_times import RUNS, mean, percentile_95
from broker_sched.scheduler.stream_pages import StreamPages
from broker_sched.scheduler.task_lines import last_line_of, read_attempt, read_whole_error

OPTIONS = ("paused", "paused_families", "retry_delay", "disable_persist", "retry_count")
UNLIMITED = SchedulerConfig().retry_count  # Luigi's default, which nobody fails as often as
MOST_COMPARED = 200  # failed tasks whose errors are compared
MOST_EVENTS = 10_000
MOST_ON_WORKER = 100  # running tasks of a worker among which is looked for the one that runs a batch

Group = list[Root]  # roots for the same reason, the first one stands for them
Options = dict[str, str | None]


def read_options(namespace: Namespace) -> Commands[Options]:
    """Return the options, as Redis has them, that say what a task waits for. One read."""
    (values,) = yield Read([("HMGET", namespace.key("config"), *OPTIONS)])
    return dict(zip(OPTIONS, values))


def group_roots(namespace: Namespace, roots: Sequence[Root]) -> Commands[list[Group]]:
    """Put roots together that are so for the same reason. One read where tasks have failed."""
    failed = [root.node for root in roots if root.code in ("failed", "disabled")][:MOST_COMPARED]
    lines = yield from read_paced([("LRANGE", namespace.key("attempts", node.n), "-1", "-1") for node in failed])
    errors = {node.n: (read_attempt(line[0])["error"] or "") if line else "" for node, line in zip(failed, lines)}
    groups: dict[tuple[str, ...], Group] = defaultdict(list)
    for root in roots:
        groups[_reason(root, errors)].append(root)
    return [sorted(group, key=_order) for group in groups.values()]


def _reason(root: Root, errors: dict[str, str]) -> tuple[str, ...]:
    fields = root.node.fields
    family = fields.get("family") or ""
    if root.code in ("failed", "disabled"):
        return root.code, family, errors.get(root.node.n, ""), _who_disabled(fields), fields["disabled_by"] or ""
    if root.code == "in_batch":
        return root.code, fields["batch_id"] or ""
    if root.code == "running":
        return root.code, family
    if root.code == "cycle":
        return (root.code, *root.ring)
    if root.code == "ready":
        return root.code, fields["ready"] or "", family, fields["module"] or ""
    return (root.code,)


def _order(root: Root) -> tuple[float, str]:
    """The one of a group that stands for it: the first to be handed out, or the longest in its status."""
    since = root.node.number("time_running" if root.code == "running" else "updated") or 0.0
    return (
        (-(root.node.number("priority") or 0.0), root.node.fields["rank"] or root.node.n)
        if (root.code == "ready")
        else (since, root.node.n)
    )


def describe(namespace: Namespace, group: Group, walk: Walk, options: Options) -> Commands[Cause]:
    """Return what is told of a group of roots, without the sentence. One to three reads."""
    root, fields = group[0], group[0].node.fields
    cause: Cause = {"code": root.code, "task_id": root.node.task_id, "others": len(group) - 1}
    cause["family"] = fields.get("family") or ""
    cause["since"] = root.node.number("updated")
    if root.code in ("running", "in_batch", "done"):
        yield from _add_run(namespace, cause, root)
    elif root.code in ("failed", "disabled"):
        yield from _add_failures(namespace, cause, root, options)
    elif root.code in ("missing", "placeholder"):
        (cause["dependents"],) = yield Read([("SCARD", namespace.key("dependents", root.node.n))])
        if root.code == "missing":
            cause["removed"] = yield from removed_at(namespace, root.node.task_id)
    elif root.code == "cycle":
        cause["cycle"] = [walk.nodes[n].task_id for n in root.ring]
    elif root.code in ("deferred", "linking"):
        cause["dep"], cause["steps"], cause["failed_steps"] = root.dep or None, walk.steps, walk.failed_steps
    return cause


def _add_run(namespace: Namespace, cause: Cause, root: Root) -> Commands[None]:
    node, worker = root.node, root.node.fields["worker_running"] or ""
    seconds, contact, told, batch, running = yield Read(
        [
            ("LRANGE", namespace.key("run_times", cause["family"]), "0", str(RUNS - 1)),
            ("ZSCORE", namespace.key("workers"), worker),
            ("HMGET", namespace.key("worker", worker), "host", "last_get_work"),
            ("SCARD", namespace.key("batch", node.fields["batch_id"] or "")),
            ("SRANDMEMBER", namespace.key("running", worker), str(MOST_ON_WORKER)),
        ]
    )
    cause["worker"], cause["host"] = worker or None, told[0]
    if root.code == "done":
        return
    cause["last_contact"] = None if contact is None else float(contact)
    cause["since"] = node.number("time_running")
    times = [float(each) for each in seconds]
    cause["mean_seconds"] = mean(times)
    cause["p95_seconds"] = percentile_95(times)
    if root.code == "in_batch":
        cause["batch_id"], cause["batch_size"] = node.fields["batch_id"] or "", batch
        cause["combined"] = yield from _combined(namespace, running, cause["batch_id"])


def _combined(namespace: Namespace, numbers: Sequence[str], batch_id: str) -> Commands[str | None]:
    """Return which of a worker's running tasks the batch runs as."""
    if not numbers:
        return None
    (ids,) = yield Read([("HMGET", namespace.key("ids"), *numbers)])
    known = [task_id for task_id in ids if task_id is not None]
    batches = yield Read([("HGET", namespace.key("task", task_id), "batch_id") for task_id in known])
    return next((task_id for task_id, each in zip(known, batches) if each == batch_id), None)


def _add_failures(namespace: Namespace, cause: Cause, root: Root, options: Options) -> Commands[None]:
    node = root.node
    told = yield from read_whole_error(namespace, node.task_id)
    runs, failures, due = yield Read(
        [
            ("LRANGE", namespace.key("attempts", node.n), "0", "-1"),
            ("LLEN", namespace.key("failures", node.n)),
            ("ZSCORE", namespace.key("due", "retry"), node.n),
        ]
    )
    cause["runs"] = [read_attempt(line) for line in runs]
    last = cause["runs"][-1] if cause["runs"] else None
    cause["error"] = last_line_of(told) or (last["error"] if last else None)
    cause["worker"] = (last["worker"] if last else None) or node.fields["worker_running"] or None
    cause["failures"] = failures
    own_count = (node.fields["policy"] or "").partition("|")[0]
    allowed = int(float(own_count or options["retry_count"] or UNLIMITED))
    cause["failures_allowed"] = None if allowed >= UNLIMITED else allowed
    if root.code == "disabled":
        disabled_at = node.number("disabled_at")
        cause["by"], cause["author"] = _who_disabled(node.fields), node.fields["disabled_by"]
        persists = float(options["disable_persist"] or 0)
        cause["until"] = None if disabled_at is None or cause["by"] != "scheduler" else disabled_at + persists
    else:
        is_retried = float(options["retry_delay"] or 0) >= 0
        cause["until"] = float(due) if due is not None and is_retried else None


def _who_disabled(fields: Mapping[str, str | None]) -> str:
    if fields["disabled_by"] is not None:
        return "operator"
    return "worker" if fields["disabled_at"] is None else "scheduler"


def removed_at(namespace: Namespace, task_id: str) -> Commands[float | None]:
    """Return when the task was removed, as far as the stream `events` tells: it has the last 10,000 changes or so."""
    pages = StreamPages(namespace, "events")
    while not pages.is_at_end and pages.looked_at < MOST_EVENTS:
        for _, entry in (yield from pages.next_page()):
            if entry.get("task_id") == task_id and entry.get("to") == "REMOVED":
                return float(entry["time"])
    return None


SEVERITY: tuple[WhyCode, ...] = (  # what somebody has to mend comes first
    *("disabled", "cycle", "missing", "placeholder", "external", "over_limit", "failed", "refused", "no_worker"),
    *("paused", "family_paused", "starvation_guard", "resource", "busy", "postponed", "priority", "deferred"),
    *("linking", "in_batch", "running", "ready", "deps", "done", "unknown"),
)

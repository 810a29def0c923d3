"""The traces that a worker makes: one for each attempt of a task, and a span for what it schedules.

A trace of an attempt is short: it begins when the task was handed out, and ends when its end is reported. Links lead to
the span of the submission, and to the latest attempts of its deps. So the critical path of a pipeline is found by
following them, and no trace is as long as the pipeline.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from itertools import islice
from typing import Any

from broker_sched import tracing
from broker_sched.contract.types import MAX_TASKS
from broker_sched.errors import BrokerSchedError, UnknownMethod
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from broker_sched.worker.task_state import TaskState

log = logging.getLogger("bsched.worker")
SYSTEM = "bsched"


class AttemptTraces:
    """Makes the traces of one worker. Without an SDK of OpenTelemetry it does nothing, and asks for nothing."""

    def __init__(self, scheduler: RetryingScheduler, worker_id: str) -> None:
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._is_unknown = False  # to the scheduler, such as a luigid

    def note_submission(self, task: TaskLike, task_ids: Collection[str]) -> None:
        """Make a span for having scheduled these tasks, for the sake of this one, and have the scheduler keep it."""
        if not tracing.is_on():
            return
        attributes = {
            "messaging.batch.message_count": len(task_ids),
            "messaging.message.id": task.task_id,
            **_attributes("create", "create", task),
        }
        with tracing.span(f"create {task.task_family}", "PRODUCER", attributes) as traceparent:
            ids = iter(task_ids)
            while some := list(islice(ids, MAX_TASKS)):
                self._ask("note_submission_trace", task_ids=some, traceparent=traceparent)

    def begin(self, state: TaskState, task_ids: Collection[str]) -> None:
        """Begin the trace of an attempt, handed out just now. task_ids: the task's, or the members' of a batch."""
        task, attempt = state.task, state.attempt
        attributes = {
            "messaging.message.id": task.task_id,
            "bsched.worker": self._worker_id,
            **_attributes("process", "process", task),
            **({} if attempt is None else {"bsched.attempt": attempt}),
        }
        span = tracing.new_trace(f"process {task.task_family}", "CONSUMER", attributes)
        traceparent = None if span is None else tracing.traceparent_of(span)
        if span is None or traceparent is None:
            return
        state.span, state.traceparent = span, traceparent
        links = self._ask("begin_trace", task_ids=list(task_ids)[:MAX_TASKS], traceparent=traceparent)
        for submission in (links or {}).get("submissions", ()):
            tracing.link(span, submission, "submission")
        for dep in (links or {}).get("deps", {}).values():
            tracing.link(span, dep, "dep")

    def end(self, state: TaskState, status: str | None) -> None:
        """End the trace of an attempt, of which this status was reported last; not one that another has begun."""
        if state.span is not None:
            tracing.end(state.span, status in ("FAILED", "DISABLED"), {"bsched.status": status or "unknown"})

    def _ask(self, method: str, **arguments: Any) -> Any:
        """Call a method once: without its answer, links are missing, and nothing else."""
        if self._is_unknown or not hasattr(self._scheduler.scheduler, method):
            return None
        try:
            return getattr(self._scheduler.scheduler, method)(**arguments)
        except UnknownMethod:
            self._is_unknown = True
        except BrokerSchedError as error:
            log.info("A trace has no links: %s", error)
        return None


def _attributes(operation: str, kind: str, task: TaskLike) -> dict[str, Any]:
    """Return what the conventions for messaging want of each span."""
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": task.task_family,
    }

"""At the end of a run: how the tasks stand that were scheduled here, and ended elsewhere or not at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from broker_sched.errors import BrokerSchedError, UnknownMethod
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from broker_sched.worker.summary import Standing

log = logging.getLogger("bsched.worker")
AT_ONCE = 1000  # tasks in one call


def look_back(scheduler: RetryingScheduler, task_ids: Sequence[str], root_ids: Sequence[str]) -> dict[str, Standing]:
    """Ask the scheduler how these tasks stand. Returns {} when it does not say, which is logged.

    root_ids: a stock luigid is asked for their graphs, which must hold the tasks.
    """
    if not task_ids:
        return {}
    try:
        found = _statuses(scheduler, task_ids, root_ids)
    except BrokerSchedError as error:
        log.warning("What others made of %d tasks that did not run here can't be told: %s", len(task_ids), error)
        return {}
    asked = set(task_ids)
    return {
        task_id: Standing(shown["status"], shown.get("worker_running"), shown.get("refusal"))
        for task_id, shown in found.items()
        if task_id in asked
    }


def _statuses(scheduler: RetryingScheduler, task_ids: Sequence[str], root_ids: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        for start in range(0, len(task_ids), AT_ONCE):
            found.update(scheduler.call("task_statuses", task_ids=list(task_ids[start : start + AT_ONCE])))
    except (UnknownMethod, AttributeError):
        for root in root_ids:
            found.update(scheduler.call("dep_graph", task_id=root))
    return found

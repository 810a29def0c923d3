"""Tells the scheduler of many tasks in few calls; a stock luigid, which knows no add_tasks, of one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from broker_sched.errors import InvalidArgument, LoginRefused, Refused, Superseded, UnknownMethod
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from broker_sched.worker.text_limits import shortened

log = logging.getLogger("bsched.worker")
AT_ONCE = 200
LONGEST_ID = 300  # characters of a task's id in an error
LONGEST_SECONDS = 0.3  # what is found is not kept back longer, where finding the next takes its time

OnRefused = Callable[[dict[str, Any], Refused], None]


class AddTaskBuffer:
    """Collects what is scheduled, until there is enough of it, or flush().

    on_refused: called with the arguments of a task that is refused by itself, as one that is too long for a server or a
    proxy is, and with the error; it may try something shorter. Without one the error is raised.
    """

    def __init__(self, scheduler: RetryingScheduler, worker_id: str) -> None:
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._collected: list[dict[str, Any]] = []  # arguments of add_task, without the worker
        self._since = 0.0
        self._knows_bulk = hasattr(scheduler.scheduler, "add_tasks")

    def put(self, task: dict[str, Any], on_refused: OnRefused | None = None) -> None:
        """Tell of this task, soon."""
        if not self._collected:
            self._since = time.monotonic()
        self._collected.append(task)
        if len(self._collected) >= AT_ONCE or time.monotonic() - self._since > LONGEST_SECONDS:
            self.flush(on_refused)

    def flush(self, on_refused: OnRefused | None = None) -> None:
        """Tell of all that is collected."""
        tasks, self._collected = self._collected, []
        if not tasks:
            return
        if self._knows_bulk and len(tasks) > 1:
            try:
                self._scheduler.call("add_tasks", worker=self._worker_id, tasks=tasks)
                self._log(tasks)
                return
            except UnknownMethod:
                self._knows_bulk = False
            except (InvalidArgument, LoginRefused, Superseded):  # of the last one, the others are done
                raise
            except Refused as error:  # too long for a proxy, maybe; one after the other it is known which
                log.warning(
                    "%d tasks at once are refused, so they are scheduled one after the other: %s", len(tasks), error
                )
        for task in tasks:
            try:
                self._tell(task, on_refused)
            except Refused as error:
                if type(error) is Refused:  # a proxy's limit, which does not know of which task it is
                    raise Refused(f"{shortened(task['task_id'], LONGEST_ID)}: {error}") from error
                raise

    def _tell(self, task: dict[str, Any], on_refused: OnRefused | None) -> None:
        try:
            self._scheduler.call("add_task", worker=self._worker_id, **task)
        except Refused as error:
            # Where nothing is answered, it is no matter of this task.
            if type(error) is not Refused or on_refused is None or not self._scheduler.answers():
                raise
            on_refused(task, error)
        else:
            self._log([task])

    def _log(self, tasks: list[dict[str, Any]]) -> None:
        if log.isEnabledFor(logging.INFO):
            for task in tasks:
                log.info("Informed scheduler that task   %s   has status   %s", task["task_id"], task["status"])

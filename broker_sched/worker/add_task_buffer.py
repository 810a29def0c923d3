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
    """Collects the tasks that a worker schedules, and sends many of them with one call.

    on_refused: called with the arguments of a task that is refused by itself, as one that is too long for a server or a
    proxy is, and with the error; it may send something shorter. Without one the error is raised.
    """

    def __init__(self, scheduler: RetryingScheduler, worker_id: str) -> None:
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._collected: list[dict[str, Any]] = []  # arguments of add_task, without the worker
        self._since = 0.0
        self._knows_add_tasks = hasattr(scheduler.scheduler, "add_tasks")

    def add_task(self, task: dict[str, Any], on_refused: OnRefused | None = None) -> None:
        """Take the arguments of one add_task call, without the worker, to be sent soon, at the latest by flush().

        Raises what the scheduler raises when this call makes the buffer full.
        """
        if not self._collected:
            self._since = time.monotonic()
        self._collected.append(task)
        if len(self._collected) >= AT_ONCE or time.monotonic() - self._since > LONGEST_SECONDS:
            self.flush(on_refused)

    def flush(self, on_refused: OnRefused | None = None) -> None:
        """Send all collected tasks now: by add_tasks, or one after the other where the scheduler does not know that or
        refuses them together. Raises what the scheduler raises."""
        tasks, self._collected = self._collected, []
        if not tasks:
            return
        if self._knows_add_tasks and len(tasks) > 1:
            try:
                self._scheduler.call("add_tasks", worker=self._worker_id, tasks=tasks)
                self._log(tasks)
                return
            except UnknownMethod:
                self._knows_add_tasks = False
            except (InvalidArgument, LoginRefused, Superseded):  # of the last one, the others are done
                raise
            except Refused as error:  # too long for a proxy, maybe; one after the other it is known which
                log.warning(
                    "%d tasks at once are refused, so they are scheduled one after the other: %s", len(tasks), error
                )
        for task in tasks:
            try:
                self._send_task(task, on_refused)
            except Refused as error:
                if type(error) is Refused:  # a proxy's limit, which does not know of which task it is
                    raise Refused(f"{shortened(task['task_id'], LONGEST_ID)}: {error}") from error
                raise

    def _send_task(self, task: dict[str, Any], on_refused: OnRefused | None) -> None:
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

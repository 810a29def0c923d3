"""Submit and leave: tasks that a fleet of workers runs, though nobody waits for them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import Any

from broker_sched.api import SchedulerAPI
from broker_sched.errors import InvalidArgument, UnknownMethod, WorkerError
from broker_sched.model.contract import TaskLike, check_task
from broker_sched.worker.patience import default_scheduler
from broker_sched.worker.worker import Worker

log = logging.getLogger("bsched.worker")
STOCK = (
    "This scheduler keeps no submissions (a stock luigid can't): it would forget the tasks once their submitter has "
    "left. Run them with `bsched run`, or use a scheduler of broker_sched."
)


def submit(*tasks: TaskLike, scheduler: SchedulerAPI | None = None, **config: Any) -> str:
    """Schedule tasks with all they need, and leave: a fleet of `bsched worker` runs them.

    Returns the submission's id, for `scheduler.submission(id)` and `bsched wait`. Arguments as of a Worker. What could
    not be scheduled is logged, and left out. Raises WorkerError for a scheduler that keeps no submissions, and what
    Worker.add raises; then nothing is submitted.
    """
    return Submitter(scheduler, **config).submit(*tasks)


class Submitter:
    """Schedules tasks under the id of a submission. It is a worker to the scheduler until all tasks are there, so that
    what a submitter left half done is forgotten.

    succeeded: whether all that was found could be scheduled.
    """

    def __init__(self, scheduler: SchedulerAPI | None = None, **config: Any) -> None:
        self.id = f"submission-{uuid.uuid4().hex[:12]}"
        self.succeeded = True
        self._scheduler: Any = scheduler or default_scheduler()
        self.worker = Worker(self._scheduler, self.id, **config)

    def submit(self, *tasks: TaskLike, multiprocess: bool = False) -> str:
        """See submit(). multiprocess: ask several tasks at once whether they are complete."""
        if not tasks:
            raise WorkerError("There is nothing to submit: give at least one task.")
        for task in tasks:
            check_task(task)
        try:
            self._scheduler.submission(submission=self.id)
        except (UnknownMethod, AttributeError):
            raise WorkerError(STOCK) from None
        try:
            self._schedule(tasks, multiprocess)
        except InvalidArgument as error:  # the machine slept, or the scheduler was away, for longer than it waits
            if error.field != "submission":
                raise
            log.warning("The scheduler had forgotten this submission meanwhile: scheduling it again.")
            self._schedule(tasks, multiprocess)
        return self.id

    def _schedule(self, tasks: Sequence[TaskLike], multiprocess: bool) -> None:
        self.succeeded = True
        with self.worker:
            for task in tasks:
                self.succeeded &= self.worker.add(task, multiprocess)
        self._scheduler.add_submission(submission=self.id, tasks=[task.task_id for task in tasks])

"""Submit and leave: tasks that a fleet of workers runs, though nobody waits for them."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Sequence
from typing import Any

from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.errors import BrokerSchedError, InvalidArgument, UnknownMethod, WorkerError
from broker_sched.mails.texts import public_name
from broker_sched.tasks.from_texts import differing
from broker_sched.tasks.protocol import TaskLike, check_task
from broker_sched.worker.retrying_scheduler import scheduler_of
from broker_sched.worker.worker import Worker

log = logging.getLogger("bsched.worker")
STOCK = (
    "This scheduler keeps no submissions (a stock luigid can't): it would forget the tasks once their submitter has "
    "left. Run them with `bsched run`, or use a scheduler of broker_sched."
)


def submit(*tasks: TaskLike, scheduler: SchedulerAPI | str | None = None, **config: Any) -> str:
    """Schedule tasks with all they need, and leave: a fleet of `bsched worker` runs them.

    Returns the submission's id, for `scheduler.submission(id)` and `bsched wait`. Arguments as of a Worker. What could
    not be scheduled is logged, and left out. Raises WorkerError for a scheduler that keeps no submissions and for a
    task that no other worker can load (of `__main__`, for example), and what Worker.add raises; then nothing is
    submitted.
    """
    return Submitter(scheduler, **config).submit(*tasks)


class Submitter:
    """Schedules tasks under the id of a submission. It is a worker to the scheduler until all tasks are there, so that
    what a submitter left half done is forgotten.

    succeeded: whether all that was found could be scheduled.
    """

    def __init__(self, scheduler: SchedulerAPI | str | None = None, **config: Any) -> None:
        self.id = f"submission-{uuid.uuid4().hex[:12]}"
        self.succeeded = True
        self._scheduler: Any = scheduler_of(scheduler)
        self.worker: Worker = _ForOthers(self._scheduler, self.id, **config)

    def submit(self, *tasks: TaskLike, multiprocess: bool = False, processes: int = 0) -> str:
        """Schedule the tasks and all they need, and return the submission's id.

        Raises what the function submit() raises.

        multiprocess: ask several tasks at once whether they are complete, in `processes` processes (0: one for each
        processor).
        """
        if not tasks:
            raise WorkerError("There is nothing to submit: give at least one task.")
        for task in tasks:
            _refuse_main(check_task(task))
        try:
            self._scheduler.submission(submission=self.id)
        except (UnknownMethod, AttributeError):
            raise WorkerError(STOCK) from None
        try:
            self._schedule(tasks, multiprocess, processes)
        except InvalidArgument as error:  # the machine slept, or the scheduler was away, for longer than it waits
            if error.field != "submission":
                raise
            log.warning("Scheduling it again, since the scheduler does not keep it yet. %s", error)
            self._schedule_again(tasks, multiprocess, processes)
        except WorkerError:
            self._withdraw()
            raise
        return self.id

    def _schedule_again(self, tasks: Sequence[TaskLike], multiprocess: bool, processes: int) -> None:
        try:
            self._schedule(tasks, multiprocess, processes)
        except InvalidArgument:
            self._withdraw()
            raise

    def _withdraw(self) -> None:
        """What was scheduled until a task was refused is not handed out."""
        with contextlib.suppress(BrokerSchedError):  # then it is forgotten when this worker is missed
            self._scheduler.add_submission(submission=self.id, tasks=[])
            self._scheduler.cancel_submission(submission=self.id)

    def _schedule(self, tasks: Sequence[TaskLike], multiprocess: bool, processes: int) -> None:
        self.succeeded = True
        with self.worker:
            for task in tasks:
                self.succeeded &= self.worker.add(task, multiprocess, processes)
        self._scheduler.add_submission(submission=self.id, tasks=[task.task_id for task in tasks])


class _ForOthers(Worker):
    """Schedules only what other workers can load, and says what they will find different."""

    def __init__(self, *arguments: Any, **config: Any) -> None:
        super().__init__(*arguments, **config)
        self._told: set[tuple[str, str]] = set()  # family, parameter
        self._registration.check = self._check

    def _check(self, task: TaskLike) -> None:
        _refuse_main(task)
        try:
            found = differing(task)
        except Exception as error:
            named = public_name(task)
            raise WorkerError(f"{named} can't be loaded by another worker: {error}. Nothing is submitted.") from None
        for name, why in found.items():
            if (task.task_family, name) not in self._told:
                self._told.add((task.task_family, name))
                log.warning(
                    "%s.%s will be another value on the workers of the fleet: %s. Tasks travel as texts: give a value "
                    "of the parameter's own type, or none where the default is meant.",
                    *(task.task_family, name, why),
                )


def _refuse_main(task: TaskLike) -> None:
    if task.task_module == "__main__":
        name = type(task).__name__
        raise WorkerError(
            f"{name} is a class of __main__, the program that runs here: no other worker can import it, so nothing is "
            f"submitted. Put {name} into a module that the workers have, too, and import it from there; or run it "
            "here, with a Worker."
        )

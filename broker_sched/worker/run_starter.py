"""Starts the runs of a worker, and goes on with one whose task was handed out again meanwhile."""

from __future__ import annotations

import errno
import json
import logging
import traceback
from collections.abc import Callable

from broker_sched import interrupts
from broker_sched.tasks.protocol import TaskLike, logged_name
from broker_sched.worker.executors.protocol import Executor
from broker_sched.worker.run_reports import RunReports
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.run_task import RunOptions
from broker_sched.worker.running_tasks import RunningTasks
from broker_sched.worker.task_registration import TaskRegistration
from broker_sched.worker.work_source import WorkSource

log = logging.getLogger("bsched.worker")
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)  # of the machine, for now


class RunStarter:
    """Starts runs elsewhere than in the worker's own process, and has the others of the worker's parts know of them.

    wait: passes some time usefully; called when there is no room for a run that was to be started.
    """

    def __init__(
        self,
        executor: Executor,
        running: RunningTasks,
        registration: TaskRegistration,
        work_source: WorkSource,
        reports: RunReports,
        wait: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._running = running
        self._registration = registration
        self._work_source = work_source
        self._reports = reports
        self._wait = wait

    def start_run(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> None:
        """Start a run of a task; one that can't be started has failed, or goes back where others take up the room."""
        try:
            self._start(task, options, timeout_seconds)
        except Exception as error:  # not picklable for `spawn`, no more processes or files
            log.error("%s could not be started: %s", logged_name(task), error)
            is_exhausted = getattr(error, "errno", None) in EXHAUSTED and len(self._running) > 0
            if is_exhausted and self._registration.release(task, self._work_source.attempt_of(task)):
                self._work_source.note_given_back(task)
                self._wait()  # there may be room when one of the others has ended
                return
            self._reports.note_result(task, RunResult(task.task_id, "FAILED", json.dumps(traceback.format_exc())))

    def resume_run(self, task: TaskLike) -> None:
        """Go on with a run whose task was handed out here again, as that attempt; one that is being ended goes back.

        So does one that is a job, which carries out the attempt before.
        """
        process, attempt = self._running.find_run(task.task_id), self._work_source.attempt_of(task)
        if process is not None and self._executor.is_elsewhere:
            self._running.supersede(task.task_id, process.attempt)
        elif process is not None and not process.is_superseded:
            process.attempt = attempt
            return
        if self._registration.release(task, attempt):
            self._work_source.note_given_back(task)

    @interrupts.whole
    def _start(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> None:
        process = self._executor.run_of(task, options, timeout_seconds)
        process.attempt = self._work_source.attempt_of(task)
        process.start()
        self._running.add_run(process)

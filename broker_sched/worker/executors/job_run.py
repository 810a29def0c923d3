"""One run of a task as a job of an engine, as the worker's loop sees it. Only wait_until_ended() waits."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from broker_sched.tasks.protocol import TaskLike, logged_name
from broker_sched.worker.executors.task_process import SchedulerCall
from broker_sched.worker.run_result import EndedBy, Ending, RunResult
from broker_sched.worker.wakeup_socket import WakeupSocket

log = logging.getLogger("bsched.worker")
NOT_IN_TIME = "%s could not be stopped in time: its job ends later, or finds that its run is another's."
LOOK_SECONDS = 0.05  # while wait_until_ended() waits


class JobRun:
    """One run of one task as a job. The threads of its JobExecutor do the work, and call conclude().

    spec: of the job; the attempt is put in when it starts. look_at: has the executor look at the run. wakeup_socket:
    wakes the worker's loop. unseen: the runs that have ended, and that the loop has not looked at since; all runs share
    both.
    """

    def __init__(
        self,
        task: TaskLike,
        job_id: str,
        spec: dict[str, Any],
        kill_after_seconds: float,
        look_at: Callable[[JobRun], None],
        wakeup_socket: WakeupSocket,
        unseen: set[JobRun],
    ) -> None:
        self.task = task
        self.job_id = job_id
        self.spec = spec
        self.result: RunResult | None = None
        self.reported: str | None = None  # the status that the job has reported by itself; None: it has not
        self.ending: Ending | None = None
        self.attempt: int | None = None  # what get_work told with the task
        self.is_superseded = False  # it does not count any more
        self.stop_at: float | None = None  # since then it is to end: read by the executor
        # What the executor knows of the job.
        self.may_be_submitted = False  # the engine may have it: a reply may have been lost
        self.is_submitted = False
        self.is_asked_to_end = False  # its worker was asked to end it
        self.is_lost = False  # the engine has lost it, and it may live
        self.missed_since: float | None = None  # since then nobody runs its task, as the scheduler says
        self._kill_after_seconds = kill_after_seconds
        self._look_at = look_at
        self._wakeup_socket = wakeup_socket
        self._unseen = unseen
        self._is_left = False  # nobody looks for its end
        self._conclusion = threading.Lock()  # the loop and the executor may come to one at the same time
        self._give_up_at: float | None = None  # a worker that leaves waits no longer

    def start(self) -> None:
        """Have the job submitted, once its engine can be reached. Raises ValueError for a luigid's hand-out."""
        if self.attempt is None:
            raise ValueError("The scheduler is a luigid, which can't hand a run over to a job. Use bsched server.")
        self.spec["attempt"] = self.attempt
        self._look_at(self)

    def waitables(self) -> list[Any]:
        """Return the wakeup socket that all runs share; nothing after the end, which needs no waiting."""
        return [] if self.result is not None else [self._wakeup_socket]

    def seconds_left(self) -> float | None:
        """Return the seconds for which a worker that leaves waits for the end; None while it does not.

        The job keeps all other deadlines.
        """
        return max(0.0, (self._give_up_at or 0.0) - time.monotonic()) if self.is_released() else None

    def take_scheduler_calls(self) -> list[SchedulerCall]:
        """Return nothing: the job makes its calls itself."""
        return []

    def poll(self) -> bool:
        """Return whether the run has ended; then `result` is set. A worker that leaves waits no longer than it may."""
        self._wakeup_socket.clear()
        self._unseen.discard(self)
        if self._unseen:  # one of them may have ended after its turn, and have woken the loop before this
            self._wakeup_socket.wake()
        if self.result is None and self.is_released() and time.monotonic() >= (self._give_up_at or 0.0):
            log.warning("%s", NOT_IN_TIME % logged_name(self.task))
            self.conclude_unbegun("could not be stopped in time")
        return self.result is not None

    def end_run(self, ending: Ending) -> None:
        """Have the job stopped, unless its result is known or it is being stopped.

        One that does not count any more is left alone: it ends itself, and this run has ended at once.
        """
        if self.result is not None:
            return
        if self.is_superseded:
            self.conclude(RunResult(self.task.task_id, "FAILED"))
        elif self.ending is None:
            self.ending = ending
            self.terminate()

    def is_released(self) -> bool:
        """Return whether it is ended so that others run the task."""
        return self.ending is not None and self.ending.by == "release"

    def terminate(self) -> None:
        """Have the job withdrawn, or its task given back to the scheduler where it has begun."""
        now = time.monotonic()
        self.stop_at = self.stop_at or now
        self._give_up_at = now + self._kill_after_seconds
        self._look_at(self)

    def kill(self) -> None:
        """Let a worker that leaves wait no longer: the job is stopped all the same."""
        self._give_up_at = 0.0

    def wait_until_ended(self) -> None:
        """Wait until the job has ended, for kill_after_seconds at the most: its engine may be silent."""
        while self.result is None and time.monotonic() < (self._give_up_at or 0.0):
            time.sleep(LOOK_SECONDS)
        if self.result is None:
            log.warning("%s", NOT_IN_TIME % logged_name(self.task))

    def memory(self) -> int | None:
        """Return None: the job tells its own."""
        return None

    def send_message(self, message_id: str, content: Any, payload: dict[str, Any]) -> None:
        """Log that the message is lost: it came before the job took the run over, which gets its messages itself."""
        log.error("%s has not begun where it is to run: this message is lost: %s", logged_name(self.task), content)

    def clean_up(self) -> None:
        """Forget that the run has ended, or will, which nobody looks for any more."""
        with self._conclusion:
            self._is_left = True
            self._unseen.discard(self)

    def conclude(self, result: RunResult, reported: str | None = None) -> None:
        """Set the run's end, unless it has one, and wake the worker's loop, unless that has left the run.

        reported: the status that the job has reported itself.
        """
        with self._conclusion:
            if self.result is None:
                self.reported, self.result = reported, result
                if not self._is_left:
                    self._unseen.add(self)
                    self._wakeup_socket.wake()

    def conclude_unbegun(self, why: str, by: EndedBy = "crash") -> None:
        """Set the end of a run that is still the supervisor's, which is to report it.

        why: the rest of a sentence that begins with the task's id. by: how it ended, unless its worker has ended it.
        """
        if self.ending is not None:
            by, why = self.ending.by, f"was ended: {self.ending.reason}"
        task_id = self.task.task_id
        self.conclude(RunResult(task_id, "FAILED", json.dumps(f"{task_id} {why}."), ended_by=by))

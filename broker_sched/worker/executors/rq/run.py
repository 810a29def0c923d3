"""One run of a task as an RQ job, as the worker's loop sees it. Only wait_until_ended() waits for Redis."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from broker_sched.tasks.protocol import TaskLike, logged_name
from broker_sched.worker.executors.task_process import SchedulerCall, without_overwritten
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.wakeup_socket import WakeupSocket

log = logging.getLogger("bsched.worker")
LOOK_SECONDS = 0.05  # while wait_until_ended() waits


class Ended(NamedTuple):
    """How a run has ended: with a result of its own, or how it came to have none."""

    result: RunResult | None
    why: str = ""  # a sentence about it, without its subject
    tail: str = ""  # the last lines that the task wrote
    is_timed_out: bool = False
    is_taken_over: bool = False  # another supervisor has it now


class RqRun:
    """One run of one task as an RQ job.

    The job supervisor, in threads of its own, does the work, and puts its news into `heard`.

    arguments: of job.run_task. supervise: asks the job supervisor to look at the run. wakeup_socket: the job supervisor
    wakes the worker's loop by it.
    """

    def __init__(
        self,
        task: TaskLike,
        arguments: dict[str, Any],
        timeout_seconds: float,
        kill_after_seconds: float,
        supervise: Callable[[RqRun], None],
        wakeup_socket: WakeupSocket,
    ) -> None:
        self.task = task
        self.arguments = arguments
        self.timeout_seconds = timeout_seconds
        self.kill_after_seconds = kill_after_seconds
        self.result: RunResult | None = None
        self.reported: str | None = None
        self.scheduler_calls: list[SchedulerCall] = []
        self.death: str | None = None
        self.is_timed_out = False
        self.reason: str | None = None
        self.is_released = False
        self.attempt: int | None = None  # what get_work told with the task
        self.is_superseded = False  # it does not count any more
        self.is_to_be_disabled = False
        self.is_to_stop = False  # read by the job supervisor
        self.is_reported = False  # read by the job supervisor: its result need not be kept in Redis
        self.heard: deque[SchedulerCall | Ended] = deque()  # written by the job supervisor
        self._supervise = supervise
        self._wakeup_socket = wakeup_socket
        self._give_up_at = math.inf
        self._is_left = False  # by a worker that leaves

    def start(self) -> None:
        """Have the job enqueued. While RQ's Redis can't be reached, that waits; this call does not."""
        self._supervise(self)

    def waitables(self) -> list[Any]:
        """Return the wakeup socket that all runs share; nothing after the end, which needs no waiting."""
        return [] if self.result is not None else [self._wakeup_socket]

    def seconds_left(self) -> float | None:
        """Return the seconds for which a worker that leaves waits for the end; None while it does not.

        The job supervisor keeps all other deadlines.
        """
        return max(0.0, self._give_up_at - time.monotonic()) if self.is_released else None

    def take_scheduler_calls(self) -> list[SchedulerCall]:
        """Return the calls that the task asked for since the last time, without those that later ones overwrite."""
        calls, self.scheduler_calls = self.scheduler_calls, []
        return without_overwritten(calls)

    def poll(self) -> bool:
        """Take in what the job supervisor has heard. Returns whether the run has ended; then `result` is set."""
        self._wakeup_socket.clear()
        while self.heard:
            word = self.heard.popleft()
            if isinstance(word, SchedulerCall):
                self.scheduler_calls.append(word)
            elif self.result is None:
                self._conclude(word)
        if self.result is None and self.is_released and time.monotonic() >= self._give_up_at:
            log.warning(
                "%s could not be stopped in time: whoever is handed it next adopts its RQ job.", logged_name(self.task)
            )
            self._conclude(Ended(None))
        return self.result is not None

    def end_run(self, reason: str, *, releases: bool = False, disables: bool = False) -> None:
        """Have the job stopped for this reason, unless its result is known or it is being stopped."""
        if self.result is None and self.reason is None:
            self.reason, self.is_released, self.is_to_be_disabled = reason, releases, disables
            self.terminate()

    def terminate(self) -> None:
        """Have the job stopped; it may take kill_after_seconds to end."""
        self.is_to_stop = True
        self._give_up_at = time.monotonic() + self.kill_after_seconds
        self._supervise(self)

    def kill(self) -> None:
        """Let a worker that leaves wait no longer: the job is stopped all the same."""
        self._give_up_at = 0.0

    def wait_until_ended(self) -> None:
        """Wait until the job has ended, for kill_after_seconds at the most: Redis may be silent."""
        self._is_left = True
        while not self.poll() and time.monotonic() < self._give_up_at:
            time.sleep(LOOK_SECONDS)
        if self.result is None:
            log.warning(
                "%s could not be stopped in time: whoever is handed it next adopts its RQ job.", logged_name(self.task)
            )

    def memory(self) -> int | None:
        """Return None: the process is on another machine."""
        return None

    def send_message(self, message_id: str, content: Any, payload: dict[str, Any]) -> None:
        """Log that the message is lost: none travel through RQ."""
        log.error("%s runs as an RQ job, which gets no messages: this one is lost: %s", logged_name(self.task), content)

    def clean_up(self) -> None:
        """Have the result removed from RQ's Redis, since it was reported.

        Where the worker left before that, the next one finds it.
        """
        if not self._is_left:
            self.is_reported = True
            self._supervise(self)

    def _conclude(self, ended: Ended) -> None:
        task_id = self.task.task_id
        self.is_timed_out = ended.is_timed_out and self.reason is None
        if ended.result is not None and not ended.is_timed_out:
            self.result = ended.result
            self.reason, self.is_released, self.is_to_be_disabled = None, False, False  # it was through already
            return
        if ended.is_taken_over:
            self.is_released, why = True, f"is not this worker's any more: it {ended.why}"
        elif self.reason is not None:
            why = f"was ended: {self.reason}"
        elif self.is_timed_out:
            why = f"ran longer than {self.timeout_seconds:g} s, its timeout, and was terminated"
        else:
            why = ended.why
        self.death = f"{task_id} {why}." + (f" Its last lines:\n{ended.tail}" if ended.tail else "")
        self.result = RunResult(task_id, "FAILED", json.dumps(self.death))

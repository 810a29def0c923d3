"""One run of a task as an RQ job, as the worker's loop sees it. Nothing here waits for Redis, except stop()."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.executors.task_process import SchedulerCall, without_overwritten
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.wakeup_socket import WakeupSocket

log = logging.getLogger("bsched.worker")
LOOK_SECONDS = 0.05  # while stop() waits


class Ended(NamedTuple):
    """The last word about a run: an outcome of its own, or how it came to have none."""

    outcome: RunResult | None
    why: str = ""  # a sentence about it, without its subject
    tail: str = ""  # the last lines that the task wrote
    is_timed_out: bool = False
    is_taken_over: bool = False  # another supervisor has it now


class RqRun:
    """Its attendant, in another thread, carries it out: `heard` holds what that has to say.

    arguments: of the job. attend: tells the attendant that there is something to do. bell: the attendant rings it.
    """

    def __init__(
        self,
        task: TaskLike,
        arguments: dict[str, Any],
        timeout_seconds: float,
        kill_after_seconds: float,
        attend: Callable[[RqRun], None],
        wakeup_socket: WakeupSocket,
    ) -> None:
        self.task = task
        self.arguments = arguments
        self.timeout_seconds = timeout_seconds
        self.kill_after_seconds = kill_after_seconds
        self.outcome: RunResult | None = None
        self.told: list[SchedulerCall] = []
        self.death: str | None = None
        self.is_timed_out = False
        self.reason: str | None = None
        self.is_released = False
        self.attempt: int | None = None  # what get_work told with the task
        self.is_superseded = False  # it does not count any more
        self.is_to_be_disabled = False
        self.is_to_stop = False  # read by the attendant
        self.is_reported = False  # read by the attendant: its outcome need not be kept in Redis
        self.heard: deque[SchedulerCall | Ended] = deque()  # written by the attendant
        self._attend = attend
        self._wakeup_socket = wakeup_socket
        self._patient_until = math.inf
        self._is_left = False  # by a worker that leaves

    def start(self) -> None:
        """Have it enqueued. While RQ's Redis can't be reached, that waits."""
        self._attend(self)

    def wait_on(self) -> list[Any]:
        """The bell that all runs share; nothing after the end, which needs no waiting."""
        return [] if self.outcome is not None else [self._wakeup_socket]

    def seconds_left(self) -> float | None:
        """Until a worker that leaves waits no longer for the end; the attendant keeps the other deadlines."""
        return max(0.0, self._patient_until - time.monotonic()) if self.is_released else None

    def take_scheduler_calls(self) -> list[SchedulerCall]:
        """What the task asked for since the last time: of each kind of progress only the latest."""
        told, self.told = self.told, []
        return without_overwritten(told)

    def check(self) -> bool:
        """See TaskRun."""
        self._wakeup_socket.clear()
        while self.heard:
            word = self.heard.popleft()
            if isinstance(word, SchedulerCall):
                self.told.append(word)
            elif self.outcome is None:
                self._conclude(word)
        if self.outcome is None and self.is_released and time.monotonic() >= self._patient_until:
            log.warning("%s could not be stopped in time: whoever is handed it next adopts its RQ job.", self.task)
            self._conclude(Ended(None))
        return self.outcome is not None

    def end(self, reason: str, *, releases: bool = False, disables: bool = False) -> None:
        """See TaskRun."""
        if self.outcome is None and self.reason is None:
            self.reason, self.is_released, self.is_to_be_disabled = reason, releases, disables
            self.terminate()

    def terminate(self) -> None:
        """See TaskRun."""
        self.is_to_stop = True
        self._patient_until = time.monotonic() + self.kill_after_seconds
        self._attend(self)

    def kill(self) -> None:
        """See TaskRun."""
        self._patient_until = 0.0

    def stop(self) -> None:
        """Wait until it has ended, but not for a Redis that is silent."""
        self._is_left = True
        while not self.check() and time.monotonic() < self._patient_until:
            time.sleep(LOOK_SECONDS)
        if self.outcome is None:
            log.warning("%s could not be stopped in time: whoever is handed it next adopts its RQ job.", self.task)

    def tell(self, message_id: str, content: Any, payload: dict[str, Any]) -> None:
        """Messages don't travel through RQ."""
        log.error("%s runs as an RQ job, which gets no messages: this one is lost: %s", self.task, content)

    def close(self) -> None:
        """Its outcome was reported, unless the worker left before: then the next one finds it."""
        if not self._is_left:
            self.is_reported = True
            self._attend(self)

    def _conclude(self, ended: Ended) -> None:
        task_id = self.task.task_id
        self.is_timed_out = ended.is_timed_out and self.reason is None
        if ended.outcome is not None and not ended.is_timed_out:
            self.outcome = ended.outcome
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
        self.outcome = RunResult(task_id, "FAILED", json.dumps(self.death))

"""Shows, while a job runs a task, that it lives; and learns whether it shall go on.

A stop is heard by the guardian process, at once. What that can't know is learnt here: that the job is not the task's
run any more; and a stop, where the guardian process was killed.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import TracebackType

import redis

from broker_sched.worker.executors.rq.capture import Capture
from broker_sched.worker.executors.rq.messages import tail_to_text
from broker_sched.worker.executors.rq.run_records import GONE, LIVES, RunRecords

log = logging.getLogger("bsched.rq")
BEAT_SECONDS = 3.0


class JobHeartbeat:
    """Notes a sign of life in RQ's Redis every BEAT_SECONDS, as long as the context lasts.

    is_work_horse: this process exists for the job alone, so it may be killed with all that it started. RQ's
    SimpleWorker runs jobs in itself; there a stop can only be noted.
    """

    def __init__(
        self, run_records: RunRecords, task_id: str, job_id: str, capture: Capture, is_work_horse: bool
    ) -> None:
        self._run_records = run_records
        self._ids = (task_id, job_id)
        self._capture = capture
        self._is_horse = is_work_horse
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="job heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._is_over.wait(BEAT_SECONDS):
            try:
                answer = self._run_records.note_heartbeat(*self._ids, tail_to_text(self._capture.new_tail()))
            except redis.RedisError as error:  # the run goes on: nobody else can be told to begin it now, either
                log.warning("RQ's Redis can't be reached; the task goes on: %s", error)
                continue
            if answer != LIVES:
                self._end(answer)

    def _end(self, why: str) -> None:
        if self._is_over.is_set():
            return
        if not self._is_horse:
            log.error("%s was to end, but this rq worker runs its jobs in its own process: it goes on.", self._ids[0])
            self._is_over.set()
            return
        log.error("%s is ended: %s.", self._ids[0], "it was stopped" if why != GONE else "it is not its run any more")
        end_own_group()


def lead_own_group() -> None:
    """Make this work-horse lead a process group.

    RQ's own do; a worker class of somebody else's may leave it in that of the rq worker.
    """
    if os.getpgrp() != os.getpid():
        os.setpgrp()


def end_own_group() -> None:
    """Send SIGKILL to this process, and to its process group where it leads that: another's is never killed."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

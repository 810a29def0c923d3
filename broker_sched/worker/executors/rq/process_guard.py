"""Ends a run on an rq worker when it is to stop, and when its work-horse dies before, what the task has started.

It is a process of its own: a task that holds Python's lock, or stands still, is stopped, too. The kernel kills a
work-horse alone when memory is short: what it has started would go on beside the task's next run.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import threading
import time
from types import TracebackType
from typing import NamedTuple

import psutil
import redis

from broker_sched.worker.executors.rq.run_records import RunRecords

LISTEN_SECONDS = 10  # for one question whether the run is to stop
SILENT_SECONDS = 15.0  # then the connection is taken for lost
AWAY_SECONDS = 1.0  # between two tries while Redis is away
LOOK_SECONDS = 1.0  # between two looks whether the work-horse lives
WAIT_SECONDS = 0.05  # between two looks whether what was terminated has ended
STDERR = 2
MOST_FILES = 4096  # descriptors that are closed


class WorkHorse(NamedTuple):
    """A work-horse, by the numbers that name it and tell which processes it has started."""

    pid: int
    group: int
    session: int

    def has(self, pid: int) -> bool:
        """Return whether this process is of the work-horse's group.

        In a group that it does not lead may be anybody: nobody counts there. Raises OSError when there is no such
        process.
        """
        return self.group == self.pid and os.getpgid(pid) == self.group and os.getsid(pid) == self.session

    def kill(self) -> None:
        """Send SIGKILL to the work-horse, and to its group where it leads that.

        Raises ProcessLookupError when it is gone.
        """
        if self.group == self.pid:
            os.killpg(self.group, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGKILL)


class ProcessGuard:
    """A context in which a guardian process stands beside the work-horse, in a process group and session of its own.

    It ends the run when that is to stop, and what the run has started when the work-horse dies. That is known by its
    process group, which the work-horse must lead, and by RQ_JOB_ID in its environment, which RQ sets. run_records:
    tells of a stop. kill_after_seconds: from SIGTERM to SIGKILL.
    """

    def __init__(self, run_records: RunRecords, task_id: str, job_id: str, kill_after_seconds: float) -> None:
        self._run_records = run_records
        self._task_id = task_id
        self._job_id = job_id
        self._kill_after_seconds = kill_after_seconds
        self._pid = 0

    def __enter__(self) -> None:
        """Raises OSError when there are no more processes."""
        work_horse = WorkHorse(os.getpid(), os.getpgrp(), os.getsid(0))
        reading, self._writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._guard(work_horse, reading)
            finally:
                os._exit(0)
        os.close(reading)

    def _guard(self, work_horse: WorkHorse, reading: int) -> None:
        """Do what the guardian process is there for; it ends when this returns."""
        os.setsid()
        gc.freeze()  # what the work-horse has left must close no file under its old number
        self._run_records.reconnect(SILENT_SECONDS)
        log = os.dup(STDERR)
        _let_go_of_files(reading, log)
        stopping, stopped = os.pipe()
        threading.Thread(target=self._listen, args=(stopped,), daemon=True).start()
        is_left_alone = _is_left_alone(
            reading, stopping, work_horse, log, f"{self._task_id} is ended: it was stopped.\n"
        )
        os.close(log)
        if is_left_alone:
            _end_all(self._job_id, work_horse, self._kill_after_seconds)

    def _listen(self, stopped: int) -> None:
        while True:
            try:
                if self._run_records.await_stop(self._job_id, LISTEN_SECONDS):
                    os.write(stopped, b"!")
            except redis.RedisError:  # the job's heartbeat logs it
                time.sleep(AWAY_SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # it was killed
            os.write(self._writing, b"!")
        os.close(self._writing)
        with contextlib.suppress(OSError):  # the task has waited for all children, this one, too
            os.waitpid(self._pid, 0)


def _let_go_of_files(*kept: int) -> None:
    """Nobody shall wait for this process because of a pipe or a connection that it has inherited."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, STDERR):
        os.dup2(nowhere, number)
    first = STDERR + 1
    for number in (*sorted(kept), MOST_FILES):
        os.closerange(first, number)
        first = number + 1


def _is_left_alone(reading: int, stopping: int, work_horse: WorkHorse, log: int, last_words: str) -> bool:
    """Wait for the end of the run. The end of the pipe says nothing: forks of the work-horse have it open, too."""
    while os.getppid() == work_horse.pid:
        readable, _, _ = select.select([reading, stopping], [], [], LOOK_SECONDS)
        if reading in readable:
            if os.read(reading, 1):
                return False
            time.sleep(WAIT_SECONDS)  # the work-horse is just ending
        if stopping in readable and os.getppid() == work_horse.pid:
            with contextlib.suppress(OSError):
                if select.select([], [log], [], 0)[1]:  # nobody may read it
                    os.write(log, last_words.encode())
            with contextlib.suppress(ProcessLookupError):
                work_horse.kill()
            return True
    return not (select.select([reading], [], [], 0)[0] and os.read(reading, 1))


def _end_all(job_id: str, work_horse: WorkHorse, kill_after_seconds: float) -> None:
    left = [process for process in psutil.process_iter() if _is_of(process, job_id, work_horse)]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + kill_after_seconds
    while any(map(_lives, left)) and time.monotonic() < deadline:
        time.sleep(WAIT_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _is_of(process: psutil.Process, job_id: str, work_horse: WorkHorse) -> bool:
    if process.pid == os.getpid():
        return False
    with contextlib.suppress(psutil.Error, OSError):
        return work_horse.has(process.pid) or process.environ().get("RQ_JOB_ID") == job_id
    return False


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False

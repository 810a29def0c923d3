"""Ends what a task has started on an rq worker when its work-horse dies before the task is through.

RQ stops a job by SIGKILL to the process group of its work-horse, and the kernel kills a work-horse alone when memory is
short. Programs in a session of their own, or all of them, would go on beside the task's next run.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from types import TracebackType

import psutil

LOOK_SECONDS = 1.0  # between two looks whether the work-horse lives
WAIT_SECONDS = 0.05  # between two looks whether what was terminated has ended
MOST_FILES = 4096  # descriptors that are closed


class Guardian:
    """A process beside the work-horse, as long as the context lasts. It is in no group and no session of that.

    What a run has started is known by its process group, and by RQ_JOB_ID in its environment, which RQ sets.
    kill_after_seconds: from SIGTERM to SIGKILL.
    """

    def __init__(self, job_id: str, kill_after_seconds: float) -> None:
        self._job_id = job_id
        self._kill_after_seconds = kill_after_seconds
        self._pid = 0

    def __enter__(self) -> None:
        """Raises OSError when there are no more processes."""
        horse, group = os.getpid(), os.getpgrp()
        reading, self._writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.setsid()
                _let_go_of_files(reading)
                if _is_left_alone(reading, horse):
                    _end_all(self._job_id, group, self._kill_after_seconds)
            finally:
                os._exit(0)
        os.close(reading)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # it was killed
            os.write(self._writing, b"!")
        os.close(self._writing)
        with contextlib.suppress(OSError):  # the task has waited for all children, this one, too
            os.waitpid(self._pid, 0)


def _let_go_of_files(kept: int) -> None:
    """Nobody shall wait for this process because of a pipe or a connection that it has inherited."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.closerange(3, kept)
    os.closerange(kept + 1, MOST_FILES)


def _is_left_alone(reading: int, horse: int) -> bool:
    """Wait for the end of the run. The end of the pipe says nothing: forks of the work-horse have it open, too."""
    while os.getppid() == horse:
        is_readable, _, _ = select.select([reading], [], [], LOOK_SECONDS)
        if is_readable:
            if os.read(reading, 1):
                return False
            time.sleep(WAIT_SECONDS)  # the work-horse is just ending
    return not (select.select([reading], [], [], 0)[0] and os.read(reading, 1))


def _end_all(job_id: str, group: int, kill_after_seconds: float) -> None:
    left = [process for process in psutil.process_iter() if _is_of(process, job_id, group)]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + kill_after_seconds
    while any(map(_lives, left)) and time.monotonic() < deadline:
        time.sleep(WAIT_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _is_of(process: psutil.Process, job_id: str, group: int) -> bool:
    if process.pid == os.getpid():
        return False
    with contextlib.suppress(psutil.Error, OSError):
        return os.getpgid(process.pid) == group or process.environ().get("RQ_JOB_ID") == job_id
    return False


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False

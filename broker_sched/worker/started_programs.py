"""Programs that a task starts which runs in the worker's own process: when it is interrupted, they are ended, too."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import psutil

from broker_sched import interrupts

LOOK_SECONDS = 0.05


class StartedPrograms:
    """The programs that this process starts from now on, with all that they start."""

    def __init__(self) -> None:
        self._before = _children()
        self._noted: set[psutil.Process] = set()

    def note_programs(self) -> None:
        """Remember the programs that are there now.

        Done when a signal comes: one whose parent has ended is not found later.
        """
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process().children():
                if child.pid not in self._before:
                    self._noted.add(child)
                    with contextlib.suppress(psutil.Error):
                        self._noted.update(child.children(recursive=True))

    @interrupts.whole
    def end_programs(self, kill_after_seconds: float) -> None:
        """Send SIGTERM to all of them; SIGKILL to what is left after so many seconds, or when there is another
        interruption."""
        self.note_programs()
        for process in self._noted:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        is_urgent = threading.Event()
        deadline = time.monotonic() + kill_after_seconds
        with interrupts.hurried_by(is_urgent.set):
            while any(map(_lives, self._noted)) and time.monotonic() < deadline:
                if is_urgent.wait(LOOK_SECONDS):
                    break
        for process in self._noted:
            with contextlib.suppress(psutil.Error):
                process.kill()


def _children() -> set[int]:
    """Ids of this process's children. It is asked before each task, and asking psutil looks at the whole machine."""
    try:
        threads = list(Path(f"/proc/{os.getpid()}/task").iterdir())
        return {int(word) for each in threads for word in (each / "children").read_text().split()}
    except OSError:  # not Linux; or a thread has just ended
        return {child.pid for child in psutil.Process().children()}


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False

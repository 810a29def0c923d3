"""How a worker comes to leave, and its tasks to be ended: by signals, messages and time. Nothing here waits."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from broker_sched import interrupts
from broker_sched.worker.run_result import Ending, EndsBy
from broker_sched.worker.running_tasks import RunningTasks

log = logging.getLogger("bsched.worker")


class Shutdown:
    """Keeps what signal handlers and other threads ask of a worker, until its loop calls carry_out_requests().

    look_up: makes the loop do that soon.
    """

    def __init__(self, look_up: Callable[[], None]) -> None:
        self.is_stopping = False  # no more work is asked for
        self.is_out_of_time = False  # it was to be drained by now
        self._look_up = look_up
        self._drained_at = math.inf
        self._to_end: deque[tuple[str, bool, bool]] = deque()  # ids of tasks to be stopped; to be disabled, given back
        self._handlers_before: dict[int, Any] = {}  # of the signals that are taken

    def stop_asking(self) -> None:
        """Have the worker take no more work; what runs goes on."""
        self.is_stopping = True
        self._look_up()

    def drain(self, seconds: float) -> None:
        """Have the worker take no more work, and end what still runs after so many seconds.

        The shortest time counts.
        """
        self._drained_at = min(self._drained_at, time.monotonic() + seconds)
        self.stop_asking()

    def stop_task(self, task_id: str, disable: bool, release: bool = False) -> None:
        """Have a running task ended, and disabled, or given back without a failure, where that is asked for."""
        self._to_end.append((task_id, disable, release))
        self._look_up()

    def seconds_left(self) -> float:
        """Return the seconds until carry_out_requests() must be called, at the latest."""
        return max(0.0, self._drained_at - time.monotonic())

    def carry_out_requests(self, running: RunningTasks) -> None:
        """End the runs that are to end by now. Raises the KeyboardInterrupt that was kept."""
        interrupts.raise_due()
        while self._to_end:
            task_id, disable, release = self._to_end.popleft()
            process = running.find_run(task_id)
            if process is None:
                log.warning("%s is to be stopped, but does not run here in a process of its own.", task_id)
            else:
                by: EndsBy = "release" if release else "disable" if disable else "stop"
                process.end_run(Ending(by, "it was stopped by stop_task"))
        if time.monotonic() >= self._drained_at:
            self._drained_at, self.is_out_of_time = math.inf, True
            for process in running.runs():
                process.end_run(Ending("release", "its worker was told to leave"))

    def take_signals(self) -> None:
        """Let SIGUSR1 stop asking from now on, and let SIGINT, unless it has a handler of the user's, tear nothing
        apart.

        Does nothing in another thread than the main one, which Python gives no signals.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if hasattr(signal, "SIGUSR1"):
            self._take(signal.SIGUSR1, lambda number, frame: self.stop_asking())
            signal.siginterrupt(signal.SIGUSR1, False)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._take(signal.SIGINT, interrupts.handle)

    def give_signals_back(self) -> None:
        """Put the signal handlers back that were there before take_signals()."""
        while self._handlers_before:
            signal.signal(*self._handlers_before.popitem())

    def _take(self, number: int, handler: Callable[[int, Any], object]) -> None:
        before = signal.signal(number, handler)
        if before is not None:  # a handler that is none of Python's can't be given back
            self._handlers_before[number] = before

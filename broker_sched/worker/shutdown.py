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
from broker_sched.worker.running_tasks import RunningTasks

log = logging.getLogger("bsched.worker")


class Shutdown:
    """What was asked for, by signal handlers and other threads; the worker's loop carries it out with act().

    look_up: makes the loop do that soon.
    """

    def __init__(self, look_up: Callable[[], None]) -> None:
        self.is_stopping = False  # no more work is asked for
        self.is_out_of_time = False  # it was to be drained by now
        self._look_up = look_up
        self._drained_at = math.inf
        self._to_end: deque[tuple[str, bool]] = deque()  # ids of tasks to be stopped, and whether to disable them
        self._handlers_before: dict[int, Any] = {}  # of the signals that are taken

    def stop_asking(self) -> None:
        """Take no more work."""
        self.is_stopping = True
        self._look_up()

    def drain(self, seconds: float) -> None:
        """The same, and end what still runs after so long. The shortest time counts."""
        self._drained_at = min(self._drained_at, time.monotonic() + seconds)
        self.stop_asking()

    def stop_task(self, task_id: str, disable: bool) -> None:
        """End a running task."""
        self._to_end.append((task_id, disable))
        self._look_up()

    def seconds_left(self) -> float:
        """Until act() must be called, at the latest."""
        return max(0.0, self._drained_at - time.monotonic())

    def act(self, running: RunningTasks) -> None:
        """Do what is due. Raises the KeyboardInterrupt that was kept."""
        interrupts.raise_due()
        while self._to_end:
            task_id, disable = self._to_end.popleft()
            process = running.get(task_id)
            if process is None:
                log.warning("%s is to be stopped, but does not run here in a process of its own.", task_id)
            else:
                process.end("it was stopped by stop_task", disables=disable)
        if time.monotonic() >= self._drained_at:
            self._drained_at, self.is_out_of_time = math.inf, True
            for process in running.all():
                process.end("its worker was told to leave", releases=True)

    def take_signals(self) -> None:
        """From now on SIGUSR1 stops asking, and SIGINT, unless it has a handler of the user's, tears no step apart.

        Only the main thread can see to that.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if hasattr(signal, "SIGUSR1"):
            self._take(signal.SIGUSR1, lambda number, frame: self.stop_asking())
            signal.siginterrupt(signal.SIGUSR1, False)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._take(signal.SIGINT, interrupts.handle)

    def give_signals_back(self) -> None:
        """They do again what they did before."""
        while self._handlers_before:
            signal.signal(*self._handlers_before.popitem())

    def _take(self, number: int, handler: Callable[[int, Any], object]) -> None:
        before = signal.signal(number, handler)
        if before is not None:  # a handler that is none of Python's can't be given back
            self._handlers_before[number] = before

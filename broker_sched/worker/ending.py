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

from broker_sched.worker.running import Running

log = logging.getLogger("bsched.worker")


class Ending:
    """What was asked for, by signal handlers and other threads; the worker's loop carries it out with act().

    look_up: makes the loop do that soon.
    """

    def __init__(self, look_up: Callable[[], None]) -> None:
        self.is_stopping = False  # no more work is asked for
        self.is_out_of_time = False  # it was to be drained by now
        self.is_interrupted = False  # KeyboardInterrupt is due
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

    def interrupt(self) -> bool:
        """Raise KeyboardInterrupt in act(). False: that is due already."""
        is_first, self.is_interrupted = not self.is_interrupted, True
        self._look_up()
        return is_first

    def stop_task(self, task_id: str, disable: bool) -> None:
        """End a running task."""
        self._to_end.append((task_id, disable))
        self._look_up()

    def seconds_left(self) -> float:
        """Until act() must be called, at the latest."""
        return max(0.0, self._drained_at - time.monotonic())

    def act(self, running: Running) -> None:
        """Do what is due. Raises KeyboardInterrupt for an interrupt()."""
        if self.is_interrupted:
            self.is_interrupted = False
            raise KeyboardInterrupt
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

    def take_signals(self, interrupt: Callable[[], bool]) -> None:
        """From now on SIGUSR1 stops asking, and Ctrl-C interrupts where that leaves no task process behind.

        interrupt: returns False where KeyboardInterrupt shall be raised at once. A handler of SIGINT that is not
        Python's own stays. Only the main thread can see to signals.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if hasattr(signal, "SIGUSR1"):
            self._take(signal.SIGUSR1, lambda number, frame: self.stop_asking())
            signal.siginterrupt(signal.SIGUSR1, False)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._take(signal.SIGINT, lambda number, frame: interrupt() or signal.default_int_handler(number, frame))

    def give_signals_back(self) -> None:
        """They do again what they did before."""
        while self._handlers_before:
            signal.signal(*self._handlers_before.popitem())

    def _take(self, number: int, handler: Callable[[int, Any], object]) -> None:
        self._handlers_before[number] = signal.signal(number, handler)

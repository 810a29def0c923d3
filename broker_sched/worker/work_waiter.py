"""Waits for work in a thread of its own, so that an idle worker is woken when there is some, and need not ask."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

from broker_sched import interrupts
from broker_sched.errors import UnknownMethod, Unreachable
from broker_sched.worker.wakeup_socket import WakeupSocket

log = logging.getLogger("bsched.worker")
WAIT_SECONDS = 5.0  # then it looks for itself: the one who was woken may have died
PAUSE_SECONDS = 1.0  # after an error
STOP_SECONDS = 5.0  # the thread is not waited for longer
REPEAT_SECONDS = 0.5  # until the scheduler is told again that the wait is over


class WorkWaiter:
    """Becomes readable (fileno) when the worker should ask for work.

    scheduler: with a stock luigid, which can't wake anybody, begin_waiting() says so, and the worker asks at intervals.
    """

    def __init__(self, scheduler: Any, worker_id: str, is_assistant: bool) -> None:
        self._scheduler = scheduler
        self._arguments = {"worker": worker_id, "assistant": is_assistant}
        self._can_wake = hasattr(scheduler, "await_work")
        self._wakeup_socket = WakeupSocket()
        self._begins, self._is_stopping = threading.Event(), threading.Event()
        self._is_waiting = False
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable when the worker should ask."""
        return self._wakeup_socket.fileno()

    @interrupts.whole
    def begin_waiting(self) -> bool:
        """Begin to wait for work, unless it does already. Returns False when nobody will wake this worker."""
        if self._can_wake and not self._is_waiting:
            self._is_waiting = True
            self._begins.set()
            if self._thread is None:
                # It gets what it is told by, which is replaced for the next one, maybe before it has begun to run.
                events = (self._begins, self._is_stopping)
                self._thread = threading.Thread(
                    target=self._wait_for_ever, args=events, name="work-waiter", daemon=True
                )
                interrupts.start_beside(self._thread)
        return self._can_wake

    def wake_worker(self) -> None:
        """Make the worker's loop look up. A signal handler may call it."""
        self._wakeup_socket.wake()

    def clear_wakeup(self) -> bool:
        """Note that the worker has looked up. Returns whether it was woken."""
        return self._wakeup_socket.clear()

    @interrupts.open_in_whole
    def end_waiting(self) -> None:
        """Tell the scheduler that the worker can take no more work, so that others are woken instead."""
        if self._is_waiting:
            with contextlib.suppress(Exception):  # the wait ends by itself soon
                self._scheduler.await_work(**self._arguments, seconds=0)

    def stop_thread(self, is_reachable: bool) -> None:
        """End the wait and the thread; begin_waiting() starts another one.

        is_reachable: whether the scheduler can be called.

        Then the thread is waited for, since the scheduler may be closed next; else it ends when its call fails.
        """
        self._is_stopping.set()
        self._begins.set()
        thread, self._thread = self._thread, None
        try:
            if thread is not None and is_reachable:
                self._await_thread(thread)
        finally:
            self._begins, self._is_stopping = threading.Event(), threading.Event()
            self._is_waiting = False

    def _await_thread(self, thread: threading.Thread) -> None:
        """Wait until the thread has ended, for STOP_SECONDS at the most.

        Its call may reach the scheduler only after the one that ends the wait, so that one is repeated; by another
        thread, as a scheduler that has just fallen silent may not answer for minutes.
        """
        until = time.monotonic() + STOP_SECONDS
        while thread.is_alive() and (left := until - time.monotonic()) > 0:  # one yet to begin finds that it must not
            word = threading.Thread(target=self.end_waiting, name="end of wait", daemon=True)
            interrupts.start_beside(word)
            word.join(left)
            thread.join(REPEAT_SECONDS)

    def _wait_for_ever(self, begins: threading.Event, is_stopping: threading.Event) -> None:
        while True:
            begins.wait()
            begins.clear()
            if is_stopping.is_set():
                return
            try:
                while not is_stopping.is_set():
                    if self._scheduler.await_work(**self._arguments, seconds=WAIT_SECONDS)["ready"]:
                        break
            except UnknownMethod:
                self._can_wake = False
            except Exception as error:  # the worker's next question shows whether it lasts
                log.debug("Waiting for work failed: %s", error)
                is_stopping.wait(PAUSE_SECONDS if isinstance(error, Unreachable) else WAIT_SECONDS)
            if is_stopping.is_set():  # what is kept here may belong to another thread by now
                return
            self._is_waiting = False
            self.wake_worker()

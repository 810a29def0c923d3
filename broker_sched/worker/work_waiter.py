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
    """Says by becoming readable (fileno) that the worker should ask for work now.

    scheduler: with a stock luigid, which can't wake anybody, arm() says so, and the worker asks at intervals.
    """

    def __init__(self, scheduler: Any, worker_id: str, is_assistant: bool) -> None:
        self._scheduler = scheduler
        self._arguments = {"worker": worker_id, "assistant": is_assistant}
        self._can_wake = hasattr(scheduler, "await_work")
        self._wakeup_socket = WakeupSocket()
        self._armed, self._is_stopping = threading.Event(), threading.Event()
        self._is_waiting = False
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """Readable when the worker should ask."""
        return self._wakeup_socket.fileno()

    @interrupts.whole
    def arm(self) -> bool:
        """Begin to wait, unless it does already. False: nobody will wake this worker."""
        if self._can_wake and not self._is_waiting:
            self._is_waiting = True
            self._armed.set()
            if self._thread is None:
                # It gets what it is told by, which is replaced for the next one, maybe before it has begun to run.
                events = (self._armed, self._is_stopping)
                self._thread = threading.Thread(
                    target=self._wait_for_ever, args=events, name="work-waiter", daemon=True
                )
                interrupts.start_beside(self._thread)
        return self._can_wake

    def nudge(self) -> None:
        """Make the worker look up. May be called by a signal handler."""
        self._wakeup_socket.ring()

    def clear(self) -> bool:
        """The worker has looked up. Returns whether there was a reason."""
        return self._wakeup_socket.clear()

    @interrupts.open_in_whole
    def disarm(self) -> None:
        """The worker can take no more work: others shall be woken instead."""
        if self._is_waiting:
            with contextlib.suppress(Exception):  # the wait ends by itself soon
                self._scheduler.await_work(**self._arguments, seconds=0)

    def stop(self, is_reachable: bool) -> None:
        """End the wait and the thread; arm() begins anew. is_reachable: whether the scheduler can be told.

        Then the thread is waited for, since the scheduler may be closed next; else it ends when its call fails.
        """
        self._is_stopping.set()
        self._armed.set()
        thread, self._thread = self._thread, None
        try:
            if thread is not None and is_reachable:
                self._see_off(thread)
        finally:
            self._armed, self._is_stopping = threading.Event(), threading.Event()
            self._is_waiting = False

    def _see_off(self, thread: threading.Thread) -> None:
        """Wait until the thread has ended. Its wait may reach the scheduler only after the word that it is over, so
        that is repeated; by another thread, as a scheduler that has just fallen silent may not answer for minutes."""
        until = time.monotonic() + STOP_SECONDS
        while thread.is_alive() and (left := until - time.monotonic()) > 0:  # one yet to begin finds that it must not
            word = threading.Thread(target=self.disarm, name="waker's end", daemon=True)
            interrupts.start_beside(word)
            word.join(left)
            thread.join(REPEAT_SECONDS)

    def _wait_for_ever(self, armed: threading.Event, is_stopping: threading.Event) -> None:
        while True:
            armed.wait()
            armed.clear()
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
            self.nudge()

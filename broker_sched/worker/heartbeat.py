"""Tells the scheduler that the worker lives, whatever the worker is busy with.

A thread of its own that shares no lock with the worker: neither a long task nor the start of one delays it, and it
delays neither. Only messages for the worker are passed on, by one call.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from broker_sched import interrupts
from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.errors import LoginRefused, NameTaken
from broker_sched.worker.config import WorkerConfig

log = logging.getLogger("bsched.worker")
STOP_SECONDS = 5.0  # a ping in flight is not waited for longer
SHORT_SECONDS = 2.0  # a ping that takes longer may not be answered at all
MEMORY_SECONDS = 10.0  # between two reports of how much memory the tasks take
LONG_SECONDS = 8.0  # without an answer, two intervals aside: the scheduler may drop a worker that it does not hear


class Heartbeat:
    """Pings the scheduler every ping_interval seconds, from start_pinging() to stop_pinging(), in a thread of its own.

    on_message: called with each message {"name", "kwargs"} of a reply. on_return: called after a long silence, and
    while the scheduler refuses the login or says that another worker has this one's name. memory: returns task id →
    bytes of what runs here, which is told every 10 s, unless it is empty. start_id, has_name: those of
    the WorkerStart.
    """

    def __init__(
        self,
        scheduler: SchedulerAPI,
        worker_id: str,
        config: WorkerConfig,
        on_message: Callable[[dict[str, Any]], None],
        on_return: Callable[[], None],
        memory: Callable[[], dict[str, int]],
        start_id: str,
        has_name: Callable[[], bool] = lambda: True,
    ) -> None:
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._interval_seconds = config.ping_interval
        self._on_message = on_message
        self._on_return = on_return
        self._memory = memory
        self._next_memory = 0.0
        self._start_id = start_id
        self._has_name = has_name
        self._names_taken: list[NameTaken] = []  # in a row; a single one may be older than the name
        self._is_stopping = False
        self._ping_soon = threading.Event()  # do not wait for the next turn
        self.is_answered = True
        self._last_answer = time.time()  # not monotonic: that may stand still while the machine sleeps
        self._was_silent = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start_pinging(self) -> None:
        """Start the thread that pings the scheduler."""
        interrupts.start_beside(self._thread)

    def stop_pinging(self) -> None:
        """End the thread, and wait for it for STOP_SECONDS; a ping in flight may still arrive."""
        self._is_stopping = True
        self._ping_soon.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    def ping_now(self) -> None:
        """Have the scheduler pinged without waiting for the next turn: there may be a message."""
        self._ping_soon.set()

    def is_heard(self) -> bool:
        """Return whether the scheduler has answered just now, so that the next call is likely to be answered, too."""
        return self.is_answered and time.time() - self._last_answer < SHORT_SECONDS + self._interval_seconds

    def check_name(self) -> None:
        """Raise NameTaken when another worker has this one's name by now; else do nothing."""
        if len(self._names_taken) > 1:
            raise self._names_taken[-1]

    def was_silent(self) -> bool:
        """Return whether the scheduler and this worker have not heard of each other for long, since the last
        note_answer()."""
        return self._was_silent or time.time() - self._last_answer > LONG_SECONDS + 2 * self._interval_seconds

    def note_answer(self) -> None:
        """Note that the scheduler has answered another call just now."""
        self._last_answer, self._was_silent = time.time(), False

    def _beat(self) -> None:
        while True:
            self._ping_soon.wait(self._interval_seconds)
            self._ping_soon.clear()
            if self._is_stopping:
                return
            try:
                reply = self._scheduler.ping(worker=self._worker_id, start_id=self._start_id)
                self._names_taken = []
            except NameTaken as error:
                if self._has_name():  # else a former worker's end is still waited for
                    self._names_taken.append(error)
                self._on_return()
                continue
            except Exception as error:  # the next ping may succeed, whatever it was
                if self.is_answered:
                    log.warning("The scheduler does not answer the heartbeat: %s. Trying on.", str(error).rstrip("."))
                self.is_answered = False
                if isinstance(error, LoginRefused):  # the worker shall find out now, and not when it asks next
                    self._on_return()
                continue
            if not self.is_answered:
                log.info("The scheduler answers the heartbeat again.")
            self.is_answered = True
            self._was_silent = self.was_silent()
            self._last_answer = time.time()
            if self._was_silent:
                self._on_return()
            self._tell_memory()
            for message in (reply or {}).get("rpc_messages", ()):
                self._pass_on(dict(message))

    def _tell_memory(self) -> None:
        if time.monotonic() < self._next_memory or not (memory := self._memory()):
            return
        self._next_memory = time.monotonic() + MEMORY_SECONDS
        try:
            self._scheduler.add_worker(self._worker_id, {"task_memory": memory}, start_id=self._start_id)
        except Exception as error:  # nobody waits for it, and the next ping finds out what is wrong
            log.debug("The memory of the tasks could not be told: %s", error)

    def _pass_on(self, message: dict[str, Any]) -> None:
        try:
            self._on_message(message)
        except Exception:
            log.exception("The message %s could not be carried out.", message.get("name"))

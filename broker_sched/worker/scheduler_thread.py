"""Makes the calls of a worker's loop in a thread of its own, so that no answer keeps the loop from its runs."""

from __future__ import annotations

import contextvars
import functools
import queue
import threading
from collections.abc import Callable
from typing import Any

from broker_sched import interrupts
from broker_sched.errors import Unreachable
from broker_sched.worker.wakeup_socket import WakeupSocket

GRACE_SECONDS = 0.4  # a call that is not worth waiting for any more is waited for so long


class SchedulerThread:
    """Carries out calls one after the other, while whoever makes them watches over something else.

    watch: passes time usefully until the socket that it is given is readable, a fraction of a second at the most.
    is_pointless: whether a call of this method is not worth waiting for any more.
    """

    def __init__(self, watch: Callable[[WakeupSocket], None], is_pointless: Callable[[str], bool]) -> None:
        self._watch = watch
        self._is_pointless = is_pointless
        self._wakeup_socket = WakeupSocket()
        self._calls: queue.SimpleQueue[_Call | None] | None = None
        self._owner: int | None = None  # the thread whose calls are made elsewhere

    def start_watching(self) -> None:
        """Let the calls of this thread be made by another one from now on, until stop_watching()."""
        self._owner = threading.get_ident()

    def stop_watching(self) -> None:
        """End the other thread; a call that it still makes ends by itself."""
        self._owner = None
        self._leave_thread()

    def begin(self, method: str, function: Callable[[], Any]) -> Callable[[], Any]:
        """Have a function called, and return one that waits until it has been, and returns or raises what that did.

        method: which one of the scheduler the function calls. Elsewhere than in the thread that watches, the function
        is called only when it is waited for.

        What is returned raises Unreachable when the call is not worth waiting for any more, and was not answered within
        GRACE_SECONDS.
        """
        if threading.get_ident() != self._owner:
            return function
        call = _Call(function, self._wakeup_socket)
        self._thread_calls().put(call)
        return functools.partial(self._await, method, call)

    def _await(self, method: str, call: _Call) -> Any:
        try:
            while not call.is_over.is_set():
                self._wakeup_socket.clear()
                if call.is_over.is_set():
                    break
                if self._is_pointless(method) and not call.is_over.wait(GRACE_SECONDS):
                    raise Unreachable(f"The scheduler has not answered {method} yet, and the worker waits no longer.")
                self._watch(self._wakeup_socket)
        except BaseException:
            self._end_call(call)
            raise
        if call.error is not None:
            raise call.error
        return call.reply

    @interrupts.whole
    def _end_call(self, call: _Call) -> None:
        """Let a call that is under way end, if that is soon: what comes next shall not overtake it."""
        if not call.is_over.wait(GRACE_SECONDS):
            self._leave_thread()

    def _thread_calls(self) -> queue.SimpleQueue[_Call | None]:
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            thread = threading.Thread(target=_carry_out_all, args=(self._calls,), name="scheduler", daemon=True)
            interrupts.start_beside(thread)
        return self._calls

    def _leave_thread(self) -> None:
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.put(None)


class _Call:
    """A call, and what came of it."""

    def __init__(self, function: Callable[[], Any], wakeup_socket: WakeupSocket) -> None:
        self._function = function
        self._context = contextvars.copy_context()
        self._wakeup_socket = wakeup_socket
        self.is_over = threading.Event()
        self.reply: Any = None
        self.error: BaseException | None = None

    def carry_out(self) -> None:
        try:
            self.reply = self._context.run(self._function)
        except BaseException as error:  # it is raised where the call was made
            self.error = error
        self.is_over.set()
        self._wakeup_socket.wake()


def _carry_out_all(calls: queue.SimpleQueue[_Call | None]) -> None:
    while (call := calls.get()) is not None:
        call.carry_out()

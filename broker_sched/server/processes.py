"""Several processes on one listening socket, and the one that looks after them.

The kernel gives each new connection to one of them. They share nothing but the socket: their state is in Redis. One
that dies takes the requests with it that it was answering, which clients repeat; another is started in its place.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple, NoReturn

from broker_sched.errors import BrokerSchedError, ConfigurationError

log = logging.getLogger("bsched.server")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SHORT_LIFE_SECONDS = 5.0  # one that has lived no longer is replaced after a pause
PAUSE_SECONDS = 1.0
STARTED = b"started"


class _Child(NamedTuple):
    """What the parent knows of a process that it has forked."""

    since: float  # monotonic
    told: int  # a pipe in which it says that it has started, or why it has not


class Processes:
    """Forks processes, replaces those that die, and ends them.

    run: what each does. It is given a function to call once it serves, and a file descriptor: when that is at its end,
        it shall end, since its parent does, or is gone. A signal that is sent to all of them at once, as by a terminal
        or by systemd, so is no second one for them.
    reload: called at SIGHUP, which the processes get only where it is true; None: SIGHUP is left alone.
    """

    def __init__(
        self, run: Callable[[Callable[[], None], int], None], reload: Callable[[], bool] | None = None
    ) -> None:
        self._run = run
        self._reload = reload
        self._children: dict[int, _Child] = {}
        self._is_ending = False
        self._alive, self._alive_end = os.pipe()  # the end is open in this process alone

    def serve(self, count: int, on_started: Callable[[], None]) -> None:
        """Run so many until a signal comes, and return when all have ended. on_started: called when all serve.

        The second signal ends them at once. Raises ConfigurationError with what keeps one of them from starting.
        """
        former: dict[int, Any] = {number: signal.signal(number, self._take) for number in SIGNALS}
        if self._reload is not None:
            former[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._take_reload)
        try:
            for _ in range(count):
                self._start()
            for pid in list(self._children):
                if (why := self._why_not_started(pid)) is not None:
                    raise ConfigurationError(why)
            if not self._is_ending:
                on_started()
            while self._children:
                self._look_after(*os.wait())
        finally:
            for pid in self._children:
                os.kill(pid, signal.SIGKILL)
            for number, handler in former.items():
                signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first ends the processes in good order, the second at once."""
        if self._is_ending:
            for pid in self._children:
                os.kill(pid, signal.SIGKILL)
        else:
            self._is_ending = True
            os.close(self._alive_end)

    def _take_reload(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGHUP: what is wrong is found out here, and told once."""
        if not self._is_ending and self._reload is not None and self._reload():
            for pid in self._children:
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGHUP)

    def _start(self) -> None:
        told, tell = os.pipe()
        kept = SIGNALS if self._reload is None else (*SIGNALS, signal.SIGHUP)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, kept)  # one that comes now is taken below, by both
        try:
            pid = -1 if self._is_ending else os.fork()
            if pid == 0:
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_DFL)
                if self._reload is not None:  # one that comes before it can be handled waits
                    blocked.add(signal.SIGHUP)
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
                os.close(self._alive_end)
                self._be_a_child(tell)
            if pid > 0:
                self._children[pid] = _Child(time.monotonic(), told)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.close(tell)

    def _be_a_child(self, tell: int) -> NoReturn:
        """Do all that a forked process does, and end it: nothing of its parent's may be tidied up in it."""
        code = 1
        try:
            self._run(lambda: _say(tell, STARTED), self._alive)
            code = 0
        except BrokerSchedError as error:
            _say(tell, str(error).encode())
        except SystemExit:
            code = 0  # a signal, before there was anything to finish
        except BaseException as error:
            log.exception("A server process failed")
            _say(tell, f"{type(error).__name__}: {error}".encode())
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _why_not_started(self, pid: int) -> str | None:
        """Wait until a process has started: None; or until it has ended: return what it said about that."""
        said = b""
        while said != STARTED and (part := os.read(self._children[pid].told, 65536)):
            said += part
        return None if said == STARTED or self._is_ending else said.decode() or "A server process ended at its start."

    def _look_after(self, pid: int, status: int) -> None:
        """Replace a process that has ended, unless all shall end."""
        child = self._children.pop(pid)
        why = self._said_last(child)
        os.close(child.told)
        if self._is_ending:
            return
        how = f"was ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "has ended"
        log.warning("Server process %d %s; another takes its place. %s", pid, how, why)
        if time.monotonic() - child.since < SHORT_LIFE_SECONDS:
            time.sleep(PAUSE_SECONDS)
        self._start()

    def _said_last(self, child: _Child) -> str:
        os.set_blocking(child.told, False)
        with contextlib.suppress(BlockingIOError):
            return os.read(child.told, 65536).decode().removeprefix(STARTED.decode())
        return ""


def _say(tell: int, what: bytes) -> None:
    with contextlib.suppress(OSError):  # the parent may be gone
        os.write(tell, what)

"""Ctrl-C, SIGTERM and SIGHUP end a command in one way: what it runs is ended and given back, and it says so."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import FrameType
from typing import NoReturn

import click

from broker_sched import interrupts
from bsched.terminal import echo

ENDING = tuple(number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)))
HANGUP = getattr(signal, "SIGHUP", None)
Handler = Callable[[int, FrameType | None], None]
KILLED = 128  # and the signal's number: exit codes as a shell gives them
AGAIN_SECONDS = 0.005  # after which a signal is sent again that came in the midst of a fork

_taken: dict[int, Handler] = {}  # the handlers that the commands of this process have set
_forks: list[None] = []  # one for each fork that is under way
_mask_before_fork = threading.local()  # of the thread that forks


class Interruption:
    """What to do at a signal that ends a command now: a worker terminates its task processes; at the next, kills them.

    Ctrl-C reaches the whole process group. Processes forked from this one pass over it, since this one ends them.
    """

    def __init__(self) -> None:
        self.kills = False  # whether to kill all processes at once
        self._number = int(signal.SIGINT)
        self._pid = os.getpid()

    def take(self, numbers: Iterable[int] = ENDING, handler: Handler | None = None) -> None:
        """Handle these signals from now on, by the handler or by handle(). SIGHUP stays ignored where nohup has it so.

        In a fork, SIGTERM and SIGHUP do what they always do.
        """
        if threading.current_thread() is not threading.main_thread():  # which alone may see to signals
            return
        for number in numbers:
            if number != HANGUP or signal.getsignal(number) is not signal.SIG_IGN:
                _taken[number] = handler or self.handle
                signal.signal(number, _taken[number])

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal handler. Raises KeyboardInterrupt, or has the worker do it where that is safe."""
        if os.getpid() != self._pid:  # Ctrl-C is for the process that began this one
            return
        if _forks:  # what a fork calls is there, where KeyboardInterrupt would be printed and forgotten
            again = (threading.main_thread().ident, number)  # another thread would not wake this one
            interrupts.start_beside(threading.Timer(AGAIN_SECONDS, signal.pthread_kill, again))
            return
        self._number = number
        _let_go_of_lost_terminal()
        if self.kills:
            for process in multiprocessing.active_children():
                process.kill()
        if not interrupts.hold():
            raise KeyboardInterrupt

    def leave(self, told: str = "") -> NoReturn:
        """Say what that means, if anything; end with 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM."""
        _let_go_of_lost_terminal()
        with contextlib.suppress(OSError):  # nobody reads stderr any more
            if told:
                echo(told, err=True)
        raise click.exceptions.Exit(KILLED + self._number)


def _hold_back() -> None:
    """Before a fork: keep what comes until _give_back() has put the handlers away.

    A task ends its own processes by SIGTERM, as multiprocessing.Pool does, maybe as soon as they are there. A handler
    that is still the parent's would swallow the signal, and whoever waits for that process would wait for ever.
    """
    _mask_before_fork.value = signal.pthread_sigmask(signal.SIG_BLOCK, [each for each in ENDING if each in _taken])


def _let_through() -> None:
    """After a fork: let signals come as they came before it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask_before_fork.value)


def _give_back() -> None:
    """In a fork: let SIGTERM and SIGHUP do what they always do, at once. One that hangs runs no handler of Python's."""
    for number, handler in _taken.items():
        if number != signal.SIGINT and signal.getsignal(number) == handler:
            signal.signal(number, signal.SIG_DFL)
    _let_through()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_give_back)
    # Around these, so registered after them. No function of Python's: a signal's handler may run as soon as one begins.
    os.register_at_fork(before=partial(_forks.append, None), after_in_parent=_forks.pop, after_in_child=_forks.clear)


@contextlib.contextmanager
def ending_tidily(told: str = "") -> Iterator[None]:
    """Let a signal that ends the command be Ctrl-C within the block, which so tidies up; what it means is said then."""
    interruption = Interruption()
    interruption.take()
    try:
        yield
    except KeyboardInterrupt:
        interruption.leave(told)


def _let_go_of_lost_terminal() -> None:
    """When it was closed, whatever is written there fails. It is still the device that it was, but no terminal."""
    for number in (0, 1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, number)
                os.close(nowhere)

"""Ctrl-C, SIGTERM and SIGHUP end a command in one way: what it runs is ended and given back, and it says so."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import stat
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import NoReturn

import click

from broker_sched import interrupts
from bsched.terminal import echo

ENDING = tuple(number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)))
KILLED = 128  # and the signal's number: exit codes as a shell gives them


class Interruption:
    """What to do at a signal that ends a command now: a worker terminates its task processes; at the next, kills them.

    Ctrl-C reaches the whole process group. Processes forked from this one pass over it, since this one ends them.
    """

    def __init__(self) -> None:
        self.kills = False  # whether to kill all processes at once
        self._number = int(signal.SIGINT)
        self._pid = os.getpid()

    def take(self, numbers: Iterable[int] = ENDING) -> None:
        """Handle these signals from now on. SIGHUP stays ignored where nohup has it so."""
        if threading.current_thread() is not threading.main_thread():  # which alone may see to signals
            return
        for number in numbers:
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.handle)
        os.register_at_fork(after_in_child=self._give_back)

    def _give_back(self) -> None:
        """Let, in a fork, the other signals do what they always do, at once.

        A task ends its own processes by SIGTERM, and one that hangs runs no handler of Python's.
        """
        for number in ENDING:
            if number != signal.SIGINT and signal.getsignal(number) == self.handle:
                signal.signal(number, signal.SIG_DFL)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal handler. Raises KeyboardInterrupt, or has the worker do it where that is safe."""
        if os.getpid() != self._pid:  # Ctrl-C is for the process that began this one
            return
        self._number = number
        _let_go_of_lost_terminal()
        if self.kills:
            for process in multiprocessing.active_children():
                process.kill()
        if not interrupts.hold(frame):
            raise KeyboardInterrupt

    def leave(self, told: str = "") -> NoReturn:
        """Say what that means, if anything; end with 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM."""
        _let_go_of_lost_terminal()
        with contextlib.suppress(OSError):  # nobody reads stderr any more
            if told:
                echo(told, err=True)
        raise click.exceptions.Exit(KILLED + self._number)


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

"""Ctrl-C: raised at once, wherever the main thread is, except in steps that would be torn apart; these are ended first.

Raised between the fork of a process and the note that there is one, KeyboardInterrupt would leave a process that nobody
ends. Raised in what Lua calls in Python (a scheduler in memory), the script might catch it. So some functions are whole
steps: while the main thread is in one, which is counted, the interruption is kept, and raised by the next raise_due().
What a whole step calls that may take long is open again. One that is raised in a finalizer, where Python prints and
forgets it, is kept, too.

All is of this process, since signals are: nested workers know of each other's steps.
"""

from __future__ import annotations

import contextlib
import functools
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

BOUNCE_SECONDS = 0.05  # a key that bounces, or a launcher that passes on what the terminal has sent already: one Ctrl-C
_FAULTS = {getattr(signal, f"SIG{name}", None) for name in ("SEGV", "BUS", "FPE", "ILL", "ABRT", "TRAP", "SYS")}
_BLOCKED = signal.valid_signals() - _FAULTS  # what a thread beside the main one is not given


class _State:
    """What is kept from a signal until the end of the function that must not be torn apart."""

    is_due = False
    depth = 0  # of the whole steps that the main thread is in
    raised_at = -math.inf
    hurries: tuple[Callable[[], object], ...] = ()
    witnesses: tuple[Callable[[], object], ...] = ()
    hook_before: Callable[[Any], object]


class _Depth:
    """A context in which the main thread is in so many whole steps more. Other threads get no signals anyway."""

    def __init__(self, more: int) -> None:
        self._more = more if threading.current_thread() is threading.main_thread() else 0

    def __enter__(self) -> None:
        _State.depth += self._more

    def __exit__(self, *exception: object) -> None:
        _State.depth -= self._more


def whole(function: F) -> F:
    """Makes a function a step that is ended before an interruption is raised. It should be short."""

    @functools.wraps(function)
    def step(*arguments: Any, **named: Any) -> Any:
        with _Depth(1):
            return function(*arguments, **named)

    return cast(F, step)


def open_in_whole(function: F) -> F:
    """Makes a function one that may be interrupted at once, though a whole step calls it."""

    @functools.wraps(function)
    def opened(*arguments: Any, **named: Any) -> Any:
        with _Depth(-_State.depth):
            return function(*arguments, **named)

    return cast(F, opened)


def hold() -> bool:
    """Decide, in a handler of SIGINT, whether KeyboardInterrupt must wait. False: raise it now.

    True: it is the same Ctrl-C again, or it is kept until the whole step has ended; one that waits for processes kills
    them.
    """
    now = time.monotonic()
    if now < _State.raised_at + BOUNCE_SECONDS:
        return True
    for witness in _State.witnesses:
        witness()
    if _State.depth == 0:
        _State.raised_at = now
        if sys.unraisablehook is not _keep_lost:
            _State.hook_before, sys.unraisablehook = sys.unraisablehook, _keep_lost
        return False
    _State.is_due = True
    for hurry in _State.hurries:
        hurry()
    return True


def raise_due() -> None:
    """Raise the KeyboardInterrupt that was kept, if there is one, and this is the main thread."""
    if _State.is_due and threading.current_thread() is threading.main_thread():
        _State.is_due, _State.raised_at = False, time.monotonic()
        raise KeyboardInterrupt


def expect_another() -> None:
    """Whoever was interrupted goes on: the next Ctrl-C is another one."""
    _State.raised_at = -math.inf


@contextlib.contextmanager
def hurried_by(hurry: Callable[[], object]) -> Iterator[None]:
    """Around a wait in a whole step: an interruption, or one that is kept already, calls this: it should end soon."""
    before = _State.hurries
    _State.hurries = (*before, hurry)
    try:
        if _State.is_due:
            hurry()
        yield
    finally:
        _State.hurries = before


@contextlib.contextmanager
def witnessed_by(witness: Callable[[], object]) -> Iterator[None]:
    """Around what may be interrupted: this is called at the signal, before anything is undone because of it."""
    before = _State.witnesses
    _State.witnesses = (*before, witness)
    try:
        yield
    finally:
        _State.witnesses = before


def start_beside(thread: threading.Thread) -> None:
    """Start a thread that is given no signals. One that it took would not wake the main thread, which has to act."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        thread.start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def handle(number: int, frame: FrameType | None) -> None:
    """The handler that a worker puts in the place of Python's own."""
    if not hold():
        signal.default_int_handler(number, frame)


def _keep_lost(lost: Any) -> None:
    """Keep an interruption that was raised where Python can't pass it on: in a finalizer, or what a fork calls."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _State.is_due = True
    else:
        _State.hook_before(lost)

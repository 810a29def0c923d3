"""Ctrl-C: raised at once, wherever the main thread is, except in steps that would be torn apart; these are ended first.

Raised between the fork of a process and the note that there is one, KeyboardInterrupt would leave a process that nobody
ends. Raised in a finalizer, it would be printed and forgotten; in what Lua calls in Python (a scheduler in memory), the
script might catch it. So some functions are marked as whole, as these are: while one is on the main thread's stack, the
interruption is kept, and raised by the next raise_due(). What a whole step calls that may take long is marked as open.

All is of this process, since signals are: nested workers know of each other's steps.
"""

from __future__ import annotations

import _weakrefset
import contextlib
import inspect
import math
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

BOUNCE_SECONDS = 0.05  # a key that bounces, or a launcher that passes on what the terminal has sent already: one Ctrl-C
_FAULTS = {getattr(signal, f"SIG{name}", None) for name in ("SEGV", "BUS", "FPE", "ILL", "ABRT", "TRAP", "SYS")}
# Those that a thread beside the main one is not given. Without enums, of which there would be 64 for each call.
_BLOCKED = frozenset(map(int, signal.valid_signals() - _FAULTS))
_WEAK = {_weakrefset.__file__, weakref.__file__}
_whole: set[CodeType] = set()
_open: set[CodeType] = set()


class _State:
    """What is kept from a signal until the end of the function that must not be torn apart."""

    is_due = False
    raised_at = -math.inf
    hurries: tuple[Callable[[], object], ...] = ()
    witnesses: tuple[Callable[[], object], ...] = ()


def whole(function: F) -> F:
    """Marks a function as a step that is ended before an interruption is raised. It should be short."""
    _whole.add(function.__code__)
    return function


def open_in_whole(function: F) -> F:
    """Marks a function that may be interrupted at once, though a whole step calls it."""
    _open.add(function.__code__)
    return function


def hold(frame: FrameType | None) -> bool:
    """Decide, in a handler of SIGINT, which gets the frame, whether KeyboardInterrupt must wait. False: raise it now.

    True: it is the same Ctrl-C again, or it is kept until a function marked by whole() has ended; one that waits for
    processes kills them.
    """
    now = time.monotonic()
    if now < _State.raised_at + BOUNCE_SECONDS:
        return True
    for witness in _State.witnesses:
        witness()
    if not _is_in_whole_step(frame):
        _State.raised_at = now
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
    set_mask = inspect.unwrap(signal.pthread_sigmask)
    before = set_mask(signal.SIG_BLOCK, _BLOCKED)
    try:
        thread.start()
    finally:
        set_mask(signal.SIG_SETMASK, before)


def handle(number: int, frame: FrameType | None) -> None:
    """The handler that a worker puts in the place of Python's own."""
    if not hold(frame):
        signal.default_int_handler(number, frame)


def _is_in_whole_step(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code in _open:
            return False
        if frame.f_code in _whole or _is_finalizer(frame.f_code):
            return True
        frame = frame.f_back
    return False


def _is_finalizer(code: CodeType) -> bool:
    """Whether what it raises is lost: __del__, or what the standard library's weak collections call when one dies."""
    return code.co_name == "__del__" or code.co_filename in _WEAK

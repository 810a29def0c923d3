"""What a task can change of its process besides its memory: noted before a run, put back after it where possible."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

_handler_of = import_module("_signal").getsignal  # signal's looks for an enum's member, which takes 20 times as long
# Not those whose handlers Python never tells, or that can't be handled.
HANDLED = sorted(set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP})
LIMITS = tuple(sorted(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")))
TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
MOST_FILES = 32  # more open ones than at the start, and a process is left
MOST_GROWTH = 256 << 20  # bytes; a process that has grown by so much since its start is left
GROWTH_SECONDS = 0.005  # no task grows by so much in less, and to ask takes 0.02 ms


class Surroundings:
    """How a process is at the moment of its making, and how to make it so again.

    It is made once, and looked at after each task; so to look has to cost little.
    """

    def __init__(self) -> None:
        self._started_with = resident_bytes_of_self()
        self._lowest_number = _lowest_free_number()
        self._folder = _folder()
        self._variables = dict(os.environ)
        self._raw_variables = _raw_variables()
        self._handlers = [_handler_of(each) for each in HANDLED]
        self._import_path = list(sys.path)
        self.note_streams()
        self._socket_timeout = socket.getdefaulttimeout()
        self._recursion_limit = sys.getrecursionlimit()
        self._umask = _umask()
        self._rights = _rights()
        self._threads = set(threading.enumerate())
        self._is_as_it_was = True
        self._unmeasured = 0.0  # seconds that tasks have run since memory was looked at

    def note_streams(self) -> None:
        """Take the standard streams for those that belong here: a run's output goes elsewhere each time."""
        self._streams = (sys.stdin, sys.stdout, sys.stderr)

    def put_back(self) -> list[str]:
        """Put back what has changed, as far as it can be. Returns what that was, in words."""
        changed: list[str] = []
        found = self._changes()
        for what, put in found:
            with contextlib.suppress(OSError, ValueError, TypeError):
                put()
                changed.append(what)
        self._is_as_it_was = not found or not self._changes()
        return changed

    def why_to_leave(self, seconds: float) -> str | None:
        """Return why no other task should run in this process; None when another one may. put_back() comes before.

        seconds: how long the task has run.
        """
        left = [each.name for each in threading.enumerate() if each not in self._threads]
        if left:
            return f"it left {len(left)} thread{'s' * (len(left) > 1)} behind ({', '.join(left[:3])})"
        if _has_children():
            return "it left programs behind that still run"
        if self._rights != _rights():
            return "it changed limits, priority or user of its process"
        if not self._is_as_it_was:
            return "what it changed of its process can't be put back"
        if _lowest_free_number() > self._lowest_number + MOST_FILES:
            return f"more than {MOST_FILES} files were left open in its process"
        self._unmeasured += seconds
        if self._unmeasured < GROWTH_SECONDS:
            return None
        self._unmeasured = 0.0
        if _highest_resident_bytes() - self._started_with <= MOST_GROWTH:
            return None
        grown = resident_bytes_of_self() - self._started_with
        if grown > MOST_GROWTH:
            return f"its process has grown by {grown >> 20} MiB"
        return None

    def _changes(self) -> list[tuple[str, Callable[[], object]]]:
        found: list[tuple[str, Callable[[], object]]] = []
        if self._folder != _folder():
            found.append(("the working directory", lambda: os.chdir(self._folder or "")))
        if self._raw_variables != _raw_variables():
            found.append(("environment variables", self._put_variables_back))
        if self._handlers != [_handler_of(each) for each in HANDLED]:
            found.append(("signal handlers", self._put_handlers_back))
        if any(signal.getitimer(each)[0] for each in TIMERS):
            found.append(("a timer", lambda: [signal.setitimer(each, 0) for each in TIMERS]))
        if self._import_path != sys.path:
            found.append(("sys.path", self._put_import_path_back))
        if self._streams != (sys.stdin, sys.stdout, sys.stderr):
            found.append(("sys.stdin, sys.stdout or sys.stderr", self._put_streams_back))
        if self._socket_timeout != socket.getdefaulttimeout():
            found.append(("the timeout of sockets", lambda: socket.setdefaulttimeout(self._socket_timeout)))
        if self._recursion_limit != sys.getrecursionlimit():
            found.append(("the limit of recursion", lambda: sys.setrecursionlimit(self._recursion_limit)))
        if self._umask != _umask():
            found.append(("the umask", lambda: os.umask(self._umask)))
        return found

    def _put_variables_back(self) -> None:
        for name in set(os.environ) - set(self._variables):
            del os.environ[name]
        for name, value in self._variables.items():
            if os.environ.get(name) != value:
                os.environ[name] = value

    def _put_handlers_back(self) -> None:
        for number, before in zip(HANDLED, self._handlers):
            if _handler_of(number) != before:
                signal.signal(number, before)

    def _put_import_path_back(self) -> None:
        sys.path[:] = self._import_path

    def _put_streams_back(self) -> None:
        sys.stdin, sys.stdout, sys.stderr = self._streams


def resident_bytes_of_self() -> int:
    """Return the resident bytes of this process; 0 where the system does not tell it cheaply."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _highest_resident_bytes() -> int:
    """Return how much this process has had at the most; one question to the system, where a file takes three."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _lowest_free_number() -> int:
    """Return the number that the next open file gets, which grows with each one that is left open."""
    try:
        ours, theirs = os.pipe()
    except OSError:  # there is no more: so many are open
        return 1 << 30
    os.close(ours)
    os.close(theirs)
    return ours


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _raw_variables() -> dict[Any, Any]:
    """The environment as os.environ holds it, which makes texts of all of it each time that it is looked at."""
    return dict(getattr(os.environ, "_data", os.environ))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _rights() -> tuple[Any, ...]:
    limits = tuple(resource.getrlimit(each) for each in LIMITS)
    return limits, os.getpriority(os.PRIO_PROCESS, 0), os.getresuid(), os.getresgid(), os.getgroups()


def _has_children() -> bool:
    """Whether a child is there that runs, or that nobody has waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True

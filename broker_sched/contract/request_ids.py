"""Names for calls, so that a repetition is known: `<caller>:<number>`, with `!` behind it when it was sent before.

The scheduler keeps the last answer of each caller for 15 minutes. A caller is a thread of a process, since a forked
child must not be taken for its parent. Its numbers rise: a copy of an earlier call, which a proxy or a server held
back, is refused when it arrives. After a loss it is a new caller: the lost call may be made again after others, and
must find its answer.
"""

from __future__ import annotations

import copy
import itertools
import os
import re
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

HEADER = "Bsched-Request-Id"
NAME_HEADER = "X-Request-Id"  # of the id under which logs tell of a request; it changes nothing
REPEATABLE_SECONDS = 600.0  # a call that is made again later is another one; answers are kept for longer
_NAME = re.compile(r"[A-Za-z0-9._:!+/=@-]{1,128}")
_FORM = re.compile(r"([A-Za-z0-9._-]{1,100}):([0-9]{1,18})(!?)")


class Request:
    """One call of a method. Each script in it that must not run twice gets an id of its own, always in this order."""

    def __init__(self, caller: str, number: str, is_repetition: bool = False) -> None:
        self.caller = caller
        self.number = number
        self.is_repetition = is_repetition
        self._scripts = 0

    def __str__(self) -> str:
        return f"{self.caller}:{self.number}{'!' if self.is_repetition else ''}"

    def next_id(self, script: str) -> str:
        """Return the id for the call's next script, which is another one each time."""
        part = f"/{self._scripts}" if self._scripts else ""
        self._scripts += 1
        return f"{self.caller}{part}:{self.number}.{script}{'!' if self.is_repetition else ''}"


def repeated(request_id: str) -> str:
    """A script's id when it is sent once more."""
    return request_id if request_id.endswith("!") else f"{request_id}!"


def parse(text: str) -> Request | None:
    """What a client sent; None when that is no such id."""
    found = _FORM.fullmatch(text)
    return Request(found[1], found[2], bool(found[3])) if found else None


def is_name(text: str) -> bool:
    """Return whether a request may be told of by this id: 1 to 128 letters, digits, and characters of `._:!+/=@-`."""
    return _NAME.fullmatch(text) is not None


class _Unanswered(NamedTuple):
    request: Request
    arguments: Mapping[str, Any]
    pid: int
    since: float


class RequestIds:
    """Names the calls of one client. One that was not answered, and is made again by its thread, is the same call."""

    def __init__(self) -> None:
        self.client = uuid.uuid4().hex[:16]
        self._numbers = itertools.count()
        self._losses = 0
        self._local = threading.local()

    def caller(self) -> str:
        """This thread, as it is called since the last loss."""
        return f"{self.client}.{os.getpid()}.{threading.get_ident()}.{self._losses}"

    def note_loss(self) -> None:
        """A reply did not come: callers have new names from now on."""
        self._losses += 1

    def new(self) -> Request:
        """Return the id of a call that is made for the first time."""
        return Request(self.caller(), str(next(self._numbers)))

    def begin(self, method: str, arguments: Mapping[str, Any]) -> Request:
        """Return the id of a call of this method: the one it had when it is a call of this thread's that was not
        answered."""
        before = self._unanswered().pop(method, None)
        is_same = before is not None and before.arguments == arguments and before.pid == os.getpid()
        if before is None or not is_same or time.monotonic() - before.since > REPEATABLE_SECONDS:
            return self.new()
        return Request(before.request.caller, before.request.number, is_repetition=True)

    def note_unanswered(self, method: str, arguments: Mapping[str, Any], request: Request) -> None:
        """All attempts of this call failed: whether it was carried out is not known."""
        self.note_loss()
        self._unanswered()[method] = _Unanswered(request, copy.deepcopy(arguments), os.getpid(), time.monotonic())

    def _unanswered(self) -> dict[str, _Unanswered]:
        """Return this thread's calls that were not answered, by method."""
        found: dict[str, _Unanswered] = self._local.__dict__.setdefault("unanswered", {})
        return found

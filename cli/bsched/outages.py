"""A question that is asked again and again while nobody answers, by commands that go on until they are stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from broker_sched.errors import Unreachable
from bsched.terminal import echo

T = TypeVar("T")
PAUSE_SECONDS = 2.0  # between two attempts
PATIENCE_SECONDS = 3600.0  # then it ends with an error


def ask_patiently(ask: Callable[[], T], told: str = "The scheduler is asked again") -> T:
    """Return what it returns, also after an outage of up to an hour; told: what is said of it, once, on stderr.

    Raises Unreachable after that hour.
    """
    deadline, is_told = time.monotonic() + PATIENCE_SECONDS, False
    while True:
        try:
            return ask()
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise
            if not is_told:
                echo(f"{told}: {error}", err=True)
            is_told = True
        time.sleep(PAUSE_SECONDS)

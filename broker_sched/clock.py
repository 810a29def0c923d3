"""The only place that decides what time it is for the scheduler.

Without an injected clock every script asks Redis (TIME), so that all processes
on all machines agree. With one (tests, simulations) the caller sends the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]  # float seconds since the epoch


def stamp(clock: Clock | None) -> str:
    """Return the time to send with a call: seconds with six decimals, or '' where Redis's own time holds."""
    return "" if clock is None else f"{clock():.6f}"

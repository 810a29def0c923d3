"""`make nightly` runs every test on every kind of Redis, and the random ones for much longer."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

NIGHTLY = os.environ.get("NIGHTLY") == "1"


def by_night(at_night: T, otherwise: T) -> T:
    """How much of something a test does: `range(by_night(10_000, 300))`."""
    return at_night if NIGHTLY else otherwise

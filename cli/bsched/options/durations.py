"""Lengths of time on the command line, such as 90d."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
FORM = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhdw])")
LONGEST_SECONDS = 100 * 365 * UNITS["d"]


def duration(least_seconds: float) -> Callable[[str | float], float]:
    """Return the type of an option that takes a length of time with its unit, and gives the command seconds."""

    def seconds_of(value: str | float) -> float:
        if isinstance(value, float):
            return value
        found = FORM.fullmatch(value)
        if found is None:
            raise click.BadParameter(f"{value} is no length of time: write 30m, 12h, 90d or 4w.")
        seconds = float(found[1]) * UNITS[found[2]]
        if not least_seconds <= seconds <= LONGEST_SECONDS:
            raise click.BadParameter(f"{value} is not within {least_seconds:g} s and 100 years.")
        return seconds

    return seconds_of

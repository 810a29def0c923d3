"""Numbers on the command line."""

from __future__ import annotations

import math
from typing import Any

import click


class FiniteNumber(click.FloatRange):
    """A number in a range, of which neither `nan`, which is in every range, nor `inf` is one."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the number. Raises click.BadParameter for what is none, or is out of the range."""
        found = super().convert(value, parameter, context)
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number.", parameter, context)
        return found

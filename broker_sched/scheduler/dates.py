"""The date that a task is for, where it has one: what the listing by family and date goes by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from broker_sched.redis_backend.encoding import to_bytes

# A day, or a month, and behind it nothing or a time of day. lua/lib/tasks/dates.lua knows the same.
_DATE = re.compile(r"([0-9]{4}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)(?:[T ].*)?", re.DOTALL)
_FIRST = "date"  # the parameter that goes before all others


def date_of(params: Mapping[str, Any] | None, visibilities: Mapping[str, int] | None) -> str:
    """Return the day (2024-03-01) or month (2024-03) that a task is for; "" where its public parameters name none.

    It stands in the parameter `date`, else in the first other one, by name, that begins with one. A time of day behind
    it is left out: 2024-03-01T05 is for the day.
    """
    found = ""
    named: bytes | None = None
    for name, value in (params or {}).items():
        # What can't be one is most of them, and passed over at little cost: every add_task comes here.
        if not isinstance(value, str) or value[4:5] != "-" or (visibilities or {}).get(name, 0):
            continue
        match = _DATE.fullmatch(value)
        if match is None:
            continue
        key = b"" if name == _FIRST else b"\1" + to_bytes(name)
        if named is None or key < named:
            found, named = match[1], key
    return found

"""Leaves out of a reply what a viewer is kept from, by the table of contract/visibility.py."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from broker_sched.contract.roles import OTHER_PATHS, PAGE_FILES, PUBLIC_PATHS
from broker_sched.contract.visibility import (
    KEYED_FIELDS,
    KEYED_REPLIES,
    KNOWN_FIELDS,
    LEVELS,
    NUMBERS_BY_NAME,
    PATHS_WITH_NAMES,
    SHOWN_WITH,
    TELLING_ARGUMENTS,
    Sees,
    least_of,
)
from broker_sched.scheduler.operations.why_sentences import tell
from broker_sched.server.responses import RequestRefused


def check_method(sees: Sees, method: str) -> None:
    """Raise RequestRefused (403) when a method has nothing for who sees so much."""
    if LEVELS.index(least_of(method)) > LEVELS.index(sees):
        raise _kept_back(sees, method)


def check_path(sees: Sees, path: str) -> None:
    """Raise RequestRefused: 403 when what is at this path names what is kept back, 404 for one that is in no table.

    The latter would be asked of Starlette's patterns, which also take a path with a line's end behind it.
    """
    if path not in PUBLIC_PATHS and path not in OTHER_PATHS and not path.startswith(PAGE_FILES):
        raise RequestRefused(404, "NotFound", "There is nothing here; the methods are at /api/<method>.")
    if sees == "counts" and path in PATHS_WITH_NAMES:
        raise _kept_back(sees, path)


def check_arguments(sees: Sees, method: str, arguments: Mapping[str, Any]) -> None:
    """Raise RequestRefused (403) for a filter by what is kept back: whoever guesses often enough would know it."""
    telling = TELLING_ARGUMENTS.get(method)
    if sees == "all" or telling is None:
        return
    for name in sorted(telling):
        if arguments.get(name):
            raise _kept_back(sees, f"the filter {name} of {method}")


def left_for(sees: Sees, method: str, reply: Any) -> Any:
    """Return the reply of a method without what is kept back: texts become '', objects {}, lists [], numbers null."""
    if sees == "all":
        return reply
    left = _left(reply, SHOWN_WITH[sees], KEYED_REPLIES.get(method, 0))
    if method == "why":
        tell(left, time.time())  # its sentences quote errors
    return left


def _left(value: Any, shown: frozenset[str], keyed_levels: int = 0, within: str = "") -> Any:
    if isinstance(value, list):
        return [_left(each, shown) for each in value]
    if not isinstance(value, dict):
        return value
    if keyed_levels:
        return {name: _left(each, shown, keyed_levels - 1) for name, each in value.items() if not _is_text(each)}
    left: dict[str, Any] = {}
    for name, each in value.items():
        full = f"{within}.{name}"
        known = full if full in KNOWN_FIELDS else name
        if known in shown:
            if isinstance(each, dict) and name in NUMBERS_BY_NAME:
                left[name] = {key: number for key, number in each.items() if isinstance(number, (int, float))}
            else:
                is_keyed = name in KEYED_FIELDS and isinstance(each, dict)
                left[name] = _left(each, shown, int(is_keyed), name)
        elif known in KNOWN_FIELDS:
            left[name] = _emptied(each)
    return left


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, list))


def _emptied(value: Any) -> Any:
    return type(value)() if isinstance(value, (str, list, dict)) else None


def _kept_back(sees: Sees, what: str) -> RequestRefused:
    return RequestRefused(
        403, "KeptBack", f"Viewers of this server see {sees}; {what} would show more. Ask its admin for another role."
    )

"""How far a reader of what changes has come, in all that it reads: comparable between all processes of a namespace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from broker_sched.scheduler.recent_changes import Place, id_at, place_of

Position: TypeAlias = tuple[Place, ...]  # the places in the streams, and the counters, each as (number, 0)
_TEXT = re.compile(rb"[0-9]{1,19}-[0-9]{1,19}(\.[0-9]{1,19}-[0-9]{1,19}){0,9}")


def position_of(entry_ids: Iterable[str], counters: Sequence[int]) -> Position:
    """Return the position of a reader that has read up to these entries, and these numbers."""
    return (*map(place_of, entry_ids), *((number, 0) for number in counters))


def position_text(position: Position) -> str:
    """Write a position as a page gives it back."""
    return ".".join(map(id_at, position))


def parse_position(text: bytes) -> Position | None:
    """Read a position; None for a text that is none."""
    if not _TEXT.fullmatch(text):
        return None
    return tuple(map(place_of, text.decode().split(".")))


def has_reached(position: Position, wanted: Position) -> bool:
    """Tell whether a reader at the first position has read all that one at the second has."""
    return len(position) == len(wanted) and all(mine >= other for mine, other in zip(position, wanted))

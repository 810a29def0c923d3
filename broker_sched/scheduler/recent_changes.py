"""The last changes of tasks' statuses that this process has read, for whoever wants to go on behind one of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from broker_sched.scheduler.stream_pages import Entry

Place: TypeAlias = tuple[int, int]  # of an entry in the stream `events`: its id as numbers, by which entries are sorted
BEGIN: Place = (0, 0)  # before the first entry there can be
KEPT = 1000  # changes


class Change(msgspec.Struct, frozen=True, gc=False):  # many are made and kept, and none needs garbage collection
    """One entry of the stream `events`. former and status are alike where something was asked for, or refused."""

    place: Place
    task_id: str
    family: str
    former: str  # the status before
    status: str


def place_of(entry_id: str) -> Place:
    """Return the place of an entry, by its id of the form `1719830000000-0`. Raises ValueError."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)


def id_at(place: Place) -> str:
    """Return the id of the entry at this place."""
    return f"{place[0]}-{place[1]}"


def change_in(entry: Entry) -> Change:
    """Return what an entry of the stream `events` tells."""
    entry_id, fields = entry
    return Change(place_of(entry_id), fields["task_id"], fields.get("family", ""), fields["from"], fields["to"])


class RecentChanges:
    """Keeps the last changes of the stream, in its order, without a gap.

    changes: those to begin with. is_whole: there were none before them, ever.
    """

    def __init__(self, changes: Sequence[Change] = (), is_whole: bool = False) -> None:
        self._changes = list(changes)
        self._is_whole = is_whole

    @property
    def last(self) -> Place:
        """The place of the newest change; BEGIN when there is none."""
        return self._changes[-1].place if self._changes else BEGIN

    def add(self, changes: Sequence[Change]) -> None:
        """Note changes that follow the last one."""
        self._changes += changes
        if len(self._changes) > 2 * KEPT:  # not each time: what stands behind would be moved each time
            del self._changes[:-KEPT]
            self._is_whole = False

    def behind(self, place: Place) -> Sequence[Change] | None:
        """Return the changes behind the one at this place; None when that one is not kept, so that some may be missing.

        A change that was not kept any more may also be one that Redis has lost: it was emptied, or failed over.
        """
        if place == BEGIN and self._is_whole:
            return self._changes
        index = bisect_left(self._changes, place, key=_place)
        if index == len(self._changes) or self._changes[index].place != place:
            return None
        return self._changes[index + 1 :]


def _place(change: Change) -> Place:
    return change.place

"""A stream read a page at a time: newest first, or from behind an entry on."""

from __future__ import annotations

from typing import TypeAlias

from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.records import pairs

PAGE = 50  # entries read together
Entry: TypeAlias = tuple[str, dict[str, str]]  # its id and its fields


class StreamPages:
    """The entries of a stream: oldest first behind an entry, else newest first. looked_at: how many were read so far.
    is_at_end: whether that is all. has_begun_at_place: whether the entry behind which it began was still there.

    after: the id of the entry behind which to begin. before: that of the one from which to go back; neither: from the
    newest.
    """

    def __init__(self, namespace: Namespace, name: str, after: str | None = None, before: str | None = None) -> None:
        self._key = namespace.key(name)
        self._is_forward = after is not None
        self._last = before if after is None else after  # the id of the entry that was read last
        self.is_at_end = False
        self.looked_at = 0
        self.has_begun_at_place = False

    def next_page(self) -> Commands[list[Entry]]:
        """Return the next entries, few of them; none at the end."""
        count = ("COUNT", str(PAGE + 1))  # the last one comes again
        if self._is_forward:
            (found,) = yield Read([("XRANGE", self._key, str(self._last), "+", *count)])
        else:
            (found,) = yield Read([("XREVRANGE", self._key, self._last or "+", "-", *count)])
        self.is_at_end = len(found) <= PAGE
        self.has_begun_at_place |= not self.looked_at and bool(found) and found[0][0] == self._last
        fresh = [(entry_id, pairs(fields)) for entry_id, fields in found if entry_id != self._last]
        self.looked_at += len(fresh)
        self._last = fresh[-1][0] if fresh else self._last
        return fresh

"""Lists that are read a page at a time: cursors, and what stands behind a place in a sorted set.

A place is (score, member), not a number of entries passed: so it holds when others have come and gone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from broker_sched.contract.validation import to_json
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace

# What is sent together is carried out at once. These take about a tenth of a millisecond, in which others wait.
PACE = 10  # commands
SMALL_PACE = 40  # of those that read one value
ENTRIES = 40  # of sorted sets
SCANNED = 250  # members of a set
RawCommand = tuple[str, ...]


class Place(NamedTuple):
    """Where an entry stands in a sorted set: its score, as Redis writes it, and the member."""

    score: str
    member: str

    def is_before(self, other: Place, reverse: bool) -> bool:
        """Return whether this entry comes before the other one, highest first when `reverse`."""
        mine, others = (float(self.score), self.member), (float(other.score), other.member)
        return mine > others if reverse else mine < others


class Page(NamedTuple):
    """Entries of a sorted set in their order, and whether there are none behind them."""

    entries: list[Place]
    is_last: bool


def read_paced(commands: Sequence[RawCommand], pace: int = PACE) -> Commands[list[Any]]:
    """Read as Read does, but few commands at a time, so that nobody else waits for long."""
    replies: list[Any] = []
    for start in range(0, len(commands), pace):
        replies += yield Read(list(commands[start : start + pace]))
    return replies


def scan_set(namespace: Namespace, *parts: str) -> Commands[list[str]]:
    """Return all members of a set, which are read a page at a time."""
    return (yield from _scan("SSCAN", namespace.key(*parts)))


def scan_sets(keys: Sequence[str]) -> Commands[list[list[str]]]:
    """Return the members of each of these sets, of large ones read a page at a time: a member may come twice then."""
    replies = yield Read([("SSCAN", key, "0", "COUNT", str(SCANNED)) for key in keys])
    sets: list[list[str]] = []
    for key, (cursor, members) in zip(keys, replies):
        others = [] if str(cursor) == "0" else (yield from _scan("SSCAN", key, str(cursor)))
        sets.append([*members, *others])
    return sets


def scan_sorted_set(namespace: Namespace, *parts: str) -> Commands[list[str]]:
    """Return all members of a sorted set, in no order, which are read a page at a time."""
    entries = yield from _scan("ZSCAN", namespace.key(*parts))
    # redis-py makes pairs of members and scores, Redis gives them flat.
    return [member for member, _ in entries] if entries and not isinstance(entries[0], str) else entries[::2]


def scan_scores(namespace: Namespace, *parts: str) -> Commands[dict[str, float]]:
    """Return all members of a sorted set with their scores, which are read a page at a time."""
    entries = yield from _scan("ZSCAN", namespace.key(*parts))
    pairs = zip(entries[::2], entries[1::2]) if entries and isinstance(entries[0], str) else entries
    return {member: float(score) for member, score in pairs}


def _scan(command: str, key: str, cursor: str = "0") -> Commands[list[Any]]:
    found: list[Any] = []
    while True:
        ((cursor, page),) = yield Read([(command, key, cursor, "COUNT", str(SCANNED))])
        found += page
        if str(cursor) == "0":
            return found


# Cursors


def make_cursor(listing: str, arguments: Any, place: Sequence[str | int]) -> str:
    """Return an opaque text that says where a listing with these arguments goes on."""
    text = json.dumps([_digest(listing, arguments), *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("ascii")).decode().rstrip("=")


def read_cursor(listing: str, arguments: Any, cursor: str, kinds: Sequence[type]) -> list[Any]:
    """Return the place that make_cursor was given. kinds: the type of each of its parts.

    Raises InvalidArgument for what is no cursor, or one of another listing or of other arguments.
    """
    try:
        text = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        digest, *place = json.loads(text)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise _foreign("is none") from None
    if list(map(type, place)) != list(kinds):
        raise _foreign("is none")
    if digest != _digest(listing, arguments):
        raise _foreign(f"is of another listing than {listing} with these arguments")
    return list(place)


def read_place(listing: str, arguments: Any, cursor: str | None, *more: type) -> tuple[Place | None, list[Any]]:
    """Return the place in a sorted set that a cursor names, and what else it says; no place without a cursor.

    Raises InvalidArgument as read_cursor does.
    """
    if cursor is None:
        return None, [kind() for kind in more]
    score, member, *others = read_cursor(listing, arguments, cursor, (str, str, *more))
    try:
        is_number = math.isfinite(float(score))
    except ValueError:
        is_number = False
    if not is_number:
        raise _foreign("is none")
    return Place(score, member), others


def _digest(listing: str, arguments: Any) -> str:
    text = to_json("arguments", [listing, arguments]).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:12]


def _foreign(what: str) -> InvalidArgument:
    return InvalidArgument("cursor", f"{what}: give the one of the reply before, or leave it out to begin anew")


# Sorted sets


def pages_behind(
    namespace: Namespace,
    wanted: Sequence[tuple[str, Place | None, int]],
    *,
    reverse: bool,
    least: float | None = None,
) -> Commands[list[Page]]:
    """Return for each (key of a sorted set, place, count) so many entries behind that place; at the end maybe fewer.

    place: None for the beginning. reverse: highest first. least: entries with a lower score are left out.
    """
    bound = "-inf" if least is None else repr(least)
    pages: list[Page] = []
    pace = max(1, ENTRIES // max((count for _, _, count in wanted), default=1))
    for start in range(0, len(wanted), pace):
        some = wanted[start : start + pace]
        sizes = [count if place is None else count + 1 for _, place, count in some]
        replies = yield Read(
            [_range(key, place, bound, reverse, 0, size) for (key, place, _), size in zip(some, sizes)]
        )
        for (key, place, count), size, flat in zip(some, sizes, replies):
            entries = _behind(flat, place, reverse)
            if not entries and place is not None and len(flat) == 2 * size:  # all of one score, and before the place
                skipped = yield from _passed(key, place, reverse)
                (flat,) = yield Read([_range(key, place, bound, reverse, skipped, size)])
                entries = _behind(flat, place, reverse)
            pages.append(Page(entries[:count], len(flat) < 2 * size and len(entries) <= count))
    return pages


def _range(key: str, place: Place | None, bound: str, reverse: bool, offset: int, count: int) -> RawCommand:
    if place is None and bound == "-inf":  # which costs half of what a range of scores does
        return ("ZRANGE", key, "0", str(count - 1), "WITHSCORES", *(["REV"] if reverse else []))
    limit = ("WITHSCORES", "LIMIT", str(offset), str(count))
    if reverse:
        return ("ZREVRANGEBYSCORE", key, "+inf" if place is None else place.score, bound, *limit)
    lowest = bound if place is None or float(place.score) < float(bound) else place.score
    return ("ZRANGEBYSCORE", key, lowest, "+inf", *limit)


def _behind(flat: list[str], place: Place | None, reverse: bool) -> list[Place]:
    entries = [Place(score, member) for member, score in zip(flat[::2], flat[1::2])]
    return entries if place is None else [each for each in entries if place.is_before(each, reverse)]


def _passed(key: str, place: Place, reverse: bool) -> Commands[int]:
    """How many entries with the score of this place are not behind it: found by halving."""
    command = "ZREVRANGEBYSCORE" if reverse else "ZRANGEBYSCORE"
    (most,) = yield Read([("ZCOUNT", key, place.score, place.score)])
    least = 0
    while least < most:
        middle = (least + most) // 2
        (found,) = yield Read([(command, key, place.score, place.score, "LIMIT", str(middle), "1")])
        if not found or place.is_before(Place(place.score, found[0]), reverse):
            most = middle
        else:
            least = middle + 1
    return least

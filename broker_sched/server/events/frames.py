"""What a stream of events tells, and how it is written: a name, an id to resume at, and JSON."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from broker_sched.contract.visibility import Sees
from broker_sched.scheduler.event_feed import BEAT_SECONDS
from broker_sched.scheduler.recent_changes import Change, Place, id_at
from broker_sched.server.responses import to_json

MOST_TASKS = 100  # named in one event; of more only their families are told
MOST_FAMILIES = 200  # likewise; of more nothing is told but that a page shall look anew
MOST_LETTERS = 16_384  # of all these names together
FEW = 25  # pages; so many may look at once, whenever something changes
PACE_SECONDS = 0.02  # between two looks of a page, for each page that listens beside it
MOST_PACE_SECONDS = 5.0
RETRY_MS = (100, 1000)  # after which a page comes again, each after another time
COMMENT = b":\n\n"  # shows that the connection is alive


class Reach(NamedTuple):
    """Says how far this process has read, and how many listen to it.

    last: the newest change. position: of all that is read, which pages give back when they ask for something.
    """

    last: Place
    position: str
    listeners: int

    def told(self) -> dict[str, Any]:
        """Return what nearly every event tells of it."""
        return {"seen": self.position, "pace_seconds": pace_seconds(self.listeners)}


def start(place: Place, is_resumed: bool, reach: Reach) -> bytes:
    """Return the first event: behind which event the stream begins. is_resumed: that is the one the page has named."""
    told = {"resumed": is_resumed, "beat_seconds": BEAT_SECONDS, **reach.told()}
    return retry() + event("start", told, place)


def changed(changes: Sequence[Change], subjects: Iterable[str], sees: Sees, reach: Reach, place: Place) -> bytes:
    """Return the event that tells of these changes, merged, and of what else has changed.

    sees: how much its reader is shown. place: behind which the changes are; without any its reader stays there, also
    when this process has not read as far. Of too many families, it is the event `reset`.
    """
    last = reach.last if changes else place
    told: dict[str, Any] = {"also": sorted(subjects), **reach.told()}
    if sees == "counts":
        return event("change", {**told, "counts": _sums(changes)}, last)
    families = _families(changes)
    if len(families) > MOST_FAMILIES or sum(map(len, families)) > MOST_LETTERS:
        return reset(reach)
    tasks = {change.task_id: change.status for change in changes}
    is_complete = len(tasks) <= MOST_TASKS and sum(map(len, tasks)) <= MOST_LETTERS
    told |= {"families": families, "tasks": tasks if is_complete else {}, "complete": is_complete}
    return event("change", told, last)


def reset(reach: Reach) -> bytes:
    """Return the event that tells a page to look anew at all that it shows: it can't be told what has changed."""
    return event("reset", reach.told(), reach.last)


def redis(is_away: bool) -> bytes:
    """Return the event that tells that Redis is away, so that nothing is known of changes, or is there again."""
    return event("redis", {"away": is_away})


def end(reason: str) -> bytes:
    """Return the last event. reason: leaving (come again, another server may answer), login (who asks must say so)."""
    return retry() + event("end", {"reason": reason})


def retry() -> bytes:
    """Return what tells a browser after how long to come again: not all at once."""
    return b"retry: %d\n" % random.randint(*RETRY_MS)


def event(name: str, told: Any, place: Place | None = None) -> bytes:
    """Return an event. place: where a page may resume that has read it; None: where it could before."""
    head = f"event: {name}\n" if place is None else f"event: {name}\nid: {id_at(place)}\n"
    return head.encode() + b"data: " + to_json(told) + b"\n\n"


def pace_seconds(listeners: int) -> float:
    """Return how long a page shall wait between two looks, so that all that listen do not ask for more than a share."""
    return 0.0 if listeners <= FEW else min(MOST_PACE_SECONDS, listeners * PACE_SECONDS)


def _families(changes: Iterable[Change]) -> dict[str, dict[str, int]]:
    """Return by how much the number of each family's tasks in each status has grown, where it is another."""
    families: dict[str, dict[str, int]] = {}
    for change in changes:
        counts = families.setdefault(change.family, defaultdict(int))
        counts[change.former] -= 1
        counts[change.status] += 1
    return {family: _without_zeros(counts) for family, counts in families.items()}


def _sums(changes: Iterable[Change]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for change in changes:
        counts[change.former] -= 1
        counts[change.status] += 1
    return _without_zeros(counts)


def _without_zeros(counts: dict[str, int]) -> dict[str, int]:
    return {status: count for status, count in counts.items() if count}

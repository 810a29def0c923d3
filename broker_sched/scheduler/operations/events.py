"""Changes of tasks' statuses, as the stream `events` has the last of them."""

from __future__ import annotations

import re

from broker_sched.contract import view_replies
from broker_sched.contract.states import states_of, status_of
from broker_sched.contract.types import MAX_LISTED
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.stream_pages import Entry, StreamPages

KEPT = 10_000  # at least, as lua/lib/core/events.lua has it: a shorter stream is whole
EVENT_ID = re.compile(r"\d{1,19}-\d{1,19}")


def events(
    namespace: Namespace,
    *,
    after: str | None,
    limit: int,
    family: str | None,
    status: str | None,
    task_id: str | None,
    before: str | None,
) -> Commands[view_replies.Events]:
    """Return the events behind one, before one, or the newest. Reads up to 1,000 entries of the stream."""
    _check(after, before)
    status = None if status is None else status_of(states_of(status)[0])
    pages = StreamPages(namespace, "events", after, before)
    wanted: list[view_replies.Event] = []
    begun_at, last, is_all = None, after or before, False
    while not pages.is_at_end and pages.looked_at < MAX_LISTED and len(wanted) < limit:
        found = yield from pages.next_page()
        for entry in found:
            event = _event(entry)
            begun_at, last = begun_at or event["id"], event["id"]
            if (
                family in (None, event["family"])
                and status in (None, event["to"])
                and task_id in (None, event["task_id"])
            ):
                wanted.append(event)
                if len(wanted) == limit:
                    break
        is_all = pages.is_at_end and last == (found[-1][0] if found else last)
    if after is None:
        oldest = None if is_all else last
        return {"events": wanted[::-1], "last": begun_at or before, "first": oldest, "complete": True}
    complete = pages.has_begun_at_place or (yield from _is_complete(namespace, after))
    return {"events": wanted, "last": last, "first": begun_at or after, "complete": complete}


def _check(after: str | None, before: str | None) -> None:
    for name, value, field in (("after", after, "last"), ("before", before, "first")):
        if value is not None and not EVENT_ID.fullmatch(value):
            raise InvalidArgument(name, f"is no id of an event, such as 1719830000000-0: give `{field}` of a reply")
    if after is not None and before is not None:
        raise InvalidArgument("before", "goes back, and after goes on: give one of them")


def _is_complete(namespace: Namespace, after: str) -> Commands[bool]:
    """Whether no event behind this one, which is not there any more or never was, has been dropped."""
    key = namespace.key("events")
    size, first = yield Read([("XLEN", key), ("XRANGE", key, "-", "+", "COUNT", "1")])
    return size < KEPT or _place(first[0][0]) < _place(after)


def _place(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


def _event(entry: Entry) -> view_replies.Event:
    entry_id, fields = entry
    return {
        "id": entry_id,
        "task_id": fields["task_id"],
        "family": fields.get("family", ""),
        "from": fields["from"],
        "to": fields["to"],
        "worker": fields.get("worker") or None,
        "time": float(fields["time"]),
        "refused": fields.get("refused"),
        "asked": fields.get("asked"),
        "by": fields.get("by"),
        "started": float(fields["started"]) if "started" in fields else None,
    }

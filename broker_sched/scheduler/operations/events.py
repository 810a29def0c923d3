"""Changes of tasks' statuses, as the stream `events` has the last of them."""

from __future__ import annotations

import re
from typing import Any

from broker_sched.contract import view_replies
from broker_sched.contract.states import states_of, status_of
from broker_sched.contract.types import MAX_LISTED
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.records import pairs

_ID = re.compile(r"\d{1,19}-\d{1,19}")


def events(
    namespace: Namespace, *, after: str | None, limit: int, family: str | None, status: str | None
) -> Commands[view_replies.Events]:
    """Return the events behind one, or the newest. One read of the stream."""
    if after is not None and not _ID.fullmatch(after):
        raise InvalidArgument("after", "is no id of an event, such as 1719830000000-0: give `last` of a reply")
    status = None if status is None else status_of(states_of(status)[0])
    count = limit if family is None and status is None else MAX_LISTED

    def is_wanted(event: view_replies.Event) -> bool:
        return (family is None or event["family"] == family) and (status is None or event["to"] == status)

    key = namespace.key("events")
    if after is None:
        (entries,) = yield Read([("XREVRANGE", key, "+", "-", "COUNT", str(count))])
        newest = [event for entry in entries if is_wanted(event := _event(*entry))][:limit]
        return {"events": newest[::-1], "last": entries[0][0] if entries else None}
    (entries,) = yield Read([("XRANGE", key, after, "+", "COUNT", str(count + 1))])
    behind = [_event(*entry) for entry in entries if entry[0] != after][:count]
    wanted = [event for event in behind if is_wanted(event)]
    if len(wanted) > limit:
        return {"events": wanted[:limit], "last": wanted[limit - 1]["id"]}
    return {"events": wanted, "last": behind[-1]["id"] if behind else after}


def _event(entry_id: str, flat: Any) -> view_replies.Event:
    fields = pairs(flat)
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
    }

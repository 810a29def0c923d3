"""The audit: who asked for which change, and what was refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from broker_sched.contract import audit_replies
from broker_sched.contract.types import MAX_LISTED
from broker_sched.contract.validation import to_json
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.records import pairs
from broker_sched.scheduler.stream_pages import StreamPages

_ID = re.compile(r"\d{1,19}-\d{1,19}")


def audit(
    namespace: Namespace, *, after: str | None, limit: int, since: float | None, who: str | None, method: str | None
) -> Commands[audit_replies.Audit]:
    """Return the records behind one, or the newest. Reads up to 1,000 of the stream, and the calls under way."""
    if after is not None and not _ID.fullmatch(after):
        raise InvalidArgument("after", "is no id of a record, such as 1719830000000-0: give `last` of a reply")

    def is_wanted(record: audit_replies.AuditRecord) -> bool:
        return who in (None, record["who"]) and method in (None, record["method"]) and record["time"] >= (since or 0.0)

    pages = StreamPages(namespace, "audit", after)
    wanted: list[audit_replies.AuditRecord] = []
    newest, last, is_over = None, after, False
    while not pages.is_at_end and pages.looked_at < MAX_LISTED and len(wanted) < limit and not is_over:
        for entry_id, fields in (yield from pages.next_page()):
            record = _record(entry_id, fields)
            is_over = after is None and since is not None and record["time"] < since  # and so are all before it
            if is_over:
                break
            newest, last = newest or entry_id, entry_id
            if is_wanted(record):
                wanted.append(record)
            if len(wanted) == limit:
                break
    (stored,) = yield Read([("HGETALL", namespace.key("audit_open"))])
    under_way = [_record("", json.loads(note)) for note in pairs(stored).values()]
    return {
        "records": wanted if after is not None else wanted[::-1],
        "last": last if after is not None else newest,
        "unfinished": sorted((each for each in under_way if is_wanted(each)), key=lambda each: each["time"]),
    }


def note_refusals(namespace: Namespace, records: Sequence[Mapping[str, str]]) -> Commands[None]:
    """Add records of calls and logins that were refused. records: the fields of each but its time, as texts."""
    yield Call("note_refusals", records=[to_json("record", dict(each)) for each in records])


def _record(entry_id: str, fields: Mapping[str, str]) -> audit_replies.AuditRecord:
    tasks = fields.get("tasks") or None
    return {
        "id": entry_id,
        "time": float(fields["time"]),
        "who": fields.get("who", ""),
        "kind": fields.get("kind", ""),
        "address": fields.get("address", ""),
        "method": fields.get("method", ""),
        "arguments": json.loads(fields.get("arguments") or "{}"),
        "tasks": None if tasks is None else int(tasks),
        "result": fields.get("result", "begun"),
        "why": fields.get("why") or None,
        "times": int(fields.get("times", "1")),
    }

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
    namespace: Namespace,
    *,
    after: str | None,
    limit: int,
    since: float | None,
    who: str | None,
    method: str | None,
    result: str | None,
    before: str | None,
) -> Commands[audit_replies.Audit]:
    """Return the records behind one, before one, or the newest. Reads up to 1,000 of the stream, and the calls under
    way."""
    _check(after, before)

    def is_wanted(record: audit_replies.AuditRecord) -> bool:
        return (
            who in (None, record["who"])
            and method in (None, record["method"])
            and result in (None, record["result"])
            and record["time"] >= (since or 0.0)
        )

    pages = StreamPages(namespace, "audit", after, before)
    wanted: list[audit_replies.AuditRecord] = []
    begun_at, last, is_all = None, after or before, False
    while not pages.is_at_end and pages.looked_at < MAX_LISTED and len(wanted) < limit and not is_all:
        found = yield from pages.next_page()
        for entry_id, fields in found:
            record = _record(entry_id, fields)
            is_all = after is None and since is not None and record["time"] < since  # and so are all before it
            if is_all:
                break
            begun_at, last = begun_at or entry_id, entry_id
            if is_wanted(record):
                wanted.append(record)
            if len(wanted) == limit:
                break
        is_all |= pages.is_at_end and last == (found[-1][0] if found else last)
    (stored,) = yield Read([("HGETALL", namespace.key("audit_open"))])
    under_way = [_record("", json.loads(note)) for note in pairs(stored).values()]
    unfinished = sorted((each for each in under_way if is_wanted(each)), key=lambda each: each["time"])
    if after is not None:
        return {"records": wanted, "last": last, "first": begun_at or after, "unfinished": unfinished}
    oldest = None if is_all else last
    return {"records": wanted[::-1], "last": begun_at or before, "first": oldest, "unfinished": unfinished}


def _check(after: str | None, before: str | None) -> None:
    for name, value, field in (("after", after, "last"), ("before", before, "first")):
        if value is not None and not _ID.fullmatch(value):
            raise InvalidArgument(name, f"is no id of a record, such as 1719830000000-0: give `{field}` of a reply")
    if after is not None and before is not None:
        raise InvalidArgument("before", "goes back, and after goes on: give one of them")


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

"""The shape of what `audit` replies."""

from __future__ import annotations

from typing import TypedDict

from broker_sched.contract.types import JSON


class AuditRecord(TypedDict):
    """A change that somebody asked for, or what was refused.

    id: of the record; '' while the call is under way. kind: redis for who works straight in Redis; else anonymous,
    user, token, session or certificate. address: whence it came over HTTP. method: of the API, or login. arguments:
    without secrets, and cut where they are long. tasks: how many were changed; null where that is not counted. result:
    done, refused, begun, or unknown, when its process ended in the midst of it. times: how often it was refused alike.
    """

    id: str
    time: float
    who: str
    kind: str
    address: str
    method: str
    arguments: dict[str, JSON]
    tasks: int | None
    result: str
    why: str | None
    times: int


class Audit(TypedDict):
    """Some records, oldest first. last: the id of the last one looked at, to be given as `after` for those behind it.

    first: that of the first one looked at, to be given as `before` for older ones; null where there are none.

    unfinished: calls under way.
    """

    records: list[AuditRecord]
    last: str | None
    first: str | None
    unfinished: list[AuditRecord]

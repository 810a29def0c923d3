"""The id under which a request is told of: in the log, in its answer (`X-Request-Id`), and in Redis.

A client may choose it; `RemoteScheduler` sends the one that its own log lines have. Else a request has one when it
fails, and only then: nothing is made, kept or sent for a call that works.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from starlette.types import Message, Send

from broker_sched.contract.request_ids import HEADER, NAME_HEADER, is_name

NAMED = NAME_HEADER.lower().encode()
NUMBERED = HEADER.lower().encode()


def chosen_name(text: bytes) -> str:
    """Return the id that a client chose, or another one where its own can't stand in a log and in a key's name."""
    name = text.decode("latin-1")
    return name if is_name(name) else uuid.uuid4().hex[:16]


def name_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return what to call a request: X-Request-Id, else Bsched-Request-Id, which repetitions share, else a new id."""
    found = dict(headers)
    return chosen_name(found.get(NAMED) or found.get(NUMBERED) or b"")


def naming(send: Send, name: str) -> Send:
    """Return a `send` that adds the id to the answer's headers, unless it is there."""

    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[Any] = list(message.get("headers", ()))
            if not any(header[0] == NAMED for header in headers):
                message = {**message, "headers": [*headers, (NAMED, name.encode())]}
        await send(message)

    return send_named

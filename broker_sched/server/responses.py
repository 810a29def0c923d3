"""From the result of a call, or what went wrong, to status, headers and body."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import msgspec
from starlette.types import Message, Scope, Send

from broker_sched.errors import (
    BrokerSchedError,
    InvalidArgument,
    NameTaken,
    RedisUnavailable,
    SchemaMismatch,
    Superseded,
    UnknownMethod,
)
from broker_sched.log_lines import with_fields
from broker_sched.plain_text import on_one_line
from broker_sched.server.request_naming import NAMED, name_of
from broker_sched.server.requests import UnsupportedType

log = logging.getLogger("bsched.server")

PART = 500  # entries encoded in one go; between two goes other requests have their turn
LEVELS = 3  # of a reply that are looked at for long lists: [worker] → running → {task_id: task}
MAX_MESSAGE = 500  # letters of an error message: it may quote the caller's own megabyte
Header: TypeAlias = tuple[bytes, bytes]
# What every answer has; `secured` adds what is missing to those of the routes, which may have their own instead.
SECURITY_HEADERS: Sequence[Header] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
JSON_HEADERS: Sequence[Header] = ((b"content-type", b"application/json; charset=UTF-8"), *SECURITY_HEADERS)
RETRY_AFTER: Header = (b"retry-after", b"1")  # seconds
# The caller is told, no log.
EXPECTED = (InvalidArgument, UnknownMethod, RedisUnavailable, SchemaMismatch, Superseded, NameTaken)
_encoder = msgspec.json.Encoder()


class Answer(NamedTuple):
    """The answer to a request: its status, headers and body."""

    status: int
    headers: Sequence[Header] = ()  # but for those that every answer has
    body: bytes = b""

    def start(self) -> dict[str, Any]:
        """Return the ASGI message that begins the answer."""
        headers = list(self.headers)
        if self.status != 204:
            headers.append((b"content-length", b"%d" % len(self.body)))
        return {"type": "http.response.start", "status": self.status, "headers": headers}

    async def send(self, send: Send) -> None:
        """Send all of it to an ASGI server."""
        await send(self.start())
        await send({"type": "http.response.body", "body": self.body})


class RequestRefused(BrokerSchedError):
    """Raised for a request that never becomes a call; the message says why."""

    def __init__(self, status: int, kind: str, message: str, headers: Sequence[Header] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = headers


def page_policy(style: str, form_action: str) -> Header:
    """Return the Content-Security-Policy of a page of HTML, which may load nothing but this style of its own.

    form_action: where its forms may lead, as the policy writes it.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    allowed = f"style-src 'sha256-{digest}'; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
    return b"content-security-policy", f"default-src 'none'; {allowed}".encode()


def secured(send: Send) -> Send:
    """Return what sends an answer with those security headers that it has not."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            given = {name.lower() for name, _ in headers}
            headers += [header for header in SECURITY_HEADERS if header[0] not in given]
            message = {**message, "headers": headers}
        await send(message)

    return sending


def success(result: Any) -> Answer:
    """Make the answer 200 with the result of a call."""
    return Answer(200, JSON_HEADERS, b'{"response":' + to_json(result) + b"}")


async def long_success(result: Any) -> list[bytes]:
    """Make the body of the answer 200 with a result that may be long, in parts: others have their turn meanwhile."""
    parts = [b'{"response":']
    for part in _parts(result, LEVELS):
        parts.append(part)
        if len(part) > 10_000:
            await asyncio.sleep(0)
    parts.append(b"}")
    return parts


def answer_to(error: Exception, scope: Scope) -> Answer:
    """Make the answer to a request that failed so, with its id; what its client could not know of is logged."""
    request_id = name_of(scope["headers"])
    where = (scope["method"], on_one_line(scope["path"]), request_id)
    with with_fields(request_id=request_id):
        if isinstance(error, BrokerSchedError):
            if not isinstance(error, (RequestRefused, *EXPECTED)):
                log.error("%s %s (request %s): %s", *where, on_one_line(str(error)))
        else:  # a bug of ours must not close the connection of a client
            log.error("%s %s (request %s) failed", *where, exc_info=error)
    answer = failure(error)
    return answer._replace(headers=[*answer.headers, (NAMED, request_id.encode())])


def wrong_verb(verb: str, allowed: str) -> RequestRefused:
    """Make the refusal of a verb where others are allowed."""
    message = f"{verb} is not possible here; use {allowed}."
    return RequestRefused(405, "MethodNotAllowed", message, [(b"allow", allowed.encode())])


def failure(error: Exception) -> Answer:
    """Make the answer with the status and the JSON that tell of this error; never a stack trace."""
    if isinstance(error, RequestRefused):
        return _error(error.status, error.kind, str(error), headers=error.headers)
    if isinstance(error, UnsupportedType):
        return _error(415, "InvalidArgument", str(error), error.field)
    if isinstance(error, InvalidArgument):
        return _error(400, "InvalidArgument", str(error), error.field)
    if isinstance(error, UnknownMethod):
        return _error(404, "UnknownMethod", str(error))
    if isinstance(error, (Superseded, NameTaken)):
        return _error(409, type(error).__name__, str(error))
    if isinstance(error, (RedisUnavailable, SchemaMismatch)):
        kind = "RedisUnavailable" if isinstance(error, RedisUnavailable) else "SchemaMismatch"
        return _error(503, kind, str(error), headers=[RETRY_AFTER])
    if isinstance(error, BrokerSchedError):
        return _error(500, type(error).__name__, str(error))
    return _error(500, "InternalError", "The server failed on this call; its log says how.")


def to_json(value: Any) -> bytes:
    """Write a value as JSON, in UTF-8."""
    try:
        return _encoder.encode(value)
    except (OverflowError, TypeError, ValueError):  # integers beyond 64 bits, lone surrogates
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _error(status: int, kind: str, message: str, field: str = "", headers: Sequence[Header] = ()) -> Answer:
    error = {"type": kind, "message": _short(message)}
    if field:
        error["field"] = _short(field)
    return Answer(status, [*JSON_HEADERS, *headers], json.dumps({"error": error}).encode("ascii"))


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def _parts(value: Any, levels: int) -> Iterator[bytes]:
    """Yield the JSON of a value in pieces, each of them quickly encoded."""
    if not _holds_many(value, levels):
        yield to_json(value)
    elif isinstance(value, dict):
        yield from _parts_of_dict(value, levels)
    else:
        for index, each in enumerate(value):
            yield b"," if index else b"["
            yield from _parts(each, levels - 1)
        yield b"]"


def _parts_of_dict(value: dict[str, Any], levels: int) -> Iterator[bytes]:
    entries = iter(value.items())
    separator = b"{"
    if len(value) > PART:
        while piece := dict(islice(entries, PART)):
            yield separator
            yield to_json(piece)[1:-1]
            separator = b","
    else:
        for name, each in entries:
            yield separator + to_json(name) + b":"
            yield from _parts(each, levels - 1)
            separator = b","
    yield b"}"


def _holds_many(value: Any, levels: int) -> bool:
    if not isinstance(value, (dict, list)) or levels == 0:
        return False
    if len(value) > PART:
        return True
    return any(_holds_many(each, levels - 1) for each in (value.values() if isinstance(value, dict) else value))

"""The body of a request, from its ASGI server."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Receive

from broker_sched.server.requests import MAX_BODY_BYTES
from broker_sched.server.responses import RequestRefused


class ClientGone(Exception):
    """The client went before its request was whole."""


class BodyTooLarge(RequestRefused):
    """The body is longer than a server takes."""

    def __init__(self) -> None:
        super().__init__(413, "TooLarge", f"A request may have {MAX_BODY_BYTES // 2**20} MB at the most.")


def is_small(headers: Mapping[bytes, bytes], limit: int) -> bool:
    """Tell whether the body is known to have at most so many bytes."""
    length = headers.get(b"content-length")
    if length is None:
        return b"transfer-encoding" not in headers
    return len(length) < 9 and length.isdigit() and int(length) <= limit


def length_of(headers: Mapping[bytes, bytes]) -> int:
    """How long the body is, or may be. Raises BodyTooLarge."""
    length = headers.get(b"content-length", b"")
    if not length.isdigit():
        return MAX_BODY_BYTES
    if int(length) > MAX_BODY_BYTES:
        raise BodyTooLarge
    return int(length)


async def read_body(receive: Receive) -> bytes:
    """Return all of the body. Raises ClientGone, BodyTooLarge."""
    parts = await read_parts(receive)
    return parts[0] if len(parts) == 1 else b"".join(parts)  # nearly always one


async def read_parts(receive: Receive) -> list[bytes]:
    """Return the body as it came: to join the parts of a large one takes a while. Raises as read_body."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        if not message.get("more_body"):
            return parts

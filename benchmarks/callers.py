"""Ways to call a scheduler: over HTTP on a kept connection, straight to Redis, and over HTTP for many at once."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlencode

from broker_sched import Scheduler

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Caller(Protocol):
    """Calls a method of the contract."""

    def prepare(self, method: str, **arguments: Any) -> Callable[[], Any]:
        """What makes the call, with all done before and after it that can be: the scheduler is to be measured."""

    def result_of(self, reply: Any) -> Any:
        """The method's result, from what that gave."""

    def call(self, method: str, **arguments: Any) -> Any:
        """The method's result."""


class OverHTTP:
    """The leanest client there is, the same for both servers: requests are encoded before the clock runs."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def prepare(self, method: str, **arguments: Any) -> Callable[[], Any]:
        """POST a form, as Luigi's client does."""
        body = urlencode({"data": json.dumps(arguments)}).encode()
        head = (
            f"POST /api/{method} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return partial(self._exchange, head.encode() + body)

    def call(self, method: str, **arguments: Any) -> Any:
        """Prepare and make a call."""
        return self.result_of(self.prepare(method, **arguments)())

    def result_of(self, reply: bytes) -> Any:
        """Decode a response."""
        if not reply.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(reply[:500].decode(errors="replace"))
        return json.loads(reply.partition(b"\r\n\r\n")[2])["response"]

    def _exchange(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        reply = self._socket.recv(65536)
        while (end := reply.find(b"\r\n\r\n")) < 0:
            reply += self._received()
        found = CONTENT_LENGTH.search(reply, 0, end)
        wanted = end + 4 + int(found[1] if found else 0)
        while len(reply) < wanted:
            reply += self._received()
        return reply

    def _received(self) -> bytes:
        if part := self._socket.recv(65536):
            return part
        raise RuntimeError("The server closed the connection.")


class Direct:
    """`Scheduler`, without a server."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self._scheduler = Scheduler(redis_url, namespace, prune_interval_seconds=None)

    def prepare(self, method: str, **arguments: Any) -> Callable[[], Any]:
        """Call it as a program would."""
        return partial(getattr(self._scheduler, method), **arguments)

    def call(self, method: str, **arguments: Any) -> Any:
        """Prepare and make a call."""
        return self.prepare(method, **arguments)()

    def result_of(self, reply: Any) -> Any:
        """It is the result already."""
        return reply


class KeptConnection:
    """A connection to a server for one of many callers in an event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> KeptConnection:
        """Connect to a port of 127.0.0.1."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def close(self) -> None:
        """Close it."""
        self._writer.close()

    async def call(self, method: str, **arguments: Any) -> Any:
        """The method's result."""
        return json.loads(await self.post(method, json.dumps(arguments).encode()))["response"]

    async def post(self, method: str, body: bytes, headers: str = "") -> bytes:
        """What the server answers to arguments in JSON. headers: more of them, each with its line's end."""
        head = f"POST /api/{method} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answered = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not answered.startswith(b"http/1.1 200"):
            raise RuntimeError(answered.decode(errors="replace"))
        return await self._reader.readexactly(int(answered.partition(b"content-length: ")[2].split()[0]))


def open_caller(target: int | tuple[str, str]) -> Caller:
    """A port of 127.0.0.1, or (Redis URL, namespace)."""
    return OverHTTP(target) if isinstance(target, int) else Direct(*target)

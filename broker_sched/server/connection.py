"""HTTP/1.1 on one connection: requests in, one at a time and in order; answers out, a short one in one write.

httptools parses. What is here is what a server of short requests needs: keep-alive, pipelined requests, limits, and
an orderly end. decisions/0002 has what it is measured against.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple, TypeAlias, cast
from urllib.parse import unquote

import httptools

from broker_sched.server.requests import MAX_BODY_BYTES
from broker_sched.server.responses import Answer, Refusal, failure

log = logging.getLogger("bsched.server")

# Of request line and headers, as luigid's, and of what chunks have beside them. One read more may pass.
MAX_HEAD_BYTES = 64 * 1024
JOINED_BYTES = 65536  # a longer body is not copied to stand behind its head
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request(NamedTuple):
    """One request, whole."""

    verb: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]  # names in lower case; of one that is given twice, the last
    body: bytes


Respond: TypeAlias = Callable[[Request], Awaitable[Answer]]


class Connection(asyncio.Protocol):
    """A client's connection, in `connections` as long as it is open or a request of it is at work."""

    def __init__(self, respond: Respond, connections: set[Connection]) -> None:
        """respond: makes the answer to a request; it raises nothing."""
        self._respond = respond
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None  # what answers the request at hand
        self._waiting: deque[Request | Answer] = deque()  # what came before that was answered
        self._is_paused = False  # the client does not read what it is sent
        self._is_held = False  # we do not read what it sends
        self._reads_no_more = False
        self._is_stopping = False
        self._begin_request()
        self.idle_since = self._heard_at = self._loop.time()

    def _begin_request(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: bytes | bytearray = b""
        self._bytes_beside_body = 0  # since it began, or the last of its body came
        self._is_in_head, self._is_body_refused, self._is_to_continue = True, False, False

    @property
    def is_idle(self) -> bool:
        """Nothing is asked, nothing is to be answered."""
        return self._task is None and not self._waiting and self._is_in_head

    def give_up_after(self, seconds: float) -> None:
        """Refuse the request that has come in part, when nothing more of it came for so long."""
        if self._task is not None or self._waiting or self._is_in_head or self._transport is None:
            return
        if self._loop.time() - max(self._heard_at, self.idle_since) > seconds:
            self._refuse(
                failure(Refusal(408, "Timeout", f"The rest of this request did not come within {seconds:g} s."))
            )
            self._begin_request()
            self._close_if_over()

    def stop(self) -> None:
        """Close once all is answered of which a head has come. May be repeated."""
        self._is_stopping = True
        self._close_if_over()

    def abort(self) -> None:
        """Close at once."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base class
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It went. The request at hand is finished all the same; those that wait for it are dropped."""
        self._transport = None
        del self._parser  # it refers to us: together they would wait for the garbage collector
        self._waiting.clear()
        self._body = b""
        if self._task is None:
            self._connections.discard(self)

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """That has been sent."""
        self._is_paused = False
        if self._task is None:
            self._go_on()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._reads_no_more:
            return
        self._heard_at = self._loop.time()
        if self._bytes_beside_body > MAX_HEAD_BYTES:
            self._refuse(failure(Refusal(431, "TooLarge", "The URL and the headers may have 64 KB at the most.")))
        else:
            self._bytes_beside_body += len(data)
            self._parse(data)
        if self._reads_no_more:  # and what has begun to come will never be whole
            self._begin_request()
            self._close_if_over()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to nothing that is spoken here; what follows is no HTTP
            self._reads_no_more = True
        except httptools.HttpParserCallbackError as error:  # a bug of ours
            log.exception("A request could not be taken")
            self._refuse(failure(error))
        except httptools.HttpParserError as error:
            self._refuse(failure(Refusal(400, "BadRequest", f"This is not HTTP/1.1: {error}.")))

    # What the parser calls

    def on_url(self, part: bytes) -> None:
        """Of the request line."""
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or one that comes after the body in chunks: such a one counts for nothing."""
        if self._is_in_head:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._is_in_head, self._bytes_beside_body = False, 0
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            self._refuse_body()
        elif self._headers.get(b"expect", b"").lower() == b"100-continue" and self._parser.get_http_version() != "1.0":
            self._is_to_continue = True
            self._continue_if_due()

    def on_body(self, part: bytes) -> None:
        """Some of the body."""
        self._bytes_beside_body = 0
        if self._is_body_refused:
            return
        if not self._body:
            self._body = part
        elif isinstance(self._body, bytes):  # a list of small chunks would take many times their size
            self._body = bytearray(self._body) + part
        else:
            self._body += part
        if len(self._body) > MAX_BODY_BYTES:
            self._refuse_body()

    def on_message_complete(self) -> None:
        """The request is whole."""
        parser, url, headers, is_refused = self._parser, self._url, self._headers, self._is_body_refused
        body = bytes(self._body)
        is_last = not parser.should_keep_alive() or parser.get_http_version() == "1.0"
        self._begin_request()
        if is_refused:
            self._reads_no_more |= is_last
            self._close_if_over()
            return
        if not url.startswith(b"/"):
            url = _without_host(url)
        path, _, query = url.partition(b"#")[0].partition(b"?")
        self._take(Request(parser.get_method().decode(), _decoded(path), query, headers, body), is_last)

    # What follows from it

    def _refuse(self, answer: Answer) -> None:
        """Give this answer, unless there was one already, and read no more."""
        if self._is_body_refused:
            self._reads_no_more = True
        else:
            self._begin_request()
            self._take(answer, is_last=True)

    def _refuse_body(self) -> None:
        """Answer so, and skip the rest of this request."""
        self._is_body_refused, self._is_to_continue = True, False
        self._body = b""
        answer = failure(Refusal(413, "TooLarge", f"A request may have {MAX_BODY_BYTES // 2**20} MB at the most."))
        self._take(answer._replace(body=b"") if self._parser.get_method() == b"HEAD" else answer, is_last=False)

    def _take(self, item: Request | Answer, is_last: bool) -> None:
        """Answer this, or give this answer, after all that came before. Nothing comes after the last."""
        if self._reads_no_more:
            return
        self._reads_no_more = is_last
        if self._task is None and not self._is_paused:
            self._begin_answer(item)
            return
        self._waiting.append(item)
        if self._transport is not None and not self._is_held:
            self._is_held = True
            self._transport.pause_reading()

    def _begin_answer(self, item: Request | Answer) -> None:
        if isinstance(item, Answer):
            self._send(item, has_body=True)
            self._go_on()
        else:
            self._task = self._loop.create_task(self._work(item))

    async def _work(self, request: Request) -> None:
        try:
            answer = await self._respond(request)
        finally:
            self._task = None
            if self._transport is None:
                self._connections.discard(self)
        self._send(answer, has_body=request.verb != "HEAD")
        self._go_on()

    def _go_on(self) -> None:
        self.idle_since = self._loop.time()
        if self._waiting:
            if not self._is_paused:
                self._begin_answer(self._waiting.popleft())
        elif self._transport is not None and not self._transport.is_closing():
            if self._is_held:
                self._is_held = False
                self._transport.resume_reading()
            self._continue_if_due()
            self._close_if_over()

    def _continue_if_due(self) -> None:
        """The client sends the body when it is told to: not before its earlier requests are answered."""
        if self._is_to_continue and self._task is None and not self._waiting and self._transport is not None:
            self._is_to_continue = False
            self._transport.write(CONTINUE)

    def _is_over(self) -> bool:
        return (self._reads_no_more or self._is_stopping) and self.is_idle

    def _close_if_over(self) -> None:
        if self._transport is not None and self._is_over():
            self._transport.close()

    def _send(self, answer: Answer, has_body: bool) -> None:
        transport, status, body = self._transport, answer.status, answer.body
        if transport is None or transport.is_closing():
            return
        length = b"" if status == 204 else b"content-length: %d\r\n" % len(body)
        end = b"connection: close\r\n\r\n" if self._is_over() else b"\r\n"
        if not has_body:
            body = b""
        head = b"".join((STATUS_LINES[status], _date_line(), answer.headers, length, end))
        if len(body) > JOINED_BYTES:
            transport.write(head)
            transport.write(body)
        else:
            transport.write(head + body)


def _without_host(url: bytes) -> bytes:
    """The path and the query of an absolute URL, as a request to a proxy has it."""
    try:
        parts = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        return url
    return (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")


def _decoded(path: bytes) -> str:
    text = path.decode("latin-1")
    return unquote(text) if "%" in text else text


_date = (0, b"")  # the second for which the line was made


def _date_line() -> bytes:
    global _date
    now = int(time.time())
    if now != _date[0]:
        _date = (now, f"date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _date[1]

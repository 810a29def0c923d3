"""What uvicorn's HTTP/1.1 leaves open: limits in bytes and in seconds, the order of refusals, and a half-closed client.

A subclass of uvicorn's protocol on httptools. Under another ASGI server its own limits hold instead; those for a body
are the application's (`bodies.py`), and hold everywhere.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from broker_sched.server.joined_writes import JoinedWrites
from broker_sched.server.limits import ConnectionLimit
from broker_sched.server.peer_certificate import tls_extension
from broker_sched.server.requests import MAX_BODY_BYTES
from broker_sched.server.responses import RequestRefused, failure

log = logging.getLogger("bsched.server")

# Of request line and headers, as luigid's, and of what chunks have beside them. One read more may pass.
MAX_HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 3600  # as luigid; a shorter one would now and then close just as a worker asks
STALLED_SECONDS = 30  # a request of which nothing more comes for so long is given up; so is who does not read
STALLED_AT_END_SECONDS = 1.5  # likewise, while the server ends
MAX_HEAD_SECONDS = 60  # until a head is whole
MAX_BODY_SECONDS = 600  # until a body is
LINGER_SECONDS = 1.0  # in which a client that was refused may still send, and reads why
LINGER_BYTES = 8 * 1024 * 1024  # that it may send then
MAX_REST_BYTES = 16 * MAX_BODY_BYTES  # of a body whose request was answered before it was whole


class Protocol(HttpToolsProtocol):
    """A client's connection, in `connections` of uvicorn's server as long as it is open."""

    def __init__(self, *arguments: Any, limit: ConnectionLimit | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limit = limit
        self._is_refused = False  # the connection itself, since there are too many
        self._bytes_beside_body = 0  # since the request began, or the last of its body came
        self._is_in_head, self._is_in_body = False, False  # of the request that is coming in
        self._running: Any = None  # the request that is being answered, as uvicorn keeps it
        self._last_words: bytes | None = None  # to be said after all answers; then the connection is closed
        self._reads_no_more = False
        self._dropped_bytes = 0  # that came since then, or of a body whose request is answered
        self._awaits_consent = False  # the client sends its body only when it is told to, and nothing has come yet
        self._closes_after_body = False
        self._heard_at = self._began_at = self.loop.time()
        self._extensions: dict[str, Any] = {}  # of ASGI, for all requests of this connection
        self._unsent, self._sent_at = 0, self._heard_at  # bytes that wait for the client, and when that last changed

    # What the server asks of it

    def give_up_if_stalled(self, now: float, is_ending: bool = False) -> None:
        """End what does not go on: half a request, an answer that nobody reads, a connection that nobody uses.

        now: of the event loop. is_ending: the server is, and has waited: half a request is not waited for any more.
        """
        seconds = STALLED_AT_END_SECONDS if is_ending else STALLED_SECONDS
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._sent_at = unsent, now
        if unsent and now - self._sent_at >= seconds:
            self.transport.abort()
        elif self.transport.is_closing():
            if is_ending and self._extensions and not unsent:  # over TLS, a client is to say that it closes, too
                self.transport.abort()
        elif self.flow.read_paused:
            return
        elif self._is_in_head or self._is_in_body:
            longest = MAX_HEAD_SECONDS if self._is_in_head else MAX_BODY_SECONDS
            if is_ending or now - self._heard_at >= seconds or now - self._began_at >= longest:
                self._refuse(
                    RequestRefused(408, "Timeout", "The rest of this request did not come in time. Send it again.")
                )
        elif self._running is None and now - self._heard_at >= KEEP_ALIVE_SECONDS:
            self.transport.close()

    # What the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to serve a client that has connected."""
        super().connection_made(transport)
        if (connection := transport.get_extra_info("ssl_object")) is not None:
            self._extensions = {"tls": tls_extension(connection)}
        self._writes = JoinedWrites(transport, self._may_close)
        self.transport = self._writes  # type: ignore[assignment]  # all of it that is used
        if self._limit is not None and (refusal := self._limit.enter(self.client)) is not None:
            self._is_refused = True
            self._refuse(refusal) if self._limit.tells else self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in bytes from the client; refuses a head that is too long."""
        if self._reads_no_more:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > LINGER_BYTES and self._writes.is_closing():
                self._writes.close_now()
            return
        self._heard_at = self.loop.time()
        self._unset_keepalive_if_required()
        if self._bytes_beside_body > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
            return
        self._bytes_beside_body += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to nothing that is spoken here; what follows is no HTTP
            self._end_after(self.cycle)
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, RequestRefused):
                self._refuse(error.__context__)
            else:  # a bug of ours
                log.exception("A request could not be taken")
                self._refuse(error)
        except httptools.HttpParserError as error:
            self._refuse(RequestRefused(400, "BadRequest", f"This is not HTTP/1.1: {error}."))

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's always closes
        """The client sends no more. Who asked before is answered."""
        if self._is_in_head or self._is_in_body:  # of which the rest will never come
            self._refuse(None)
        elif self._running is not None:
            self._running.message_event.set()  # a long poll ends: most who close have gone
            self._end_after(self.cycle)
        return self._running is not None and not self._extensions  # TLS knows no half-closed connection

    def connection_lost(self, exc: Exception | None) -> None:
        """End with the connection. The request at hand hears of it, though others were sent behind it."""
        if self._limit is not None:
            self._limit.leave(self.client, self._is_refused)
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    # What the parser calls

    def on_message_begin(self) -> None:
        """Note that the client has begun a request."""
        super().on_message_begin()
        if self._extensions:
            self.scope["extensions"] = self._extensions
        self._is_in_head, self._began_at = True, self._heard_at

    def on_headers_complete(self) -> None:
        """Check the head of a request. Raises RequestRefused, at which the parser stops."""
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise RequestRefused(400, "BadRequest", f"This is not HTTP/1.1: it is HTTP/{version}.")
        if len(self.url) >= MAX_HEAD_BYTES:  # it came with all before it at once
            raise _head_too_large()
        if not self.url.startswith(b"/"):
            self.url = _without_host(self.url)
        if version == "1.0":  # which knows no 100 Continue
            self.expect_100_continue = False
        try:
            super().on_headers_complete()
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
            raise RequestRefused(400, "BadRequest", "This is not HTTP/1.1: its URL is none.") from None
        self._is_in_head, self._is_in_body, self._bytes_beside_body = False, True, 0
        self._awaits_consent, self._dropped_bytes = self.expect_100_continue, 0
        self.headers = []  # one that comes after a body in chunks counts for nothing

    def on_body(self, body: bytes) -> None:
        """Take in some of a request's body."""
        self._bytes_beside_body, self._awaits_consent = 0, False
        super().on_body(body)
        if self.cycle.response_complete:
            self._dropped_bytes += len(body)
            if self._dropped_bytes > MAX_REST_BYTES:
                self._writes.close_now()

    def on_message_complete(self) -> None:
        """Note that a request has come whole."""
        self._is_in_body, self._bytes_beside_body = False, 0
        super().on_message_complete()
        if self._closes_after_body:
            self.transport.close()

    # What uvicorn calls

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Note that an answer has been given; the next request's turn has come."""
        self._running = None
        self._writes.flush()
        super().on_response_complete()
        if self._running is None:
            self._heard_at = self.loop.time()
            self._say_last_words()

    # What follows from it

    def _may_close(self) -> bool:
        """Tell whether the client has sent all. Who is still sending would miss the answer if we closed now."""
        self._closes_after_body = self._is_in_body and self.cycle.response_complete and not self._awaits_consent
        return not self._closes_after_body

    def _end_after(self, cycle: Any) -> None:
        """Read no more, and close once this request, the last that came, is answered."""
        self._reads_no_more = True
        if cycle is None or cycle.response_complete:
            self.transport.close()
        else:
            cycle.keep_alive = False

    def _refuse(self, error: Exception | None) -> None:
        """Read no more; give this answer, if any, after all that came before, and close.

        The answer is about the request that is coming in; if that was answered before it was whole, none is given.
        """
        self._reads_no_more = True
        self._last_words = b"" if error is None else self._written(error)
        if self._is_in_body:
            coming = self.cycle
            if coming.response_started:
                self._last_words = b""
            coming.disconnected = True  # the application hears that it will never be whole
            coming.message_event.set()
            if coming is self._running:
                self._running = None
            self.pipeline = type(self.pipeline)(each for each in self.pipeline if each[0] is not coming)
        self._is_in_head = self._is_in_body = False
        if self._running is None:
            self._say_last_words()

    def _say_last_words(self) -> None:
        if self._last_words is None or self.transport.is_closing():
            return
        if self._last_words:
            self.transport.write(self._last_words)
            self.flow.resume_reading()  # what still comes is dropped
            self._writes.close_later(self.loop, LINGER_SECONDS)
        else:
            self.transport.close()

    def _written(self, error: Exception) -> bytes:
        answer = failure(error)
        lines = [*self.server_state.default_headers, *answer.start()["headers"], (b"connection", b"close")]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
        return STATUS_LINE[answer.status] + head + b"\r\n" + answer.body


def _head_too_large() -> RequestRefused:
    return RequestRefused(431, "TooLarge", "The URL and the headers may have 64 KB at the most.")


def _without_host(url: bytes) -> bytes:
    """Return path and query of an absolute URL, which a request to a proxy has."""
    try:
        parts = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        return b"/" + url
    return (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")

"""uvicorn's HTTP protocol with a limit on what comes before a body: it has none of its own."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from broker_sched.http.joined import JoinedTransport

MAX_HEAD_BYTES = 64 * 1024  # request line and headers, as luigid's
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain\r\nconnection: close\r\ncontent-length: 53\r\n\r\n"
    b"The URL and the headers may have 64 KB at the most.\r\n"
)


class LimitedProtocol(HttpToolsProtocol):
    """Refuses a head of more than MAX_HEAD_BYTES and closes, so that no client can fill the memory with one."""

    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client came."""
        super().connection_made(cast(asyncio.Transport, JoinedTransport(transport, self.loop)))

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._in_head:
            self._head_bytes += len(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES + len(data):
            self.transport.write(TOO_LARGE)
            self.transport.close()
            return
        super().data_received(data)

    def _unsupported_upgrade_warning(self) -> None:
        """The application refuses an upgrade with a clear answer; the log needs no more."""

"""Joins the head of an answer with its body: one packet instead of two, and the client wakes once."""

from __future__ import annotations

import asyncio

JOINED_BYTES = 65536  # a longer body is not copied to stand behind its head
HEAD, WITH_BODY = b"HTTP/1.1 ", b"\r\ncontent-length: "


class JoinedWrites:
    """A transport, as an answer needs it: a head that announces a body is held until the first of that comes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._write = transport.write
        self._close = transport.close
        self._held = b""
        self.is_closing = transport.is_closing
        self.abort = transport.abort
        self.get_write_buffer_size = transport.get_write_buffer_size

    def write(self, data: bytes) -> None:
        """Send this, now or with what comes next."""
        if self._held:
            held, self._held = self._held, b""
            if len(data) <= JOINED_BYTES:
                self._write(held + data)
                return
            self._write(held)
        elif data.startswith(HEAD) and WITH_BODY in data:
            self._held = data
            return
        self._write(data)

    def flush(self) -> None:
        """Send what is held: nothing follows it."""
        if self._held:
            held, self._held = self._held, b""
            self._write(held)

    def close(self) -> None:
        """Close the connection when all is sent."""
        self.flush()
        self._close()

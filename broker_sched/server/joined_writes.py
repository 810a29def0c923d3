"""How answers leave: head and body in one packet, so that the client wakes once, and a last one so that it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

JOINED_BYTES = 65536  # a longer body is not copied to stand behind its head
HEAD, WITH_BODY = b"HTTP/1.1 ", b"\r\ncontent-length: "


class JoinedWrites:
    """A transport, as an answer needs it: a head that announces a body is held until the first of that comes.

    may_close: is asked when an answer has been given after which the connection is to be closed; False: whoever says
    so closes it later.
    """

    def __init__(self, transport: asyncio.Transport, may_close: Callable[[], bool]) -> None:
        self._transport = transport
        self._write = transport.write
        self._may_close = may_close
        self._held = b""
        self._closes_later = False
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

    def is_closing(self) -> bool:
        """Tell whether nothing more can be sent."""
        return self._closes_later or self._transport.is_closing()

    def close(self) -> None:
        """Close the connection when all is sent, and when it may be closed."""
        if not self._closes_later:
            self.flush()
            if self._may_close():
                self._transport.close()

    def close_later(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Say that nothing more is sent, and close when the client does, at the latest after so many seconds.

        A client may be sending still. What has not been read when a connection is closed resets it, and a reset may
        reach the client before the answer does, or make its system throw the answer away.
        """
        self.flush()
        self._closes_later = True
        if self._transport.can_write_eof():  # TLS has no half-closed connection
            self._transport.write_eof()
        loop.call_later(seconds, self.close_now)

    def close_now(self) -> None:
        """Close the connection, though the client may be sending still: TLS would wait until it stops."""
        self._transport.close() if self._transport.can_write_eof() else self._transport.abort()

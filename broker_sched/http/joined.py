"""A transport that sends a response's head and body together.

uvicorn writes them one after the other: two packets, and a client that is woken twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

JOINED_BYTES = 65536  # a longer part is not copied


class JoinedTransport:
    """The transport behind it, but for when it writes."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # whatever the transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send this with what is written next, or when the event loop goes on."""
        self._parts.append(data)
        if len(self._parts) == 1:
            self._loop.call_soon(self._send)
        else:
            self._send()

    def close(self) -> None:
        """Close when all is sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if not parts or self._transport.is_closing():
            return
        if any(len(part) > JOINED_BYTES for part in parts):
            for part in parts:
                self._transport.write(part)
        else:  # not writelines: asyncio's never gets rid of an empty last part, and forgets to slow down
            self._transport.write(b"".join(parts))

"""Wakes the worker's loop from another thread."""

from __future__ import annotations

import contextlib
import socket


class WakeupSocket:
    """Readable (fileno) once rung, until cleared."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)

    def fileno(self) -> int:
        """For select and the like."""
        return self._ours.fileno()

    def ring(self) -> None:
        """From any thread, and from signal handlers."""
        with contextlib.suppress(OSError):  # full: it is readable anyway
            self._theirs.send(b"!")

    def clear(self) -> bool:
        """Whoever rang is about to be looked at. Returns whether it was rung."""
        with contextlib.suppress(OSError):
            return bool(self._ours.recv(4096))
        return False

    def close(self) -> None:
        """Give the sockets back."""
        self._ours.close()
        self._theirs.close()

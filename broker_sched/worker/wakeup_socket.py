"""Wakes the worker's loop from another thread."""

from __future__ import annotations

import contextlib
import socket


class WakeupSocket:
    """A socket that becomes readable by wake(), and stays so until clear().

    For select and multiprocessing.connection.wait.
    """

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable."""
        return self._ours.fileno()

    def wake(self) -> None:
        """Make the socket readable. Any thread and any signal handler may call it."""
        with contextlib.suppress(OSError):  # full: it is readable anyway
            self._theirs.send(b"!")

    def clear(self) -> bool:
        """Make the socket unreadable again. Returns whether wake() was called since the last time."""
        with contextlib.suppress(OSError):
            return bool(self._ours.recv(4096))
        return False

    def close(self) -> None:
        """Close both sockets; wake() does nothing from then on."""
        self._ours.close()
        self._theirs.close()

    def __del__(self) -> None:
        self.close()  # a worker that has run may run again, so that nobody else knows when it is used no more

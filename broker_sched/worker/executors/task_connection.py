"""The connection between a worker and a task process, which carries messages both ways.

Whatever the task does, the worker never waits for it: a task may be stopped or killed in the middle of a message, and a
child of its own may keep the connection open.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.connection
import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

log = logging.getLogger("bsched.worker")
LENGTH = struct.Struct("!Q")  # before each message
CHUNK = 1 << 16
CHUNKS_AT_ONCE = 64  # a task that never stops talking does not keep the worker from the others
MOST_UNSENT = 1 << 20  # bytes; a task that reads none of its messages gets no more


class TasksEnd:
    """The task process's end of the connection. Sending waits until the worker has read enough to make room."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, thing: Any) -> None:
        """Send anything that can be pickled. Raises what pickling raises, and OSError when the worker is gone."""
        data = pickle.dumps(thing)
        with self._lock:
            self._connection.sendall(LENGTH.pack(len(data)) + data)

    def receive(self, timeout_seconds: float | None = None) -> Any:
        """Return the next message.

        Raises TimeoutError when none begins within that many seconds, OSError when the worker is gone.
        """
        if timeout_seconds is not None and not multiprocessing.connection.wait([self._connection], timeout_seconds):
            raise TimeoutError
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return pickle.loads(self._exactly(length))

    def await_message(self, stop: Any) -> bool:
        """Wait for a message, or until `stop` is readable. Returns whether there is a message, and no stop."""
        return stop not in multiprocessing.connection.wait([self._connection, stop])

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._connection.recv(min(size - len(data), CHUNK))
            if not chunk:
                raise ConnectionError("The worker has closed the connection.")
            data += chunk
        return bytes(data)


class WorkersEnd:
    """The worker's end of the connection. No method of it waits."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._received = bytearray()
        self._unsent = bytearray()
        self._lock = threading.Lock()  # around what is unsent: the heartbeat's thread sends
        self.is_at_end = False  # nothing more will come

    def fileno(self) -> int:
        """Return the file descriptor, for select and multiprocessing.connection.wait: readable when the task has sent
        something."""
        return self._connection.fileno()

    def receive(self, everything: bool = False) -> Iterator[Any]:
        """Yield the messages that have arrived whole; of many only some, unless `everything` is wanted.

        Those that can't be unpickled here are logged and left out.
        """
        self._fill(everything)
        while len(self._received) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._received)
            end = LENGTH.size + length
            if len(self._received) < end:
                return
            data = bytes(self._received[LENGTH.size : end])
            del self._received[:end]
            try:
                message = pickle.loads(data)
            except Exception as error:  # a class that is not here, for example
                log.error("A task told something that can't be read here: %s", error)
                continue
            yield message

    def send(self, thing: Any) -> bool:
        """Send what there is room for now; flush() sends the rest.

        Returns False when too much is unsent: then it is lost.
        """
        data = pickle.dumps(thing)
        with self._lock:
            self._flush()
            if len(self._unsent) > MOST_UNSENT:
                return False
            self._unsent += LENGTH.pack(len(data)) + data
            self._flush()
            return True

    def flush(self) -> None:
        """Send more of what earlier calls of send() had no room for."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        with contextlib.suppress(OSError):  # BlockingIOError: no room; else the task is gone
            while self._unsent:
                del self._unsent[: self._connection.send(self._unsent)]

    def close(self) -> None:
        """Close the worker's end; the task learns from that that its worker is gone."""
        self._connection.close()

    def _fill(self, everything: bool) -> None:
        chunks = 0
        while not self.is_at_end and (everything or chunks < CHUNKS_AT_ONCE):
            chunks += 1
            try:
                chunk = self._connection.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            self._received += chunk
            self.is_at_end = not chunk

"""An address that leads to a primary, and moves to its replica at a failover, while the old primary lives on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers import RunningRedis, free_port, until

PAUSE_MS = 5000  # that a primary holds writes back at the most, while it hands over


class Address:
    """Forwards connections to a port, those that are open to where they once led."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._threads: list[threading.Thread] = []
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def close(self) -> None:
        """Take no more connections, and cut off those that are open."""
        _cut_off(self._listener)
        self._threads[0].join()
        for each in self._ends:
            _cut_off(each)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._ends):
            each.close()

    def _start(self, target: Callable[..., None], *ends: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=ends, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                outer, _ = self._listener.accept()
                self._ends.append(outer)
                inner = socket.create_connection(("127.0.0.1", self.target))
                self._ends.append(inner)
                self._start(_pass_on, outer, inner)
                self._start(_pass_on, inner, outer)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        _cut_off(end)


def _cut_off(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


class Pair:
    """A primary, its replica, and the address that leads to the primary. A failover exchanges the two."""

    def __init__(self, binary: Path, directory: Path, arguments: Sequence[str] = ()) -> None:
        self.primary = RunningRedis(binary, directory / "one", free_port(), arguments)
        following = ("--replicaof", "127.0.0.1", str(self.primary.port), *arguments)
        self.replica = RunningRedis(binary, directory / "other", free_port(), following)
        self.address = Address(self.primary.port or 0)
        self._await_replica()

    def fail_over(self, follows: bool = False) -> None:
        """Hand over, with all that was written; the address follows, connections that are open stay where they are.

        follows: whether the old primary replicates the new one from now on; else it keeps what it had.
        """
        self._await_replica()
        old, new = self.primary.client(), self.replica.client()
        old.execute_command("CLIENT", "PAUSE", PAUSE_MS, "WRITE")
        written = old.info("replication")["master_repl_offset"]
        until(lambda: new.info("replication")["slave_repl_offset"] >= written, "the replica has all")
        new.execute_command("REPLICAOF", "NO", "ONE")
        self.address.target = self.replica.port or 0
        old.execute_command("REPLICAOF", "127.0.0.1", self.replica.port if follows else 1)
        old.execute_command("CLIENT", "UNPAUSE")
        self.primary, self.replica = self.replica, self.primary

    def _await_replica(self) -> None:
        def follows() -> bool:
            told = self.replica.client().info("replication")
            return bool(told["role"] == "slave" and told["master_link_status"] == "up")

        until(follows, "the replica follows")

    def close(self) -> None:
        """End all."""
        self.address.close()
        self.primary.kill()
        self.replica.kill()


@contextmanager
def moving_address(binary: Path, directory: Path, arguments: Sequence[str] = ()) -> Iterator[Pair]:
    """Run a primary and its replica as long as the block lasts. arguments: of both."""
    pair = Pair(binary, directory, arguments)
    try:
        yield pair
    finally:
        pair.close()

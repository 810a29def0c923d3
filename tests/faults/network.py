"""The way from clients to a server, which a test may cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any


class Network:
    """Passes TCP on to a port, until it is cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.is_cut = False
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        """Cut it, and wait until nothing passes any more."""
        self.cut()
        _break(self._listener)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def cut(self) -> None:
        """Break what is open, refuse what comes."""
        self.is_cut = True
        for each in self._open:
            _break(each)
        self._open.clear()

    def mend(self) -> None:
        """Take connections again."""
        self.is_cut = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it is closed
                return
            if self.is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            back.start()
            self._start(self._pass_both_ways, client, server, back)

    def _pass_both_ways(self, client: socket.socket, server: socket.socket, back: threading.Thread) -> None:
        with client, server:
            self._pass_on(client, server)
            back.join()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _break(source)
        _break(sink)


def _break(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

"""What stands before several servers in tests: a forwarder of TCP connections, as a load balancer is."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit


class Forwarder:
    """Gives each connection to the first of these servers that takes it. url: where it listens."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = list(urls)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open end with their servers."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._server()
                if server is None:
                    client.close()
                    continue
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()

    def _server(self) -> socket.socket | None:
        for url in self.urls:
            parts = urlsplit(url)
            with contextlib.suppress(OSError):
                return socket.create_connection((str(parts.hostname), parts.port or 80), timeout=1)
        return None


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass on all that comes from one side, and then end both. The other way has a thread of its own, as this has."""
    with source, contextlib.suppress(OSError):
        source.settimeout(None)
        target.settimeout(None)
        while part := source.recv(65536):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def forwarding(*urls: str) -> Iterator[Forwarder]:
    """Forward to these servers as long as the block lasts."""
    forwarder = Forwarder(urls)
    try:
        yield forwarder
    finally:
        forwarder.close()

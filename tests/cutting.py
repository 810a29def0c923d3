"""A proxy that cuts one connection, once, at a chosen point of a request or of its reply."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

POINTS = ("before the request", "in the middle of it", "before the reply", "in the middle of the reply", "late copy")
CHUNK = 1 << 16


class CuttingProxy:
    """Between a client and a server on 127.0.0.1.

    cut(point): what the client sends next is cut there, in place of `POINTS`. `late copy`: the connection is cut before
    the server has the request, which then arrives all the same, at let_go().
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._point: str | None = None
        self.cuts = 0
        self._held: list[tuple[socket.socket, bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, point: str) -> None:
        """The next request."""
        assert point in POINTS
        self._point = point

    def let_go(self) -> None:
        """Deliver what was held back, and wait for the answers, which nobody gets."""
        while self._held:
            server, request = self._held.pop()
            server.settimeout(10)
            server.sendall(request)
            assert server.recv(CHUNK), "the server has answered the late copy"
            server.close()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self._target) as server, client:
            threading.Thread(target=self._pass_back, args=(server, client), daemon=True).start()
            while chunk := client.recv(CHUNK):
                point, self._point = self._point, None
                if point is None:
                    server.sendall(chunk)
                    continue
                self.cuts += 1
                self._cut(point, chunk, client, server)
                break
            server.shutdown(socket.SHUT_RDWR)  # else it stays open while the other thread reads

    def _cut(self, point: str, chunk: bytes, client: socket.socket, server: socket.socket) -> None:
        if point == "in the middle of it":
            server.sendall(chunk[: len(chunk) // 2])
        elif point != "before the request":
            request = self._rest(chunk, client)
            own = socket.create_connection(self._target)  # whose replies nobody else reads
            if point == "late copy":
                self._held.append((own, request))
                return
            own.sendall(request)
            reply = own.recv(CHUNK)
            if point == "in the middle of the reply":
                client.sendall(reply[: len(reply) // 2])
            own.close()

    def _rest(self, chunk: bytes, client: socket.socket) -> bytes:
        """The request, whole: an HTTP body may come by itself."""
        if found := re.search(rb"content-length: (\d+)", chunk, re.IGNORECASE):
            wanted = chunk.index(b"\r\n\r\n") + 4 + int(found[1])
            while len(chunk) < wanted:
                chunk += client.recv(CHUNK)
        return chunk

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(CHUNK):
                client.sendall(chunk)

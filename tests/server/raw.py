"""Bytes to a server and back, below what an HTTP client would let through."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.harness import PATIENCE_SECONDS, ServerProcess

HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n"


class Said(NamedTuple):
    """One answer on the wire."""

    status: int
    head: bytes
    body: bytes


def connected(server: ServerProcess) -> socket.socket:
    parts = urlsplit(server.url)
    link = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE_SECONDS)
    if server.trusting is None:
        return link
    return server.trusting.wrap_socket(link, server_hostname=parts.hostname)


def is_read(link: socket.socket) -> bool:
    """Whether the server has taken the connection, and all that was sent on it (Linux)."""
    port = f":{link.getsockname()[1]:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, _, queues, _, _, _, _, inode, *_ = line.split()
        if remote.endswith(port):  # the server's end
            return inode != "0" and queues.endswith(":00000000")
    return False


def get(path: bytes, headers: bytes = b"", verb: bytes = b"GET") -> bytes:
    return verb + b" " + path + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n"


def post(path: bytes, body: bytes, headers: bytes = b"") -> bytes:
    kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + headers + kind + b"\r\n" + body


def until_closed(link: socket.socket) -> bytes:
    """All that it says before it closes, however it does.

    Over TLS a server that has refused something lingers for a second until its client closes: so do we, once the last
    answer is whole.
    """
    said = b""
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        while part := link.recv(65536):
            said += part
            if isinstance(link, ssl.SSLSocket) and _is_last_whole(said):
                break
    return said


def _is_last_whole(said: bytes) -> bool:
    """Whether the answer that says it is the last has come to its end."""
    found = re.search(rb"content-length: (\d+)\r\nconnection: close\r\n\r\n(.*)\Z", said, re.S)
    return found is not None and len(found[2]) == int(found[1])


def answers(said: bytes, is_head: bool = False) -> list[Said]:
    """The answers in it, whole. is_head: of requests to which no body belongs."""
    found = []
    while said:
        head, end, said = said.partition(b"\r\n\r\n")
        assert end, f"half an answer: {head!r}"
        length = re.search(rb"content-length: (\d+)", head, re.I)
        count = int(length[1]) if length and not is_head else 0
        assert len(said) >= count, f"half a body: {said!r}"
        found.append(Said(int(head[9:12]), head, said[:count]))
        said = said[count:]
    return found


def conversation(server: ServerProcess, *parts: bytes, is_head: bool = False) -> list[Said]:
    """Send this; the answers until it closes."""
    with connected(server) as link:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            for part in parts:
                link.sendall(part)
        return answers(until_closed(link), is_head)

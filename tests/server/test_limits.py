"""What comes before a body is limited, and an upgrade is refused instead of losing the body."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tests.harness import ServerProcess


def connected(server: ServerProcess) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)


def answer_up_to(link: socket.socket, text: bytes) -> bytes:
    """What it says up to this text; all of it, if it closes before."""
    said = b""
    while text not in said and (part := link.recv(65536)):
        said += part
    return said


@pytest.mark.parametrize("endless", [b"GET /api/is_paused?data=", b"GET / HTTP/1.1\r\nHost: x\r\nA: "])
def test_a_head_without_end_is_refused_and_the_connection_closed(server: ServerProcess, endless: bytes) -> None:
    with connected(server) as link:
        sent = 0
        try:
            link.sendall(endless)
            while sent < 50_000_000:
                sent += link.send(b"x" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 20_000_000
    assert server.request("GET", "/healthz").status == 200


def test_many_headers_within_the_limit_are_fine(server: ServerProcess) -> None:
    assert server.request("GET", "/healthz", headers={f"X-{number}": "y" * 50 for number in range(500)}).status == 200


def test_a_post_that_asks_for_an_upgrade_is_refused_with_the_reason(server: ServerProcess) -> None:
    body = b'{"db":7}'
    with connected(server) as link:
        link.sendall(
            b"POST /api/update_resources HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        said = answer_up_to(link, b"without the Upgrade header")
    assert said.startswith(b"HTTP/1.1 400")
    assert b"without the Upgrade header" in said

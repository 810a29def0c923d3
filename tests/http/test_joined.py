"""A response's head and body leave together."""

from __future__ import annotations

import asyncio
from typing import Any

from broker_sched.http.joined import JoinedTransport
from tests.http.harness import ServerProcess
from tests.http.test_limits import connected


class Wire:
    """A transport that keeps what is done to it."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def writelines(self, parts: list[bytes]) -> None:
        self.done.append(b"".join(parts))

    def close(self) -> None:
        self.done.append("close")

    def is_closing(self) -> bool:
        return "close" in self.done


def test_a_head_is_sent_with_its_body_and_without_one_when_the_loop_goes_on() -> None:
    async def write() -> list[Any]:
        wire: Any = Wire()
        joined = JoinedTransport(wire, asyncio.get_running_loop())
        joined.write(b"head ")
        assert wire.done == []
        joined.write(b"body")
        assert wire.done == [b"head body"]
        await asyncio.sleep(0)
        joined.write(b"head alone")
        await asyncio.sleep(0)
        return list(wire.done)

    assert asyncio.run(write()) == [b"head body", b"head alone"]


def test_all_is_sent_before_it_closes() -> None:
    async def write_and_close() -> list[Any]:
        wire: Any = Wire()
        joined = JoinedTransport(wire, asyncio.get_running_loop())
        joined.write(b"last")
        joined.close()
        assert joined.is_closing()
        await asyncio.sleep(0)
        return list(wire.done)

    assert asyncio.run(write_and_close()) == [b"last", "close"]


def test_the_server_answers_with_one_packet(server: ServerProcess) -> None:
    with connected(server) as link:
        for _ in range(5):
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert link.recv(65536).endswith(b'{"alive":true}')

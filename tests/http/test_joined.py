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

    def write(self, data: bytes) -> None:
        self.done.append(data)

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


def test_a_long_body_is_not_copied_and_nothing_is_sent_where_the_client_is_gone() -> None:
    async def write() -> list[Any]:
        wire: Any = Wire()
        joined = JoinedTransport(wire, asyncio.get_running_loop())
        joined.write(b"head")
        joined.write(b"x" * 100_000)
        joined.write(b"head")
        wire.close()
        await asyncio.sleep(0)
        return list(wire.done)

    assert asyncio.run(write()) == [b"head", b"x" * 100_000, "close"]


def test_an_answer_without_a_body_is_sent_by_the_event_loop_of_the_standard_library() -> None:
    async def answer_of(reader: asyncio.StreamReader, joined: Any) -> bytes:
        joined.write(b"head")
        joined.write(b"")
        joined.close()
        return await asyncio.wait_for(reader.read(), 10)

    async def exchange() -> bytes:
        accepted: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

        class Accepting(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                accepted.set_result(transport)

        server = await asyncio.get_running_loop().create_server(Accepting, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                return await answer_of(reader, JoinedTransport(await accepted, asyncio.get_running_loop()))
            finally:
                writer.close()

    assert asyncio.run(exchange()) == b"head"


def test_the_server_answers_with_one_packet(server: ServerProcess) -> None:
    with connected(server) as link:
        for _ in range(5):
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert link.recv(65536).endswith(b'{"alive":true}')

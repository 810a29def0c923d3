"""Real sockets, on the event loop of the standard library and on uvloop; and how serving ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from broker_sched.server import serve as server_module
from broker_sched.server.connection import Request
from broker_sched.server.responses import Answer
from broker_sched.server.serve import Signals, run_loop, serve_until

LONG = 3_000_000
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE_SECONDS = 20

pytestmark = pytest.mark.parametrize("run", [asyncio.run, run_loop])


class Stopping(Signals):
    """As signals, without any."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self.are_urgent = False

    def stop(self) -> None:
        self._came.set()


class Service:
    """A server whose paths say what is answered: /long much, /stuck never."""

    def __init__(self) -> None:
        self.signals = Stopping()
        self.requests: list[str] = []
        self.cancelled = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        started = asyncio.Event()
        self.started = started
        self.task = asyncio.create_task(
            serve_until(self.signals, self._respond, self.socket, started.set, lambda: None)
        )

    async def _respond(self, request: Request) -> Answer:
        self.requests.append(request.path)
        if request.path == "/stuck":
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return Answer(200, b"", b"x" * LONG if request.path == "/long" else request.path.encode())

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def asked(self, count: int) -> None:
        """Until so many requests have come."""
        while len(self.requests) < count:
            await asyncio.sleep(0.01)


def with_service(run: Callable[..., Any], act: Callable[[Service], Any]) -> Service:
    """Act with a service, which then stops if it has not yet."""

    async def all_of_it() -> Service:
        service = Service()
        await service.started.wait()
        await act(service)
        service.signals.stop()
        await service.task
        return service

    async def in_time() -> Service:
        return await asyncio.wait_for(all_of_it(), PATIENCE_SECONDS)

    return run(in_time())  # type: ignore[no-any-return]


async def body_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))


def test_a_slow_reader_gets_all_of_it_in_order(run: Any) -> None:
    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write((GET % b"long" + GET % b"short") * 5)
            for _ in range(5):
                await asyncio.sleep(0.02)
                assert len(await body_of(reader)) == LONG
                assert await body_of(reader) == b"/short"

    with_service(run, act)


def test_a_client_that_reads_nothing_is_not_worked_for(run: Any) -> None:
    async def act(service: Service) -> None:
        with socket.create_connection(service.address) as client:
            client.setblocking(False)
            client.send(GET % b"long" * 20)
            await service.asked(1)
            await asyncio.sleep(0.2)
        async with service.client() as (reader, writer):  # and when it leaves, others are served
            writer.write(GET % b"short")
            assert await body_of(reader) == b"/short"

    assert with_service(run, act).requests.count("/long") < 15


def test_idle_connections_are_closed_after_a_while(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "IDLE_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(server_module, "KEEP_ALIVE_SECONDS", 0.1)

    async def act(service: Service) -> None:
        async with service.client() as (idle, _), service.client() as (reader, writer):
            writer.write(GET % b"stuck")
            assert await idle.read() == b""
            assert service.requests == ["/stuck"] and not reader.at_eof()
        service.signals.are_urgent = True

    with_service(run, act)


def test_a_stopped_server_waits_for_those_at_work_and_not_for_those_that_came_just_then(run: Any) -> None:
    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(GET % b"stuck")
            await service.asked(1)
            late = [socket.create_connection(service.address) for _ in range(10)]
            service.signals.stop()
            await asyncio.sleep(0.2)
            assert not service.task.done()
            for each in late:
                each.setblocking(False)
                with contextlib.suppress(ConnectionResetError):
                    assert each.recv(1) == b""
                each.close()
            service.signals.are_urgent = True
            await service.task
            assert await reader.read() == b""

    assert with_service(run, act).cancelled == 1


def test_a_stopped_server_does_not_wait_for_ever(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "GRACEFUL_SECONDS", 0.1)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(GET % b"stuck")
            await service.asked(1)
            service.signals.stop()
            assert await reader.read() == b""
            await service.task

    assert with_service(run, act).cancelled == 1


def test_a_request_whose_client_has_gone_is_waited_for(run: Any) -> None:
    async def act(service: Service) -> None:
        async with service.client() as (_, writer):
            writer.write(GET % b"stuck")
            await service.asked(1)
        service.signals.stop()
        await asyncio.sleep(0.2)
        assert not service.task.done()
        service.signals.are_urgent = True

    assert with_service(run, act).cancelled == 1


BEGUN = b"POST /begun HTTP/1.1\r\nHost: x\r\n"
HALF_A_REQUEST = {
    "body": BEGUN + b"Content-Length: 100\r\n\r\nhalf",
    "chunk": BEGUN + b"Transfer-Encoding: chunked\r\n\r\n5\r\nha",
    "body to be asked for": BEGUN + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    "body that is too long": BEGUN + b"Content-Length: 99999999\r\n\r\nhalf",
    "body after another request": GET % b"whole" + BEGUN + b"Content-Length: 100\r\n\r\nhalf",
}


@pytest.mark.parametrize("half", HALF_A_REQUEST)
@pytest.mark.parametrize("at_end", [True, False])
def test_half_a_request_that_does_not_go_on_holds_nothing_up(
    run: Any, half: str, at_end: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(server_module, "IDLE_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(server_module, "STALLED_AT_END_SECONDS" if at_end else "STALLED_SECONDS", 0.1)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(HALF_A_REQUEST[half])
            await writer.drain()
            for _ in range(2):  # when others, who came later, are answered, that has been read
                async with service.client() as (others_reader, others_writer):
                    others_writer.write(GET % b"other")
                    await body_of(others_reader)
            if at_end:
                service.signals.stop()
            told = await reader.read()
            assert (b"408" in told or b"413" in told) and b"/begun" not in told
            if at_end:
                await service.task

    with_service(run, act)


def test_a_request_that_comes_slowly_is_answered_by_a_server_that_ends(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "STALLED_AT_END_SECONDS", 1.0)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(BEGUN + b"Content-Length: 20\r\nExpect: 100-continue\r\n\r\n")
            assert b"100" in await reader.readuntil(b"\r\n\r\n")
            service.signals.stop()
            for _ in range(20):
                writer.write(b"x")
                await asyncio.sleep(0.1)
            assert await body_of(reader) == b"/begun"

    with_service(run, act)

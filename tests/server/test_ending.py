"""What takes long, or never ends: slow clients, half requests, and how serving ends.

On both event loops, and over TLS on the one that servers use.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import pytest
from starlette.types import Receive, Scope, Send

from broker_sched.server import protocol as protocol_module
from broker_sched.server import serve as server_module
from broker_sched.server.serve import Server, run_loop
from broker_sched.server.tls import TLS, TLSFiles
from tests.certificates import Authority

LONG = 3_000_000
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE_SECONDS = 20

pytestmark = [
    pytest.mark.usefixtures("spoken"),
    pytest.mark.parametrize(
        ("run", "spoken"), [(asyncio.run, "http"), (run_loop, "http"), (run_loop, "https")], indirect=["spoken"]
    ),
]


class Service:
    """A server whose paths say what is answered: /long much, /stuck never, everything else its own body.

    /early is answered before all of the request has come, /held when `release` is set.
    """

    tls: ClassVar[TLS | None] = None
    trusting: ClassVar[ssl.SSLContext | None] = None

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answered: list[str] = []
        self.cancelled = 0
        self.release = asyncio.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self.started = asyncio.Event()
        self.server = Server(self._answer, self.started.set, lambda: None, self.tls)
        self.task = asyncio.create_task(self.server.serve(sockets=[self.socket]))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.requests.append(path)
        message = await receive()
        while message.get("more_body") and path != "/early":
            message = await receive()
        if message["type"] == "http.disconnect":
            return
        if path == "/stuck":
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if path == "/held":
            await self.release.wait()
        body = b"x" * LONG if path == "/long" else path.encode()
        length = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})
        self.answered.append(path)

    def stop(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self.address, ssl=self.trusting)
        try:
            yield reader, writer
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def raw(self) -> AsyncIterator[socket.socket]:
        """A client that reads only what it is told to."""

        def connected() -> socket.socket:
            link = socket.create_connection(self.address)
            return link if self.trusting is None else self.trusting.wrap_socket(link, server_hostname=self.address[0])

        with await asyncio.to_thread(connected) as link:
            yield link

    async def asked(self, count: int) -> None:
        """Until so many requests have come."""
        while len(self.requests) < count:
            await asyncio.sleep(0.01)

    async def accepts_nothing(self) -> None:
        """Until it has begun to end: nobody can connect any more."""
        while self.socket.fileno() != -1:
            await asyncio.sleep(0.01)

    async def serves_others(self) -> None:
        """Until it has read all that was sent before this."""
        for _ in range(2):
            async with self.client() as (reader, writer):
                writer.write(GET % b"other")
                assert await body_of(reader) == b"/other"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def spoken(request: pytest.FixtureRequest, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> str:
    """What services and clients speak."""
    if request.param == "https":
        monkeypatch.setattr(Service, "tls", TLS(TLSFiles(*authority.issue("127.0.0.1"))))
        monkeypatch.setattr(Service, "trusting", authority.context())
    return str(request.param)


def with_service(run: Callable[..., Any], act: Callable[[Service], Any]) -> Service:
    """Act with a service, which then stops if it has not yet."""

    async def all_of_it() -> Service:
        service = Service()
        await service.started.wait()
        await act(service)
        if not service.server.should_exit:
            service.stop()
        await service.task
        return service

    async def in_time() -> Service:
        return await asyncio.wait_for(all_of_it(), PATIENCE_SECONDS)

    return run(in_time())  # type: ignore[no-any-return]


async def body_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))


# Readers


def test_a_slow_reader_gets_all_of_it_in_order(run: Any) -> None:
    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write((GET % b"long" + GET % b"short") * 5)
            for _ in range(5):
                await service.serves_others()
                assert len(await body_of(reader)) == LONG
                assert await body_of(reader) == b"/short"

    with_service(run, act)


def test_a_client_that_reads_nothing_is_not_worked_for_and_keeps_nobody_waiting(run: Any) -> None:
    async def act(service: Service) -> None:
        async with service.raw() as client:
            client.setblocking(False)
            client.send(GET % b"long" * 20)
            await service.asked(1)
            await service.serves_others()

    assert with_service(run, act).requests.count("/long") < 15


def test_a_client_that_reads_nothing_is_given_up(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol_module, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(server_module, "LOOK_TICKS", 1)

    async def act(service: Service) -> None:
        async with service.raw() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            client.send(GET % b"long" * 20)
            await service.asked(1)
            while service.server.server_state.connections:
                await asyncio.sleep(0.01)

    with_service(run, act)


def test_a_stopped_server_waits_for_who_reads_and_not_for_who_does_not(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "HALF_SENT_SECONDS", 0.2)
    monkeypatch.setattr(protocol_module, "STALLED_AT_END_SECONDS", 0.3)

    async def act(service: Service) -> None:
        async with service.raw() as other, service.client() as (reader, writer):
            other.send(GET % b"long")
            writer.write(GET % b"long")
            await service.asked(2)
            await service.serves_others()
            service.stop()
            assert len(await body_of(reader)) == LONG
            await service.task

    with_service(run, act)


# Idle connections


@pytest.mark.parametrize("before", [b"", GET % b"one", b"\r\n"])
def test_idle_connections_are_closed_after_a_while(run: Any, monkeypatch: Any, before: bytes) -> None:
    monkeypatch.setattr(server_module, "LOOK_TICKS", 1)
    monkeypatch.setattr(protocol_module, "KEEP_ALIVE_SECONDS", 0.1)

    async def act(service: Service) -> None:
        async with service.client() as (idle, idle_writer), service.client() as (reader, writer):
            idle_writer.write(before)
            writer.write(GET % b"stuck")
            await idle.read()
            assert "/stuck" in service.requests and not reader.at_eof()
        service.stop()
        service.stop()

    with_service(run, act)


# The end


def test_a_stopped_server_waits_for_those_at_work_and_not_for_those_that_came_just_then(run: Any) -> None:
    async def act(service: Service) -> None:
        async with service.client() as (reader, writer), service.client() as (other_reader, other_writer):
            writer.write(GET % b"stuck")
            other_writer.write(GET % b"held")
            await service.asked(2)
            late = [socket.create_connection(service.address) for _ in range(10)]
            service.stop()
            await service.accepts_nothing()
            for each in late:
                if service.tls:  # whose greeting was not answered yet: there is nothing to wait for
                    each.setblocking(False)
                with contextlib.suppress(ConnectionResetError, *([BlockingIOError] if service.tls else [])):
                    assert await asyncio.to_thread(each.recv, 1) == b""
                each.close()
            service.release.set()
            assert await body_of(other_reader) == b"/held"
            assert not service.task.done()
            service.stop()
            await service.task
            assert await reader.read() == b""

    assert with_service(run, act).cancelled == 1


def test_a_stopped_server_does_not_wait_for_ever(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "GRACEFUL_SECONDS", 0.1)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(GET % b"stuck")
            await service.asked(1)
            service.stop()
            assert await reader.read() == b""
            await service.task

    assert with_service(run, act).cancelled == 1


def test_a_request_whose_client_has_gone_is_waited_for(run: Any) -> None:
    async def act(service: Service) -> None:
        async with service.client() as (_, writer):
            writer.write(GET % b"held")
            await service.asked(1)
        service.stop()
        await service.accepts_nothing()
        service.release.set()
        await service.task

    assert with_service(run, act).answered == ["/held"]


# Half a request

BEGUN = b"POST /begun HTTP/1.1\r\nHost: x\r\n"
HALF_A_REQUEST = {
    "head": BEGUN,
    "body": BEGUN + b"Content-Length: 100\r\n\r\nhalf",
    "chunk": BEGUN + b"Transfer-Encoding: chunked\r\n\r\n5\r\nha",
    "body to be asked for": BEGUN + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    "body after another request": GET % b"whole" + BEGUN + b"Content-Length: 100\r\n\r\nhalf",
}


@pytest.mark.parametrize("half", HALF_A_REQUEST)
def test_half_a_request_that_does_not_go_on_is_given_up(run: Any, half: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol_module, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(server_module, "LOOK_TICKS", 1)
    monkeypatch.setattr(protocol_module, "STALLED_SECONDS", 0.2)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(HALF_A_REQUEST[half])
            told = await reader.read()
            assert b"HTTP/1.1 408" in told and b"\r\n\r\n/begun" not in told

    with_service(run, act)


@pytest.mark.parametrize("is_in_head", [True, False])
def test_a_request_that_comes_byte_by_byte_for_ever_is_given_up(run: Any, is_in_head: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "LOOK_TICKS", 1)
    monkeypatch.setattr(protocol_module, "MAX_HEAD_SECONDS" if is_in_head else "MAX_BODY_SECONDS", 0.5)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(BEGUN + (b"A: " if is_in_head else b"Content-Length: 1000000\r\n\r\n"))
            told = asyncio.create_task(reader.read(1000))  # not to the end: who sends on may be reset then
            while not told.done():
                writer.write(b"x")
                await asyncio.sleep(0.02)
            assert told.result().startswith(b"HTTP/1.1 408")

    with_service(run, act)


@pytest.mark.parametrize("sent", [b"A: " + b"x" * LONG, b"no header at all\r\n" + b"x" * LONG])
def test_who_sends_on_while_it_is_refused_reads_why(run: Any, sent: bytes) -> None:
    async def act(service: Service) -> None:
        async with service.raw() as client:
            await asyncio.to_thread(client.sendall, BEGUN + sent)
            told = b""
            while part := await asyncio.to_thread(client.recv, 65536):  # a reset would raise here
                told += part
            assert told.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400")) and told.endswith(b"}}")

    with_service(run, act)


def test_who_was_refused_and_sends_on_for_ever_is_cut_off(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol_module, "LINGER_SECONDS", 0.2)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(b"no HTTP\r\n\r\n")
            assert b"HTTP/1.1 400" in await reader.read()
            while service.server.server_state.connections:
                writer.write(b"x")
                await asyncio.sleep(0.01)

    with_service(run, act)


@pytest.mark.parametrize("half", HALF_A_REQUEST)
def test_half_a_request_does_not_hold_up_the_end(run: Any, half: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "HALF_SENT_SECONDS", 0.2)
    monkeypatch.setattr(protocol_module, "LINGER_SECONDS", 0.2)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(HALF_A_REQUEST[half])
            await writer.drain()
            await service.serves_others()
            service.stop()
            told = await reader.read()
            assert (b"408" in told or half == "head") and b"\r\n\r\n/begun" not in told
            await service.task

    with_service(run, act)


def test_the_rest_of_a_request_that_comes_in_time_is_answered_by_a_server_that_ends(run: Any) -> None:
    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(BEGUN + b"Content-Length: 20\r\nExpect: 100-continue\r\n\r\n")
            assert b"100" in await reader.readuntil(b"\r\n\r\n")
            service.stop()
            await service.accepts_nothing()
            writer.write(b"x" * 20)
            assert await body_of(reader) == b"/begun"

    with_service(run, act)


# A request that is answered before all of it has come

EARLY = b"POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\nhalf"


def test_who_stops_sending_what_was_answered_already_is_given_up(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "LOOK_TICKS", 1)
    monkeypatch.setattr(protocol_module, "STALLED_SECONDS", 0.2)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(EARLY)
            assert (await reader.read()).endswith(b"\r\n\r\n/early"), "one answer, then the end"

    with_service(run, act)


def test_who_sends_for_ever_what_was_answered_already_is_cut_off(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol_module, "MAX_REST_BYTES", 1000)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(EARLY)
            assert await body_of(reader) == b"/early"
            while service.server.server_state.connections:
                writer.write(b"x" * 100)
                await asyncio.sleep(0.01)

    with_service(run, act)


def test_the_rest_of_what_was_answered_already_does_not_hold_up_the_end(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "HALF_SENT_SECONDS", 0.2)

    async def act(service: Service) -> None:
        async with service.client() as (reader, writer):
            writer.write(EARLY.replace(b"Connection: close\r\n", b""))
            assert await body_of(reader) == b"/early"
            service.stop()
            assert await reader.read() == b""
            await service.task

    with_service(run, act)

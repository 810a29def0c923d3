"""How much one client may have of a server: each refusal says why, and costs the others nothing but time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker_sched.errors import ConfigurationError
from broker_sched.server.limits import (
    ConnectionLimit,
    LimitedRequests,
    Limits,
    Share,
    counted_addresses,
    parse_limits,
)
from broker_sched.server.serve import run_loop
from tests.harness import RedisProcess, ServerProcess
from tests.server.raw import answers, connected, get, post, until_closed
from tests.server.test_ending import Service
from tests.servers import until

Start = Callable[..., ServerProcess]


@contextlib.contextmanager
def many(server: ServerProcess, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections to this server, on each of which this has been sent."""
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(connected(server)) for _ in range(count)]
        for link in links:
            link.sendall(sent)
        yield links


def test_connections_beyond_the_limit_are_told_to_come_again(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--limit", "connections=8").await_ready()
    with many(server, 8, get(b"/healthz")) as links:
        for link in links:
            assert link.recv(4096).startswith(b"HTTP/1.1 200")
        with connected(server) as one_more:
            (said,) = answers(until_closed(one_more))
        assert (said.status, json.loads(said.body)["error"]["type"]) == (503, "Busy")
        assert b"\r\nretry-after: 1\r\n" in said.head + b"\r\n" and b"connection: close" in said.head
        links[0].sendall(get(b"/healthz"))
        assert links[0].recv(4096).startswith(b"HTTP/1.1 200"), "who is there is served"
        for link in links:
            link.close()
        until(lambda: server.request("GET", "/healthz").status == 200, "the places are free again")


def test_who_is_refused_by_the_thousand_is_cut_off_and_leaves_nothing_behind() -> None:
    limit = ConnectionLimit(Limits(1, 1, 1, 1, 1, 1), str)
    assert limit.enter(("a", 1)) is None
    told = 0
    for _ in range(1000):
        assert limit.enter(("b", 1)) is not None
        told += limit.tells
    assert told == ConnectionLimit.TOLD_AT_ONCE
    for _ in range(1000):
        limit.leave(("b", 1), was_refused=True)
    assert limit.tells
    limit.leave(("a", 1), was_refused=False)
    assert limit.enter(("b", 1)) is None


def test_one_address_keeps_nobody_else_out() -> None:
    share = Share("connections", 10, 5)
    refusals = [share.take("evil") for _ in range(100)]
    assert refusals[:5] == [None] * 5
    assert all(each is not None and each.status == 429 for each in refusals[5:])
    assert [share.take(f"other {number}") for number in range(5)] == [None] * 5
    full = share.take("late")
    assert full is not None and full.status == 503
    share.give_back("evil")
    assert share.take("late") is None


def test_a_flood_from_one_address_leaves_the_others_served() -> None:
    """On real sockets: one address opens far more than it may, and sends on; another comes, and is answered."""
    limit = ConnectionLimit(Limits(20, 10, 20, 10, 20, 10), str)  # loopback's addresses are counted, too

    async def act() -> None:
        service = Service()
        service.server._limit = limit
        await service.started.wait()
        flood = [await asyncio.open_connection(*service.address, local_addr=("127.0.0.2", 0)) for _ in range(60)]
        for _, writer in flood:
            writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        refused = await flood[-1][0].read()
        assert refused.startswith(b"HTTP/1.1 429") and b"127.0.0.2 has 10 connections" in refused
        await service.serves_others()
        for _, writer in flood:
            writer.close()
        while service.server.server_state.connections:
            await asyncio.sleep(0.01)
        assert not limit._share._taken and limit._share._all == 0 == limit._refused, "all is given back"
        service.stop()
        await service.task

    run_loop(asyncio.wait_for(act(), 20))


def test_loopback_unix_sockets_and_proxies_are_not_counted_by_address() -> None:
    address_of = counted_addresses(("10.0.0.1",))
    assert [address_of(each) for each in ("127.0.0.1", "::1", "10.0.0.1", "10.0.0.2")] == ["", "", "", "10.0.0.2"]
    share = Share("connections", 10, 1)
    assert [share.take("") for _ in range(10)] == [None] * 10


def test_who_has_a_network_of_ipv6_has_one_address() -> None:
    address_of = counted_addresses(())
    assert len({address_of(f"2001:db8:0:1::{number}") for number in range(1, 9)}) == 1
    assert address_of("2001:db8:0:1::1") != address_of("2001:db8:0:2::1")
    assert address_of("::ffff:192.0.2.1") == "192.0.2.1"


def test_requests_and_long_polls_are_counted_apart() -> None:
    statuses: list[int] = []

    async def act() -> None:
        goes_on = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await goes_on.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message: Any) -> None:
            if "status" in message:
                statuses.append(message["status"])

        async def receive() -> None:
            return None

        limits = Limits(9, 9, requests=3, requests_per_address=2, waiting=4, waiting_per_address=3)
        front: Any = LimitedRequests(app, limits, str)

        def asked(path: str, client: str) -> asyncio.Task[None]:
            where = {"root_path": "/mounted", "path": f"/mounted{path}"}
            scope = {"type": "http", "method": "POST", **where, "client": (client, 1), "headers": []}
            return asyncio.create_task(front(scope, receive, send))

        tasks = [asked("/api/await_work", "a") for _ in range(4)]
        tasks += [asked("/api/get_work", "a") for _ in range(3)]
        tasks += [asked("/api/get_work", "b") for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sorted(statuses) == [429, 429, 503]
        goes_on.set()
        await asyncio.gather(*tasks)
        await asyncio.gather(asked("/api/get_work", "a"), asked("/api/await_work", "a"))

    asyncio.run(act())
    assert sorted(statuses) == [200] * 8 + [429, 429, 503]


def test_workers_that_wait_leave_room_for_calls(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, environment={"BSCHED_LIMIT": "waiting=2 requests=5"}).await_ready()
    wait = post(b"/api/await_work", b'{"worker":"w","seconds":30}')
    with many(server, 2, wait):
        until(lambda: server.request("POST", "/api/await_work", b"", {}).status == 503, "both wait")
        assert server.call("ping", worker="w") == {"rpc_messages": []}


def test_by_default_the_limit_is_what_the_system_lets_a_process_open(start_server: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        limits = Limits().filled_in()
        assert limits.connections == resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 128 == limits.requests
        assert limits.connections_per_address == limits.connections // 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("text", ["connections", "connections=0", "connections=-1", "connections=many", "files=3", ""])
def test_a_limit_is_a_name_and_a_number(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--limit is NAME=NUMBER"):
        parse_limits([text])

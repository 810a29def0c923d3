"""The shared connection to Redis, and the scheduler's persistence on it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import fakeredis
import pytest

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.errors import InvalidArgument, RedisUnavailable, ScriptError
from broker_sched.redis_backend import multiplexed_connection as connection_module
from broker_sched.redis_backend.multiplexed_connection import (
    ConnectionLost,
    InProcess,
    MultiplexedConnection,
    ReplyError,
)
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.recovery import SERVER
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.redis_backend.urls import Endpoint
from broker_sched.scheduler import async_scheduler as scheduler_module
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from tests.redis_backend.fake_redis import HANG_UP, OK, PRIMARY, REPLICA, SILENCE, FakeRedis


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


def echo(command: list[str]) -> bytes:
    if command[0] != "ECHO":
        return OK
    text = command[1].encode()
    return b"$%d\r\n%s\r\n" % (len(text), text)


def test_replies_reach_those_who_asked() -> None:
    async def scenario() -> None:
        async with FakeRedis(echo) as fake:
            connection = fake.connection()
            replies = await asyncio.gather(*(connection.send([("ECHO", n), ("ECHO", f"{n}b")]) for n in range(200)))
            assert replies == [[str(n), f"{n}b"] for n in range(200)]

    run(scenario())


def test_commands_of_concurrent_requests_do_not_wait_for_each_others_replies() -> None:
    held: list[bytes] = []

    def echo_at_last(command: list[str]) -> bytes:
        if command[0] != "ECHO":
            return OK
        held.append(echo(command))
        return b"".join(held) if len(held) == 50 else SILENCE

    async def scenario() -> None:
        async with FakeRedis(echo_at_last) as fake:
            connection = fake.connection()
            replies = await asyncio.gather(*(connection.send([("ECHO", n)]) for n in range(50)))
            assert replies == [[str(n)] for n in range(50)]

    run(scenario())


def test_text_comes_back_as_text_whatever_its_bytes() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: b"$6\r\n\xc3\xa9\xff\xf0z\xc3\r\n" if command[0] == "GET" else OK) as fake:
            ((reply,),) = [await fake.connection().send([("GET", "k")])]
            assert reply == "é��z�"

    run(scenario())


def test_error_replies_are_given_not_raised() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: b"-WRONGTYPE no\r\n" if command[0] == "GET" else echo(command)) as fake:
            error, fine = await fake.connection().send([("GET", "k"), ("ECHO", "x")])
            assert isinstance(error, ReplyError)
            assert (str(error), fine) == ("WRONGTYPE no", "x")

    run(scenario())


def test_login_names_the_connection_and_selects_the_database() -> None:
    async def scenario() -> None:
        async with FakeRedis(echo) as fake:
            await fake.connection(username="me", password="geheim", db=3).send([("ECHO", "x")])
            assert fake.commands == [
                ["AUTH", "me", "geheim"],
                ["CLIENT", "SETNAME", "test"],
                ["SELECT", "3"],
                ["ROLE"],
                ["ECHO", "x"],
            ]

    run(scenario())


def test_refused_login_is_unavailable_and_keeps_the_password_to_itself() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: b"-WRONGPASS invalid\r\n" if command[0] == "AUTH" else OK) as fake:
            with pytest.raises(RedisUnavailable, match="WRONGPASS") as caught:
                await fake.connection(password="geheim").send([("ECHO", "x")])
            assert "geheim" not in str(caught.value)

    run(scenario())


def test_connection_needs_no_right_to_name_itself() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: b"-NOPERM no\r\n" if command[0] == "CLIENT" else echo(command)) as fake:
            assert await fake.connection().send([("ECHO", "x")]) == ["x"]

    run(scenario())


def test_broken_connection_fails_all_in_flight_and_the_next_send_looks_for_redis_anew() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: HANG_UP if command == ["ECHO", "last"] else SILENCE) as fake:
            fake._answer = lambda command: OK if command[0] == "CLIENT" else fake_answer(command)
            connection = fake.connection()
            lost = await asyncio.gather(
                connection.send([("ECHO", "first")]), connection.send([("ECHO", "last")]), return_exceptions=True
            )
            assert [type(error) for error in lost] == [ConnectionLost, ConnectionLost]
            assert fake.finds == 1
            assert await connection.send([("GET", "k")]) == ["OK"]
            assert fake.finds == 2

    def fake_answer(command: list[str]) -> bytes:
        return {"last": HANG_UP, "first": SILENCE}.get(command[1], OK)

    run(scenario())


def test_redis_that_stays_silent_is_given_up() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: OK if command[0] == "CLIENT" else SILENCE) as fake:
            started = time.monotonic()
            with pytest.raises(ConnectionLost, match=r"did not answer within 0\.2 s"):
                await fake.connection(reply_seconds=0.2).send([("GET", "k")])
            assert time.monotonic() - started < 10

    run(scenario())


def test_connecting_is_bounded() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: SILENCE) as fake:
            with pytest.raises(ConnectionLost, match=r"within 0\.2 s"):
                await fake.connection(connect_seconds=0.2).send([("GET", "k")])

    run(scenario())


def test_slow_search_for_redis_goes_on_while_callers_give_up() -> None:
    async def scenario() -> None:
        async with FakeRedis(echo) as fake:
            found = threading.Event()

            def find() -> Endpoint:
                found.wait(10)  # as with a Sentinel that is down: the next one is asked after a while
                return Endpoint("127.0.0.1", fake.port)

            connection = MultiplexedConnection(find, "test", connect_seconds=0.1)
            with pytest.raises(ConnectionLost, match=r"within 0\.1 s"):
                await connection.send([("ECHO", "x")])
            found.set()
            for _ in range(100):
                try:
                    assert await connection.send([("ECHO", "x")]) == ["x"]
                    return
                except ConnectionLost:
                    continue
            raise AssertionError("never connected")

    run(scenario())


def test_unreachable_redis_is_unavailable() -> None:
    async def scenario() -> None:
        async with FakeRedis(echo) as fake:
            port = fake.port
        with pytest.raises(RedisUnavailable, match="can't be reached"):
            await MultiplexedConnection(lambda: Endpoint("127.0.0.1", port), "test").send([("GET", "k")])

    run(scenario())


def test_many_who_wait_for_a_connection_share_one() -> None:
    async def scenario() -> None:
        async with FakeRedis(echo) as fake:
            connection = fake.connection()
            await asyncio.gather(*(connection.send([("ECHO", n)]) for n in range(20)))
            assert fake.finds == 1
            assert len(fake.sent("CLIENT")) == 1

    run(scenario())


def test_cancelled_request_leaves_the_others_their_replies() -> None:
    async def scenario() -> None:
        async with FakeRedis(echo) as fake:
            connection = fake.connection()
            await connection.send([("ECHO", "connected")])
            gone = asyncio.create_task(connection.send([("ECHO", "gone")]))
            await asyncio.sleep(0)
            kept = asyncio.create_task(connection.send([("ECHO", "kept")]))
            await asyncio.sleep(0)
            gone.cancel()
            assert await kept == ["kept"]

    run(scenario())


def test_nonsense_from_redis_breaks_the_connection_not_the_server() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: OK if command[0] == "CLIENT" else b"HTTP/1.1 400\r\n") as fake:
            with pytest.raises(RedisUnavailable, match="is no Redis"):
                await fake.connection().send([("GET", "k")])

    run(scenario())


def test_reply_nobody_asked_for_breaks_the_connection() -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: OK if command[0] == "CLIENT" else OK + OK) as fake:
            connection = fake.connection()
            assert await connection.send([("GET", "k")]) == ["OK"]
            assert await connection.send([("GET", "k")]) == ["OK"]
            assert fake.finds == 2

    run(scenario())


def test_more_than_the_limit_in_flight_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with FakeRedis(lambda command: OK if command[0] == "CLIENT" else SILENCE) as fake:
            connection = fake.connection()
            asked = [asyncio.create_task(connection.send([("GET", n)])) for n in range(6)]
            done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            assert len(waiting) == 5
            with pytest.raises(RedisUnavailable, match="wait for Redis already"):
                await done.pop()
            await connection.close()
            await asyncio.gather(*waiting, return_exceptions=True)

    monkeypatch.setattr(connection_module, "MAX_IN_FLIGHT", 5)
    run(scenario())


def test_in_process_redis_answers_alike() -> None:
    async def scenario() -> None:
        connection = InProcess(SyncConnection(fakeredis.FakeRedis(decode_responses=True)))
        replies = await connection.send(
            [("HSET", "h", "a", 1), ("HGETALL", "h"), ("SET", "k", "v", "NX"), ("SET", "k", "w", "NX")]
        )
        assert replies == [1, ["a", "1"], "OK", None]
        error, missing = await connection.send([("LLEN", "h"), ("EVALSHA", "0" * 40, 0)])
        assert isinstance(error, ReplyError)
        assert str(missing).startswith("NOSCRIPT")

    run(scenario())


# AsyncScheduler


class Scripted:
    """Answers what a scheduler asks at its start; EVALSHA as the test says."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)  # to EVALSHA, in order; the last one again and again

    def __call__(self, command: list[str]) -> bytes:
        if command[0] == "EVALSHA":
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return OK


def scheduler_on(fake: FakeRedis) -> AsyncScheduler:
    scheduler = AsyncScheduler(Namespace.named("test"), *(fake.connection() for _ in range(4)))
    scheduler._execution.is_configured = True
    return scheduler


async def view(scheduler: AsyncScheduler, command: tuple[str, ...]) -> list[Any]:
    """The replies to a command that only reads, over the connection for views."""
    return await scheduler._carry(scheduler._execution.send([command], reads_only=True), scheduler._views)


def request_ids(fake: FakeRedis) -> list[str]:
    """The request id of each script call that arrived: the fourth argument of a script's header."""
    return [command[8] for command in fake.sent("EVALSHA")]


PING = METHODS["ping"]
NO_MESSAGES = b"*0\r\n"


def test_lost_call_is_repeated_with_the_same_request_id() -> None:
    async def scenario() -> None:
        async with FakeRedis(Scripted(HANG_UP, HANG_UP, NO_MESSAGES)) as fake:
            assert await scheduler_on(fake).invoke(PING, {"worker": "w"}) == {"rpc_messages": []}
            first, second, third = request_ids(fake)
            assert second == third == f"{first}!", "the mark says that it is a repetition"

    run(scenario())


def test_each_call_has_its_own_request_id() -> None:
    async def scenario() -> None:
        async with FakeRedis(Scripted(NO_MESSAGES)) as fake:
            scheduler = scheduler_on(fake)
            await scheduler.invoke(PING, {"worker": "w"})
            await scheduler.invoke(PING, {"worker": "w"})
            await asyncio.gather(*(scheduler.invoke(PING, {"worker": "w"}) for _ in range(10)))
            ids = request_ids(fake)
            assert len(set(ids)) == 12
            # Redis keeps one answer a caller: two that are in flight together must not be the same caller.
            assert ids[0].split(":")[0] == ids[1].split(":")[0]
            assert len({each.split(":")[0] for each in ids[2:]}) == 10

    run(scenario())


def test_caller_of_a_lost_call_is_not_used_again() -> None:
    """A late copy of the lost command must still meet its own answer."""

    async def scenario() -> None:
        async with FakeRedis(Scripted(HANG_UP, NO_MESSAGES)) as fake:
            scheduler = scheduler_on(fake)
            await scheduler.invoke(PING, {"worker": "w"})
            await scheduler.invoke(PING, {"worker": "w"})
            lost, repeated, following = (each.split(":")[0] for each in request_ids(fake))
            assert lost == repeated != following

    run(scenario())


def test_redis_that_stays_away_is_unavailable_after_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with FakeRedis(Scripted(HANG_UP)) as fake:
            started = time.monotonic()
            with pytest.raises(RedisUnavailable):
                await scheduler_on(fake).invoke(PING, {"worker": "w"})
            assert time.monotonic() - started < 10

    monkeypatch.setattr(scheduler_module, "SERVER", SERVER._replace(seconds=0.5))
    run(scenario())


@pytest.mark.parametrize(
    "reply",
    [
        b"-MOVED 1234 10.0.0.1:6379\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-ERR Error running script: -READONLY You can't write against a read only replica.\r\n",
        b"-MASTERDOWN Link with MASTER is down\r\n",
    ],
)
def test_wrong_server_makes_the_driver_look_for_redis_anew(reply: bytes) -> None:
    async def scenario() -> None:
        async with FakeRedis(Scripted(reply, NO_MESSAGES)) as fake:
            assert await scheduler_on(fake).invoke(PING, {"worker": "w"}) == {"rpc_messages": []}
            assert fake.finds == 2

    run(scenario())


def test_a_connection_that_leads_to_a_replica_is_not_used() -> None:
    async def scenario() -> None:
        async with FakeRedis(echo) as fake:
            fake.roles = [REPLICA, REPLICA, PRIMARY]
            scheduler = scheduler_on(fake)
            assert await view(scheduler, ("ECHO", "x")) == ["x"]
            assert fake.finds == 3
            assert fake.sent("ECHO") == [["ECHO", "x"]]

    run(scenario())


def test_who_may_not_ask_for_the_role_connects_all_the_same() -> None:
    async def scenario() -> None:
        async with FakeRedis(echo) as fake:
            fake.roles = [b"-NOPERM no\r\n"]
            assert await fake.connection().send([("ECHO", "x")]) == ["x"]

    run(scenario())


def test_when_calls_are_told_that_they_are_on_a_replica_what_only_reads_connects_anew_too() -> None:
    """A replica answers what reads, so nobody would tell that connection."""

    async def scenario() -> None:
        readonly = b"-READONLY You can't write against a read only replica.\r\n"
        async with FakeRedis(Scripted(NO_MESSAGES, readonly, NO_MESSAGES)) as fake:
            scheduler = scheduler_on(fake)
            await scheduler.invoke(PING, {"worker": "w"})
            await view(scheduler, ("GET", "x"))
            assert fake.finds == 2
            await scheduler.invoke(PING, {"worker": "w"})
            await view(scheduler, ("GET", "x"))
            assert fake.finds == 4

    run(scenario())


@pytest.mark.parametrize(
    "reply", [b"-LOADING soon\r\n", b"-BUSY script\r\n", b"-CLUSTERDOWN no\r\n", b"-TRYAGAIN no\r\n"]
)
def test_busy_server_is_asked_again_over_the_same_connection(reply: bytes) -> None:
    async def scenario() -> None:
        async with FakeRedis(Scripted(reply, NO_MESSAGES)) as fake:
            assert await scheduler_on(fake).invoke(PING, {"worker": "w"}) == {"rpc_messages": []}
            assert fake.finds == 1

    run(scenario())


def test_a_server_that_is_busy_when_it_is_logged_in_to_is_asked_again() -> None:
    async def scenario() -> None:
        busy = [b"-BUSY script\r\n", b"-BUSY script\r\n"]
        scripted = Scripted(NO_MESSAGES)

        def answer(command: list[str]) -> bytes:
            return busy.pop() if busy and command[0] == "SELECT" else scripted(command)

        async with FakeRedis(answer) as fake:
            scheduler = AsyncScheduler(Namespace.named("test"), *(fake.connection(db=3) for _ in range(4)))
            scheduler._execution.is_configured = True
            assert await scheduler.invoke(PING, {"worker": "w"}) == {"rpc_messages": []}
            assert len(fake.sent("SELECT")) == 3

    run(scenario())


def test_missing_script_is_loaded_and_called_again() -> None:
    async def scenario() -> None:
        async with FakeRedis(Scripted(b"-NOSCRIPT no\r\n", NO_MESSAGES)) as fake:
            assert await scheduler_on(fake).invoke(PING, {"worker": "w"}) == {"rpc_messages": []}
            assert [command[0] for command in fake.commands] == ["CLIENT", "ROLE", "EVALSHA", "SCRIPT", "EVALSHA"]

    run(scenario())


def test_emptied_redis_is_configured_anew_once() -> None:
    async def scenario() -> None:
        unconfigured = b"-ERR BSCHED_UNCONFIGURED script: x, on @user_script:1.\r\n"
        async with FakeRedis(Scripted(unconfigured, b"*0\r\n", b":1\r\n", NO_MESSAGES)) as fake:
            assert await scheduler_on(fake).invoke(PING, {"worker": "w"}) == {"rpc_messages": []}
        async with FakeRedis(Scripted(unconfigured, b"*0\r\n", b":1\r\n", unconfigured)) as fake:
            with pytest.raises(Exception, match="namespace is gone"):
                await scheduler_on(fake).invoke(PING, {"worker": "w"})

    run(scenario())


def test_failing_script_is_told_and_not_repeated() -> None:
    async def scenario() -> None:
        async with FakeRedis(Scripted(b"-ERR user_script:1: attempt to index a nil value\r\n")) as fake:
            with pytest.raises(ScriptError, match=r"ping\.lua"):
                await scheduler_on(fake).invoke(PING, {"worker": "w"})
            assert len(fake.sent("EVALSHA")) == 1

    run(scenario())


def test_wrong_arguments_reach_no_redis() -> None:
    async def scenario() -> None:
        async with FakeRedis(Scripted(NO_MESSAGES)) as fake:
            with pytest.raises(InvalidArgument):
                await scheduler_on(fake).invoke(PING, {"worker": 1})
            assert fake.commands == []

    run(scenario())

"""One policy for whatever comes back from Redis, and two carriers that do what it says, by a table of all answers."""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from broker_sched import BrokerSchedError, InvalidArgument, RedisUnavailable, SchemaMismatch, ScriptError
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.states import STATES, Status
from broker_sched.lua.loader import load
from broker_sched.redis_backend import recovery as policy
from broker_sched.redis_backend.clients import connect
from broker_sched.redis_backend.error_replies import REFUSED_REPLIES, no_redis
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.recovery import (
    DIRECT,
    SERVER,
    Configure,
    ConnectionLost,
    Fail,
    Failure,
    Limits,
    LoadScripts,
    LookAnew,
    Recovery,
    ReplyError,
    SendAgain,
    Verdict,
)
from broker_sched.scheduler import async_scheduler, scheduler
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.scheduler import Scheduler
from tests.redis_backend.fake_redis import HANG_UP, OK, PRIMARY, REPLICA, SILENCE, FakeRedis

ATTEMPTS = 3
LIMITS = Limits(attempts=ATTEMPTS, seconds=20.0, repair_seconds=0.2, first_wait_seconds=0.01, longest_wait_seconds=0.02)
GOOD = b"*0\r\n"  # of ping: no messages
REPLICAS = b"READONLY You can't write against a read only replica.\r\n"
NONSENSE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
Kind = type[Verdict]


class Answer(NamedTuple):
    """One kind of answer to a script, what the policy says to it, and what becomes of a call that always gets it."""

    name: str
    sent: bytes  # what Redis sends
    verdict: Kind
    error: type[BrokerSchedError] = RedisUnavailable
    told: str = ""  # is in the error's message
    sends: int = 1  # how often the script is sent when Redis always answers so

    @property
    def failure(self) -> Failure:
        """What a connection makes of it."""
        if self.sent in (HANG_UP, SILENCE):
            return ConnectionLost("The connection to Redis broke")
        return no_redis(ValueError("H")) if self.sent == NONSENSE else ReplyError(self.sent[1:].decode().strip())


ANSWERS = [
    Answer("NOSCRIPT", b"-NOSCRIPT No matching script.\r\n", LoadScripts, ScriptError, "NOSCRIPT", sends=2),
    Answer("unconfigured", b"-ERR BSCHED_UNCONFIGURED script: x\r\n", Configure, BrokerSchedError, "is gone", sends=2),
    Answer("READONLY", b"-" + REPLICAS, LookAnew, told="(READONLY)", sends=3),
    Answer("READONLY in a script", b"-ERR Error running script: -" + REPLICAS, LookAnew, told="(READONLY)", sends=3),
    Answer("MASTERDOWN", b"-MASTERDOWN Link with MASTER is down\r\n", LookAnew, told="(MASTERDOWN)", sends=3),
    Answer("UNBLOCKED", b"-UNBLOCKED force unblock\r\n", LookAnew, told="(UNBLOCKED)", sends=3),
    Answer("MOVED", b"-MOVED 1234 10.0.0.1:6379\r\n", LookAnew, told="(MOVED)", sends=3),
    Answer("BSCHED_UNCONFIRMED", b"-BSCHED_UNCONFIRMED\r\n", LookAnew, told="replicas_ack", sends=3),
    Answer("LOADING", b"-LOADING Redis is loading the dataset in memory\r\n", SendAgain, told="(LOADING)", sends=3),
    Answer("BUSY", b"-BUSY Redis is busy running a script.\r\n", SendAgain, told="(BUSY)", sends=3),
    Answer("TRYAGAIN", b"-TRYAGAIN Multiple keys request\r\n", SendAgain, told="(TRYAGAIN)", sends=3),
    Answer("ASK", b"-ASK 1234 10.0.0.1:6379\r\n", SendAgain, told="(TRYAGAIN)", sends=3),
    Answer("CLUSTERDOWN", b"-CLUSTERDOWN Hash slot not served\r\n", SendAgain, told="(CLUSTERDOWN)", sends=3),
    Answer("BSCHED_REPAIRING", b"-ERR BSCHED_REPAIRING script: x\r\n", SendAgain, told="is being repaired", sends=0),
    Answer("OOM", b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", Fail, told="(OOM)"),
    Answer("NOREPLICAS", b"-NOREPLICAS Not enough good replicas to write.\r\n", Fail, told="(NOREPLICAS)"),
    Answer("MISCONF", b"-MISCONF Redis is configured to save RDB snapshots\r\n", Fail, told="(MISCONF)"),
    Answer("NOAUTH", b"-NOAUTH Authentication required.\r\n", Fail, told="(NOAUTH)"),
    Answer("WRONGPASS", b"-WRONGPASS invalid username-password pair\r\n", Fail, told="(WRONGPASS)"),
    Answer("NOPERM", b"-NOPERM User x has no permissions to run the 'evalsha' command\r\n", Fail, told="(NOPERM)"),
    Answer("schema", b"-ERR BSCHED_SCHEMA 2 script: x\r\n", Fail, SchemaMismatch, "schema version 2"),
    Answer("late copy", b"-ERR BSCHED_LATE 7 script: x\r\n", Fail, InvalidArgument, "late copy"),
    Answer("a fault", b"-ERR user_script:1: attempt to index a nil value\r\n", Fail, ScriptError, "ping.lua"),
    Answer("a wrong type", b"-WRONGTYPE Operation against a key\r\n", Fail, ScriptError, "WRONGTYPE"),
    Answer("another protocol", NONSENSE, Fail, told="is no Redis"),
    Answer("hung up", HANG_UP, LookAnew, told="did not answer after 3 attempts", sends=3),
    Answer("silence", SILENCE, LookAnew, told="did not answer after 3 attempts", sends=3),
]
all_answers = pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)


# The policy


def test_the_table_has_every_refusal_that_is_known() -> None:
    named = {answer.name for answer in ANSWERS} | {"TRYAGAIN"}
    assert {each.name for each in REFUSED_REPLIES} <= named


@all_answers
def test_the_policy_says_what_to_do_after_each_answer(answer: Answer) -> None:
    verdict = Recovery(LIMITS, load("ping")).after(answer.failure, now=0.0)
    assert type(verdict) is answer.verdict
    if isinstance(verdict, Fail):
        assert isinstance(verdict.error, answer.error)
        assert answer.told in str(verdict.error)


def verdicts(limits: Limits, message: str, seconds_each: float) -> list[Verdict]:
    """What the policy says when this answer comes again and again, each time after so many seconds."""
    recovery, now, said = Recovery(limits, load("ping")), 0.0, []
    while not said or not isinstance(said[-1], Fail):
        failure = ConnectionLost("lost") if message == "lost" else ReplyError(message)
        said.append(recovery.after(failure, now))
        now += seconds_each + getattr(said[-1], "seconds", 0.0)
    return said


@pytest.mark.parametrize("message", ["lost", "LOADING soon", "READONLY no"])
def test_a_direct_caller_is_told_after_five_attempts_and_a_server_after_three_seconds(message: str) -> None:
    direct = verdicts(DIRECT, message, seconds_each=0.0)
    assert [each.seconds for each in direct[:-1]] == [0.2, 0.4, 0.8, 1.6]  # type: ignore[union-attr]  # no Fail
    server = verdicts(SERVER, message, seconds_each=0.0)
    waited = [each.seconds for each in server[:-1]]  # type: ignore[union-attr]  # as above
    assert waited[:5] == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert 2.0 < sum(waited) <= 3.0


def test_a_redis_that_accepts_and_never_answers_holds_a_direct_call_for_two_attempts_only() -> None:
    assert len(verdicts(DIRECT, "lost", seconds_each=10.0)) == 2


def test_a_direct_caller_waits_two_minutes_for_the_end_of_a_repair_and_a_server_three_seconds() -> None:
    for limits, seconds in ((DIRECT, 120.0), (SERVER, 3.0)):
        *waits, last = verdicts(limits, "ERR BSCHED_REPAIRING x", seconds_each=0.0)
        assert seconds - 2 < sum(each.seconds for each in waits) <= seconds  # type: ignore[union-attr]  # no Fail
        assert isinstance(last, Fail)


def test_at_another_server_a_script_is_loaded_again() -> None:
    recovery = Recovery(LIMITS, load("ping"))
    missing = ReplyError("NOSCRIPT No matching script.")
    assert isinstance(recovery.after(missing, 0.0), LoadScripts)
    assert isinstance(recovery.after(ConnectionLost("lost"), 0.0), LookAnew)
    assert isinstance(recovery.after(missing, 0.0), LoadScripts)
    assert isinstance(recovery.after(missing, 0.0), Fail)


def test_a_command_that_is_no_script_has_none_to_be_loaded() -> None:
    assert isinstance(Recovery(LIMITS).after(ReplyError("NOSCRIPT x"), 0.0), Fail)


def test_replies_without_an_error_are_no_failure() -> None:
    assert policy.failure_in([None, b"x", ["y", 1]]) is None
    first, second = ReplyError("ERR first"), ReplyError("ERR second")
    assert policy.failure_in(["x", first, second]) is first


# The carriers


class Seen(NamedTuple):
    """What a caller and Redis have seen of one call."""

    outcome: Any  # the reply, or the error's type and message
    sends: int  # of the script
    loads: int
    configurations: int
    marks: list[bool]  # of each send: does it say that it is a repetition?


class Script:
    """Answers to `ping`, in order, the last one again and again; all else is in order."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    def __call__(self, command: list[str]) -> bytes:
        if command[:2] == ["EVALSHA", load("ping").sha]:
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if command[0] == "EVALSHA":
            return b":1\r\n" if command[1] == load("configure").sha else GOOD
        return b"$40\r\n" + b"0" * 40 + b"\r\n" if command[:2] == ["SCRIPT", "LOAD"] else OK


async def direct(fake: FakeRedis) -> Any:
    def call() -> Any:
        made = Scheduler(f"redis://127.0.0.1:{fake.port}?socket_timeout=0.3", "table", prune_interval_seconds=None)
        fake.commands.clear()
        try:
            return made.ping(worker="w")
        finally:
            made.close()

    return await asyncio.to_thread(call)


async def served(fake: FakeRedis) -> Any:
    made = AsyncScheduler(
        Namespace.named("table"), *(fake.connection(reply_seconds=0.3, connect_seconds=1) for _ in range(4))
    )
    await made.configure()
    fake.commands.clear()
    try:
        return await made.invoke(METHODS["ping"], {"worker": "w"})
    finally:
        await made.close()


CARRIERS: dict[str, Callable[[FakeRedis], Any]] = {"direct": direct, "served": served}


@pytest.fixture(autouse=True)
def same_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "DIRECT", LIMITS)
    monkeypatch.setattr(async_scheduler, "SERVER", LIMITS)


def seen(carrier: str, *answers: bytes) -> Seen:
    """What becomes of a ping when Redis answers so."""

    async def scenario() -> Seen:
        async with FakeRedis(Script(*answers)) as fake:
            outcome: Any
            try:
                outcome = await CARRIERS[carrier](fake)
            except BrokerSchedError as error:
                outcome = (type(error), str(error))
            sent = [command for command in fake.sent("EVALSHA") if command[1] == load("ping").sha]
            return Seen(
                outcome,
                sends=len(sent),
                loads=sum(command[2] == load("ping").source for command in fake.sent("SCRIPT")),
                configurations=sum(command[1] == load("configure").sha for command in fake.sent("EVALSHA")),
                marks=[command[8].endswith("!") for command in sent],
            )

    return asyncio.run(scenario())


carriers = pytest.mark.parametrize("carrier", CARRIERS)


@carriers
@all_answers
def test_what_redis_always_answers_ends_alike_for_both_after_as_many_sends(answer: Answer, carrier: str) -> None:
    kind, message = seen(carrier, answer.sent).outcome
    assert issubclass(kind, answer.error)
    assert answer.told in message


@all_answers
def test_both_carriers_do_the_same(answer: Answer) -> None:
    one, other = (seen(carrier, answer.sent) for carrier in CARRIERS)
    if answer.sends:
        assert (one.sends, other.sends) == (answer.sends, answer.sends)
        assert (one.loads, one.configurations, one.marks) == (
            other.loads,
            other.configurations,
            other.marks,
        )
    assert one.outcome[0] is other.outcome[0]


@carriers
@all_answers
def test_what_redis_answers_once_is_made_up_for_when_the_policy_says_so(answer: Answer, carrier: str) -> None:
    found = seen(carrier, answer.sent, GOOD)
    if answer.verdict is Fail:
        assert issubclass(found.outcome[0], answer.error)
        assert found.sends == 1
    else:
        assert found.outcome == {"rpc_messages": []}
        assert found.sends == 2
        is_repetition = answer.verdict in (SendAgain, LookAnew)
        assert found.marks == [False, is_repetition], "only where the first may have been carried out"
    assert found.configurations == (answer.verdict is Configure)


@carriers
def test_a_script_that_is_lost_after_it_was_loaded_is_sent_again_until_it_is_answered(carrier: str) -> None:
    found = seen(carrier, b"-NOSCRIPT x\r\n", HANG_UP, b"-LOADING x\r\n", GOOD)
    assert found.outcome == {"rpc_messages": []}
    assert found.marks == [False, False, True, True]


@carriers
def test_after_a_missing_permission_it_is_asked_for_and_no_option_written_anew(carrier: str) -> None:
    """An operator may have changed one meanwhile."""

    async def scenario() -> None:
        async with FakeRedis(Script(b"-NOPERM User x has no permissions\r\n", GOOD)) as fake:
            ping = await PINGERS[carrier](fake)
            with pytest.raises(RedisUnavailable, match="NOPERM"):
                await ping()
            fake.commands.clear()
            assert await ping() == {"rpc_messages": []}
            sent = [command[1] for command in fake.sent("EVALSHA")]
            assert sent == [load("check_permissions").sha, load("ping").sha]

    asyncio.run(scenario())


@carriers
def test_a_redis_that_is_emptied_while_the_namespace_is_made_ready_is_told_and_not_waited_for(carrier: str) -> None:
    def answer(command: list[str]) -> bytes:
        if command[:2] == ["EVALSHA", load("set_fields").sha]:
            return b"-ERR BSCHED_UNCONFIGURED script: x\r\n"
        return Script(GOOD)(command)

    async def scenario() -> None:
        async with FakeRedis(answer) as fake:
            with pytest.raises(RedisUnavailable, match="emptied"):
                if carrier == "direct":
                    await asyncio.to_thread(Scheduler, f"redis://127.0.0.1:{fake.port}", resources={"db": 2})
                else:
                    connections = (fake.connection() for _ in range(4))
                    made = AsyncScheduler(Namespace.named("table"), *connections, resources={"db": 2})
                    await asyncio.wait_for(made.configure(), 10)

    asyncio.run(scenario())


@carriers
def test_who_finds_nobody_at_the_address_is_told_after_as_many_attempts(carrier: str) -> None:
    async def scenario() -> None:
        async with FakeRedis(Script(GOOD)) as fake:
            pass
        started = time.monotonic()
        with pytest.raises(RedisUnavailable, match="did not answer after 3 attempts"):
            await CARRIERS[carrier](fake)
        assert time.monotonic() - started < 10

    asyncio.run(scenario())


@carriers
def test_what_only_reads_is_never_answered_by_a_replica(carrier: str) -> None:
    """An address that leads to a replica, and after a while to the primary."""

    async def scenario() -> None:
        async with FakeRedis(Script(GOOD)) as fake:
            fake.roles = [PRIMARY] * 3 if carrier == "direct" else [PRIMARY]
            made = await READERS[carrier](fake)
            fake.roles = [REPLICA, PRIMARY]
            fake.commands.clear()
            assert await made() == {"paused": False}
            asked = [command[0] for command in fake.commands if command[0] in ("ROLE", "HGET")]
            assert asked in (["ROLE", "HGET", "ROLE", "HGET"], ["ROLE", "ROLE", "HGET"])

    asyncio.run(scenario())


async def direct_reader(fake: FakeRedis) -> Any:
    made = await asyncio.to_thread(Scheduler, f"redis://127.0.0.1:{fake.port}", "table", prune_interval_seconds=None)
    return lambda: asyncio.to_thread(made.is_paused)


async def direct_pinger(fake: FakeRedis) -> Any:
    made = await asyncio.to_thread(Scheduler, f"redis://127.0.0.1:{fake.port}", "table", prune_interval_seconds=None)
    return lambda: asyncio.to_thread(made.ping, worker="w")


async def served_pinger(fake: FakeRedis) -> Any:
    made = AsyncScheduler(Namespace.named("table"), *(fake.connection() for _ in range(4)))
    await made.configure()
    return lambda: made.invoke(METHODS["ping"], {"worker": "w"})


async def served_reader(fake: FakeRedis) -> Any:
    made = AsyncScheduler(Namespace.named("table"), *(fake.connection() for _ in range(4)))
    await made.configure()
    made._calls.drop("the address has moved")
    return lambda: made.invoke(METHODS["is_paused"], {})


PINGERS = {"direct": direct_pinger, "served": served_pinger}
READERS = {"direct": direct_reader, "served": served_reader}


# What travels as a read


def commands_in(tree: ast.AST) -> set[str]:
    """The names of the commands that a module writes down as tuples, those of a Write left out."""
    found: set[str] = set()
    for part in ast.iter_child_nodes(tree):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "Write":
            continue
        if isinstance(part, ast.Tuple) and part.elts and isinstance(part.elts[0], ast.Constant):
            name = part.elts[0].value
            if isinstance(name, str) and name.isupper():
                found.add(name)
        found |= commands_in(part)
    return found


def test_no_command_that_writes_travels_as_one_that_reads(real_redis_url: str) -> None:
    """A replica would answer what reads.

    A script is given the commands of a repair; a long poll and the deletion of a namespace send their own.
    """
    others = ("repair.py", "long_poll.py", "namespace_deletion.py")
    modules = [path for path in Path(async_scheduler.__file__).parent.rglob("*.py") if path.name not in others]
    named = {name for path in modules for name in commands_in(ast.parse(path.read_text()))}
    others_words = {
        *STATES,
        *(status.value for status in Status),
        "COUNT",
        "REV",
        "WITHSCORES",
        "SCRIPT",
        "BLPOP",
        "BLOCK",
    }
    assert len(named - others_words) > 10
    client = connect(real_redis_url)
    info = client.execute_command("COMMAND", "INFO", *sorted(named - others_words))
    writing = {name for name, each in info.items() if "write" in each["flags"]}
    assert not writing, "let a script do it, or a Write"

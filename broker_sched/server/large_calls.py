"""Calls with large bodies are carried out in a process of their own, so that they keep no other call waiting.

To read 32 MB of JSON, to check it and to write it for Redis takes up to seconds, in which no thread gets on: the
interpreter's lock is held. And on a connection that is shared everybody waits behind it. The process has a connection
of its own. It is started by the first such call, and ends when there was none for a while, or with us. Calls that come
often and only look are carried out likewise (frequent_looks.py).

Frames go to and fro over its standard input and output: the lengths of head and body, the head as msgpack, the body.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.types import Scope

from broker_sched import log_lines
from broker_sched.child_environment import child_environment
from broker_sched.server.access.caller import KEY, Caller, caller_of
from broker_sched.server.cross_site import FROM_BROWSERS
from broker_sched.server.responses import RETRY_AFTER, Answer, Header, RequestRefused

log = logging.getLogger("bsched.server")

IDLE_SECONDS = 60.0
IDLE_SECONDS_OF_LOOKS = 600.0
END_SECONDS = 2.0
REDIS_FILES = ("BSCHED_REDIS_CA", "BSCHED_REDIS_CERT", "BSCHED_REDIS_KEY")  # their names; no secrets
LENGTH_BYTES = 4
# A signal that is sent to all is left to the server, which ends in good order, and then closes the pipe. One that goes
# behind others for the processor (its argument) does so before it loads anything; what a system does not have is left
# out. As a batch process it takes the processor from nobody who is at work. Linux shares the processor among sessions
# first (autogroup), by a nice value of their own, and this process is one.
PROGRAM = """
import contextlib, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1] != '0':
    with contextlib.suppress(AttributeError, OSError):
        os.nice(int(sys.argv[1]))
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with contextlib.suppress(OSError), open('/proc/self/autogroup', 'w') as group:
        if os.getsid(0) == os.getpid():
            group.write(sys.argv[1])
from broker_sched.server.large_call_process import main
main()
"""
STARTED = -1
NOT_PASSED_ON = (*FROM_BROWSERS, b"authorization", b"cookie")  # which have been looked at
_counter = itertools.count()


class Opening(msgspec.Struct):
    """The head of the first frame: where Redis is. It may hold a password, so it is no argument of a program."""

    redis_url: str | None
    namespace: str
    looks: bool = False  # it answers calls that only look: it is ready when the first of them is as fast as any


class Question(msgspec.Struct):
    """The head of the frame in which a request goes to the process."""

    number: int
    name: str
    method: str
    path: str
    query_string: bytes
    headers: list[Header]
    caller: Caller  # as the audit names it, and as it is shown things; what it may do was asked before


class Reply(msgspec.Struct):
    """The head of the frame in which the answer comes back; that of the first frame, STARTED, answers nothing."""

    number: int
    status: int
    headers: list[Header]


class Frame(NamedTuple):
    """Holds what stands in one frame, its head not yet decoded."""

    head: bytes
    body: bytes


def framed(head: msgspec.Struct, parts: Sequence[bytes] = ()) -> list[bytes]:
    """Return the frame in pieces: a large body is not copied."""
    packed, size = msgspec.msgpack.encode(head), sum(map(len, parts))
    return [len(packed).to_bytes(LENGTH_BYTES, "big") + size.to_bytes(LENGTH_BYTES, "big") + packed, *parts]


class LargeCalls:
    """Passes calls on to the process, which it starts when it is needed, and ends.

    looks: calls that only look are passed on, not large ones. nice: by how much the process goes behind others for the
    processor, where the system has such a thing.
    """

    def __init__(self, redis_url: str | None, namespace: str, looks: bool = False, nice: int = 0) -> None:
        self._opening = Opening(redis_url, namespace, looks)
        self._nice = nice
        self._process: asyncio.subprocess.Process | None = None
        self.is_ready = False  # the process is there, and answers at once
        self._beginning: asyncio.Task[object] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._idle: asyncio.TimerHandle | None = None

    async def answer(self, name: str, scope: Scope, parts: Sequence[bytes]) -> Answer:
        """Return the answer to a call of this method.

        Raises RequestRefused (503) when the process can't be had, or dies.
        """
        if self._idle is not None:
            self._idle.cancel()
        number = next(_counter)
        verb, path, query = (scope[name] for name in ("method", "path", "query_string"))
        headers = [header for header in scope["headers"] if header[0] not in NOT_PASSED_ON]
        question = Question(number, name, verb, path, query, headers, caller_of(scope))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            process = await self._started()
            assert process.stdin is not None
            if process.stdin.is_closing():  # for which uvloop has no OSError
                raise BrokenPipeError("it has just died")
            process.stdin.writelines(framed(question, parts))
            return await future
        except OSError as error:  # it can't be started, or has just died
            raise _gone(str(error)) from None
        finally:
            del self._waiting[number]
            self._note_idle()

    def begin_to_start(self) -> None:
        """Start the process, without waiting for it, unless it is there or was just started."""
        if self._process is None and (self._beginning is None or self._beginning.done()):
            self._beginning = asyncio.create_task(self._start_idle())

    async def close(self) -> None:
        """End the process: it is given 2 s to close its connections, and then killed."""
        if self._idle is not None:
            self._idle.cancel()
        if self._beginning is not None:
            with contextlib.suppress(OSError):
                await self._beginning
        process, self._process, self.is_ready = self._process, None, False
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None:
                pipe = asyncio.subprocess.PIPE
                form = log_lines.JSON if log_lines.is_json() else log_lines.TEXT
                kept = [*REDIS_FILES, *(["BSCHED_REDIS"] if self._opening.redis_url is None else [])]
                to_redis = {name: os.environ[name] for name in kept if name in os.environ}
                environment = child_environment(BSCHED_LOG_FORMAT=form, **to_redis)
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", PROGRAM, str(self._nice)),
                    stdin=pipe,
                    stdout=pipe,
                    start_new_session=True,
                    env=environment,
                )
                assert self._process.stdin is not None
                self._process.stdin.writelines(framed(self._opening))
                self._reading = asyncio.create_task(self._read(self._process))
            return self._process

    async def _start_idle(self) -> None:
        with contextlib.suppress(OSError):  # then calls are answered here
            await self._started()
            self._note_idle()

    def _note_idle(self) -> None:
        if self._idle is not None:  # that of a process that has died would end this one, in the midst of a call
            self._idle.cancel()
        if not self._waiting:
            seconds = IDLE_SECONDS_OF_LOOKS if self._opening.looks else IDLE_SECONDS
            self._idle = asyncio.get_running_loop().call_later(seconds, self._end_if_idle)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await read_frame(process.stdout)
                reply = msgspec.msgpack.decode(frame.head, type=Reply)
                self.is_ready = self.is_ready or reply.number == STARTED
                future = self._waiting.get(reply.number)
                if future is not None and not future.done():
                    future.set_result(Answer(reply.status, reply.headers, frame.body))
        if self._process is process:  # it has died
            self._process, self.is_ready = None, False
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(_gone("it has ended"))

    def _end_if_idle(self) -> None:
        process, self._process, self.is_ready = self._process, None, False
        if process is not None and process.stdin is not None:
            process.stdin.close()


async def read_frame(stream: asyncio.StreamReader) -> Frame:
    """Return the next frame. Raises IncompleteReadError at the end."""
    lengths = await stream.readexactly(2 * LENGTH_BYTES)
    head = await stream.readexactly(int.from_bytes(lengths[:LENGTH_BYTES], "big"))
    return Frame(head, await stream.readexactly(int.from_bytes(lengths[LENGTH_BYTES:], "big")))


def _gone(why: str) -> RequestRefused:
    log.error("The process for large calls can't be used: %s", why)
    return RequestRefused(503, "Busy", "The process for large calls has ended. Try again.", [RETRY_AFTER])


def as_scope(question: Question) -> dict[str, Any]:
    """Return the request as an ASGI application takes it."""
    fields = {name: getattr(question, name) for name in ("method", "path", "query_string", "headers")}
    return {"type": "http", "http_version": "1.1", "state": {KEY: question.caller}, **fields}

"""A scripted Redis: it reads commands and answers as the test says, or hangs up, or stays silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

import hiredis

from broker_sched.redis_backend.multiplexed_connection import MultiplexedConnection
from broker_sched.redis_backend.urls import Endpoint

OK = b"+OK\r\n"
HANG_UP = b"hang up"
SILENCE = b""
PRIMARY = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
REPLICA = b"*5\r\n$5\r\nslave\r\n$4\r\nhost\r\n:6379\r\n$9\r\nconnected\r\n:0\r\n"


class FakeRedis:
    """`async with FakeRedis(answer) as fake:`; answer(command) gives the bytes to send, HANG_UP or SILENCE."""

    def __init__(self, answer: Callable[[list[str]], bytes]) -> None:
        self._answer = answer
        self._writers: list[asyncio.StreamWriter] = []
        self.commands: list[list[str]] = []  # in order of arrival, those of logging in too
        self.finds = 0  # how often it was looked for
        self.roles = [PRIMARY]  # answers to ROLE, in order; the last one again and again

    async def __aenter__(self) -> FakeRedis:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    def connection(self, **options: Any) -> MultiplexedConnection:
        """A connection to it; options: fields of Endpoint, connect_seconds, reply_seconds."""
        seconds = {name: options.pop(name) for name in list(options) if name.endswith("_seconds")}

        def find() -> Endpoint:
            self.finds += 1
            return Endpoint("127.0.0.1", self.port, **options)

        return MultiplexedConnection(find, "test", **seconds)

    def sent(self, name: str) -> list[list[str]]:
        """The commands of this name that arrived."""
        return [command for command in self.commands if command[0] == name]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        parser = hiredis.Reader(encoding="utf-8")
        while data := await reader.read(1_000_000):
            parser.feed(data)
            while isinstance(command := parser.gets(), list):
                self.commands.append(command)
                if command == ["ROLE"]:
                    answer = self.roles.pop(0) if len(self.roles) > 1 else self.roles[0]
                else:
                    answer = self._answer(command)
                if answer == HANG_UP:
                    writer.close()
                    return
                writer.write(answer)

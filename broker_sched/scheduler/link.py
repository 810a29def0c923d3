"""Sends one command at a time over connections of its own, which costs a third of what a client's call does."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
import redis
import redis.exceptions

from broker_sched.steps import Argument

_pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]  # its stub has 1-tuples


class Link:
    """Connections from the pool of a client that nobody else uses. Safe to use from many threads, and after a fork."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool: Any = client.connection_pool  # Any: redis-py leaves its connections untyped
        self._forget()

    def execute(self, command: list[Argument]) -> Any:
        """The reply. Raises what redis-py raises; after a lost connection the next call makes a new one."""
        if self._pid != os.getpid():  # what was open belongs to the parent process
            self._forget()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.get_connection()
        try:
            connection.send_packed_command((_pack(tuple(command)),), check_health=False)
            reply = connection.read_response()
        except redis.exceptions.ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:  # whatever it was: a reply may still be on its way
            self._drop(connection)
            raise
        self._idle.append(connection)
        return reply

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._idle: deque[Any] = deque()

    def _drop(self, connection: Any) -> None:
        """Close this connection, and the idle ones: what broke one broke them, too."""
        while True:
            connection.disconnect()
            self._pool.release(connection)
            try:
                connection = self._idle.pop()
            except IndexError:
                return

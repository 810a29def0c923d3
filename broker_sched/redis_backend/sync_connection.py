"""Sends commands over connections of its own, which costs a third of what a client's call does."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis
import redis.exceptions

from broker_sched.redis_backend.commands import Argument
from broker_sched.redis_backend.encoding import pack


class SyncConnection:
    """Connections from the pool of a client that nobody else uses, as many as there are threads at once.

    They are not given back, so the pool must not be limited. Safe to use from many threads, and after a fork.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool: Any = client.connection_pool  # Any: redis-py leaves its connections untyped
        self._owned = _Owned(os.getpid(), deque())

    def execute(self, command: list[Argument]) -> Any:
        """The reply. Raises what redis-py raises; after a lost connection the next call makes a new one."""
        owned = self._mine()
        connection = self._idle_or_new(owned)
        try:
            connection.send_packed_command((pack(command),), check_health=False)
            reply = connection.read_response()
        except redis.exceptions.ResponseError:
            owned.idle.append(connection)
            raise
        except BaseException:  # whatever it was: a reply may still be on its way
            self._drop(connection, owned.idle)
            raise
        owned.idle.append(connection)
        return reply

    def execute_all(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """The replies to commands that are sent together. Raises the first error reply, when all have been read."""
        owned = self._mine()
        connection = self._idle_or_new(owned)
        replies: list[Any] = []
        try:
            packed = b"".join([pack(command) for command in commands])  # one piece, one system call
            connection.send_packed_command((packed,), check_health=False)
            for _ in commands:
                try:
                    replies.append(connection.read_response())
                except redis.exceptions.ResponseError as error:
                    replies.append(error)
        except BaseException:  # as above
            self._drop(connection, owned.idle)
            raise
        owned.idle.append(connection)
        for reply in replies:
            if isinstance(reply, redis.exceptions.ResponseError):
                raise reply
        return replies

    def drop(self) -> None:
        """Close what is idle: it leads to the wrong place."""
        idle = self._mine().idle
        with contextlib.suppress(IndexError):
            self._drop(idle.pop(), idle)

    def _mine(self) -> _Owned:
        owned = self._owned  # read once: another thread may replace it
        if owned.pid != os.getpid():  # what was open belongs to the parent process
            owned = self._owned = _Owned(os.getpid(), deque())
        return owned

    def _idle_or_new(self, owned: _Owned) -> Any:
        try:
            return owned.idle.pop()
        except IndexError:
            return self._pool.get_connection()

    def _drop(self, connection: Any, idle: deque[Any]) -> None:
        """Close this connection, and the idle ones: what broke one broke them, too."""
        while True:
            connection.disconnect()
            self._pool.release(connection)
            try:
                connection = idle.pop()
            except IndexError:
                return


class _Owned(NamedTuple):
    """The connections of one process that are not in use; replaced as a whole, so that both always fit together."""

    pid: int
    idle: deque[Any]

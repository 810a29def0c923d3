"""What `AsyncScheduler` sends commands over: one connection that many coroutines share.

Each send leaves at once, without waiting for the replies to those before it; replies come back first in, first out.
A broken connection fails all that is in flight with ConnectionLost, and the next `send` opens a new one, to wherever
Redis is by then. `memory:`, which has no connection, is carried by `InProcess`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast

import hiredis
import redis.exceptions

from broker_sched.errors import ConfigurationError, RedisUnavailable
from broker_sched.redis_backend.clients import REPLY_SECONDS, resolve
from broker_sched.redis_backend.commands import RawCommand
from broker_sched.redis_backend.encoding import ERRORS, pack
from broker_sched.redis_backend.error_replies import (
    REPLICA,
    RedisRefused,
    is_replica,
    no_redis,
    translate,
)
from broker_sched.redis_backend.recovery import ConnectionLost, ReplyError
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.redis_backend.urls import Endpoint, is_in_process

FIND_SECONDS = 20.0  # for asking Sentinels or a Cluster, of which some may be down
CONNECT_SECONDS = 2.0  # for connecting and logging in; and a send waits no longer for a connection
MAX_IN_FLIGHT = 20_000  # sends waiting on one connection; more are refused

_NOTHING = object()  # what the reader gives when the next reply is not complete


class AsyncConnection(Protocol):
    """What carries commands to Redis. blocks: so that a command that waits keeps all others waiting."""

    blocks: bool

    async def send(self, commands: Sequence[RawCommand]) -> list[Any]:
        """Send the commands together; one reply each, an error reply as a ReplyError.

        Raises ConnectionLost when there is no connection or it breaks, RedisUnavailable when Redis can't be used.
        """

    def drop(self, reason: str) -> None:
        """Give up the connection, which leads to the wrong place: what is in flight fails, the next send looks anew."""

    async def close(self) -> None:
        """Close the connection for good: what is in flight fails."""


class _Waiting:
    """The commands of one send, until all their replies are there."""

    __slots__ = ("future", "replies", "since", "wanted")

    def __init__(self, future: asyncio.Future[list[Any]], wanted: int, since: float) -> None:
        self.future = future
        self.wanted = wanted
        self.since = since  # event loop time
        self.replies: list[Any] = []


class _OpenConnection(asyncio.Protocol):
    """One open connection: it gives each send its replies, and fails all of them when it breaks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reply_seconds: float) -> None:
        self._loop = loop
        self._reply_seconds = reply_seconds
        self._reader = hiredis.Reader(encoding="utf-8", errors=ERRORS, notEnoughData=_NOTHING)
        self._waiting: deque[_Waiting] = deque()
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.lost: RedisUnavailable | None = None  # the reason, once it is

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base class
        self._keep_watch()

    def send(self, commands: Sequence[RawCommand]) -> asyncio.Future[list[Any]]:
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if self._transport is None or self.lost is not None:
            future.set_exception(ConnectionLost(str(self.lost or "There is no connection yet.")))
        elif len(self._waiting) >= MAX_IN_FLIGHT:
            future.set_exception(RedisUnavailable(f"{MAX_IN_FLIGHT} calls wait for Redis already; try again."))
        else:
            packed = b"".join([pack(command) for command in commands])
            self._waiting.append(_Waiting(future, len(commands), self._loop.time()))
            self._transport.write(packed)
        return future

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                first = waiting[0]
                first.replies.append(reply)
                if len(first.replies) == first.wanted:
                    waiting.popleft()
                    if not first.future.done():  # its request may have been cancelled
                        first.future.set_result(first.replies)
        except hiredis.ProtocolError as error:
            self.abandon(no_redis(error))
        except IndexError:
            self.abandon(ConnectionLost("Redis sent a reply to no command"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.abandon(ConnectionLost(f"The connection to Redis broke: {exc or 'closed by Redis'}"))

    def abandon(self, reason: RedisUnavailable) -> None:
        """Fail what is in flight with this error, and close."""
        if self.lost is not None:
            return
        self.lost = reason
        if self._watch is not None:
            self._watch.cancel()
        for waiting in self._waiting:
            if not waiting.future.done():
                waiting.future.set_exception(type(reason)(*reason.args))  # of its own: each raise adds to it
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()

    def _keep_watch(self) -> None:
        """A Redis that neither answers nor hangs up must not keep the callers waiting for ever."""
        if self._waiting and self._loop.time() - self._waiting[0].since > self._reply_seconds:
            self.abandon(ConnectionLost(f"Redis did not answer within {self._reply_seconds:g} s"))
        elif self.lost is None:
            self._watch = self._loop.call_later(min(1.0, self._reply_seconds / 4), self._keep_watch)


class MultiplexedConnection:
    """A connection that comes back: opened at the first send, and again after each loss.

    find: where Redis is now. It may block (Sentinel, cluster), is called in a thread before each connect, and
        may raise RedisUnavailable.
    name: what CLIENT LIST shows.
    """

    blocks = False

    def __init__(
        self,
        find: Callable[[], Endpoint],
        name: str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        reply_seconds: float = REPLY_SECONDS,
    ) -> None:
        self._find = find
        self._name = name
        self._connect_seconds = connect_seconds
        self._reply_seconds = reply_seconds
        self._current: _OpenConnection | None = None
        self._opening: asyncio.Task[_OpenConnection] | None = None

    async def send(self, commands: Sequence[RawCommand]) -> list[Any]:
        """Send the commands together and return their replies."""
        opened = self._current
        if opened is None or opened.lost is not None:
            opened = await self._reopened()
        return await opened.send(commands)

    def drop(self, reason: str) -> None:
        """Fail what is in flight; the next send looks for Redis anew."""
        if self._current is not None:
            self._current.abandon(ConnectionLost(reason))

    async def close(self) -> None:
        """Close the connection for good: what is in flight fails."""
        if self._opening is not None:
            self._opening.cancel()
        self.drop("The server is closing")

    async def _reopened(self) -> _OpenConnection:
        """The new connection; all who wait for it share one attempt."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        try:
            return await asyncio.wait_for(asyncio.shield(self._opening), self._connect_seconds)
        except (asyncio.TimeoutError, TimeoutError):
            raise ConnectionLost(f"Redis did not accept a connection within {self._connect_seconds:g} s") from None

    def _opened(self, task: asyncio.Task[_OpenConnection]) -> None:
        self._opening = None
        if not task.cancelled() and task.exception() is None:
            self._current = task.result()

    async def _open(self) -> _OpenConnection:
        try:
            endpoint = await asyncio.wait_for(asyncio.to_thread(self._find), FIND_SECONDS)
            return await asyncio.wait_for(self._connect(endpoint), self._connect_seconds)
        except (asyncio.TimeoutError, TimeoutError):
            raise ConnectionLost("Redis was not found, or did not accept a connection, in time") from None
        except ConfigurationError as error:  # the URL was good at the start: what it needs has gone
            raise RedisUnavailable(str(error)) from error
        except (OSError, redis.exceptions.RedisError) as error:
            raise ConnectionLost(f"Redis can't be reached: {error}") from error

    async def _connect(self, endpoint: Endpoint) -> _OpenConnection:
        loop = asyncio.get_running_loop()

        def protocol() -> _OpenConnection:
            return _OpenConnection(loop, self._reply_seconds)

        if endpoint.unix_path is not None:
            _, opened = await loop.create_unix_connection(protocol, endpoint.unix_path)
        else:
            server_hostname = endpoint.host if endpoint.tls is not None else None
            transport, opened = await loop.create_connection(
                protocol, endpoint.host, endpoint.port, ssl=endpoint.tls, server_hostname=server_hostname
            )
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            await self._log_in(opened, endpoint)
        except BaseException:
            opened.abandon(ConnectionLost("The login failed"))
            raise
        return opened

    async def _log_in(self, opened: _OpenConnection, endpoint: Endpoint) -> None:
        commands: list[RawCommand] = [("CLIENT", "SETNAME", self._name)]
        if endpoint.password is not None:
            login = [endpoint.username, endpoint.password] if endpoint.username else [endpoint.password]
            commands.insert(0, ("AUTH", *login))
        if endpoint.db:
            commands.append(("SELECT", str(endpoint.db)))
        commands.append(("ROLE",))
        for command, reply in zip(commands, await opened.send(commands)):
            # The name is only a courtesy, and who may not ask for the role can't know it.
            if isinstance(reply, ReplyError) and command[0] not in ("CLIENT", "ROLE"):
                error = translate(None, str(reply))
                is_known = isinstance(error, RedisUnavailable)
                raise error if is_known else RedisUnavailable(f"Redis refuses the login: {reply}")
            if command[0] == "ROLE" and is_replica(reply):
                replica = RedisRefused(REPLICA)
                raise ConnectionLost(str(replica)) from replica


class InProcess:
    """A connection to a Redis inside this process (`memory:`): every command blocks, for microseconds."""

    blocks = True

    def __init__(self, connection: SyncConnection) -> None:
        self._connection = connection

    async def send(self, commands: Sequence[RawCommand]) -> list[Any]:
        """Carry out the commands at once, and return their replies."""
        return self._connection.send(commands)

    def drop(self, reason: str) -> None:
        """Does nothing: there is no connection that could lead elsewhere."""

    async def close(self) -> None:
        """Close the client; the state lives on in this process."""
        self._connection.close()


class Connections(NamedTuple):
    """The connections of a server. A command waits on the last two, so each is for one purpose."""

    calls: AsyncConnection
    views: AsyncConnection
    long_polls: AsyncConnection
    events: AsyncConnection


def open_connections(url: str | None, prefix: str) -> Connections:
    """Make a server's connections, which open at their first use.

    Blocks while a `local:` Redis is started or Sentinel asked.
    Raises ConfigurationError when the URL can't be used, RedisUnavailable when `local:` does not start. Any other
    Redis that is away is waited for at the first send.
    """
    if is_in_process(url):
        connection = InProcess(SyncConnection(url))
        return Connections(connection, connection, connection, connection)

    def find() -> Endpoint:
        return resolve(url, prefix)

    with contextlib.suppress(redis.exceptions.RedisError):
        find()
    purposes = ("calls", "views", "wakeups", "events")
    return Connections(*(MultiplexedConnection(find, f"bsched-{purpose}") for purpose in purposes))

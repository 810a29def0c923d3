"""What `Scheduler` sends commands over: it waits for the replies. For many threads, and after a fork.

Two transports differ in what they cost. `OwnConnections` takes connections out of a client's pool and speaks over them
itself, which costs a third of what a client's call does. `ThroughClient` calls the client, for all that only the client
knows how to reach: Sentinel, a Cluster, memory, a limited pool, and whatever client the caller gave.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import redis
import redis.exceptions
from redis.cluster import RedisCluster

from broker_sched.redis_backend.clients import connect
from broker_sched.redis_backend.commands import Argument, RawCommand
from broker_sched.redis_backend.encoding import pack, sendable
from broker_sched.redis_backend.error_replies import (
    NOPERM,
    REPLICA,
    is_replica,
    message_of,
    no_redis,
    refused_reply_in,
    translate,
)
from broker_sched.redis_backend.recovery import ConnectionLost, ReplyError
from broker_sched.redis_backend.urls import is_in_process, is_single

ROLE_SECONDS = 1.0  # who only reads asks so often whether the connection still leads to the primary
BLOCK_SECONDS = 6.0  # a blocking command waits so long at the most: less than a reply is waited for
LOST = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.RedisClusterException)
# An error reply, or that redis-py has got one again and again. Looked at before LOST, which some are, too.
ANSWERED = (redis.exceptions.ResponseError, redis.exceptions.BusyLoadingError, redis.exceptions.ClusterError)
LOGIN_REFUSED = (redis.exceptions.AuthenticationError,)  # a LOST for redis-py

RedisClient: TypeAlias = "redis.Redis | RedisCluster"


class Transport(Protocol):
    """How commands reach Redis. An error reply stands among the replies; all else is raised as redis-py raises it."""

    def send(self, commands: Sequence[RawCommand], reads_only: bool) -> list[Any]:
        """Send the commands together and return their replies."""

    def drop(self) -> None:
        """Close the connections that nobody uses at the moment: they may lead to the wrong place."""


class SyncConnection:
    """Carries commands to the Redis that a URL names, or a redis-py client of the caller's own.

    Raises what `clients.connect` raises. Any other Redis that is away is found out at the first command.
    """

    def __init__(self, url: str | RedisClient | None) -> None:
        self.client = connect(url)
        self._transport: Transport = OwnConnections(self.client) if is_single(url) else ThroughClient(self.client)
        is_memory = isinstance(url, (str, type(None))) and is_in_process(url)
        # Memory has no replica; a Cluster's replicas serve nothing, and its client finds out for itself.
        self._may_move = not is_memory and not isinstance(self.client, RedisCluster)
        self._may_ask_role = self._may_move
        self._next_role = 0.0
        kwargs = self.client.get_connection_kwargs()
        self.user = str(kwargs.get("username") or "")  # as whom it logs in; '' where none is named
        given = kwargs.get("socket_timeout")
        self.block_seconds = min(BLOCK_SECONDS, 0.6 * given) if given else BLOCK_SECONDS

    def send(self, commands: Sequence[RawCommand], reads_only: bool = False) -> list[Any]:
        """Send the commands together; one reply each, an error reply as a ReplyError.

        reads_only: a replica would answer them, too, so it is asked every second whether this is one by now.
        Raises ConnectionLost when there is no connection or it breaks, RedisUnavailable when no Redis answers there.
        """
        asks_role = reads_only and self._may_ask_role and time.monotonic() >= self._next_role
        try:
            replies = self._transport.send([("ROLE",), *commands] if asks_role else commands, reads_only)
        except redis.exceptions.InvalidResponse as error:
            raise no_redis(error) from None
        except (*ANSWERED, *LOGIN_REFUSED) as error:
            return [ReplyError(message_of(error))]
        except LOST as error:
            self._next_role = 0.0
            raise ConnectionLost(str(error)) from error
        return self._from_primary(replies) if asks_role else replies

    def ask(self, *command: Argument) -> Any:
        """The reply to one command that only reads, tried once. Raises RedisUnavailable, and ScriptError for errors."""
        (reply,) = self.send([command], reads_only=True)
        if isinstance(reply, ReplyError):
            raise translate(None, str(reply))
        return reply

    def keys(self, pattern: str) -> Iterator[str]:
        """The keys that match, page by page, of every node of a Cluster; one may come twice. Raises as `ask`."""
        try:
            yield from self.client.scan_iter(match=pattern, count=1000)
        except (*ANSWERED, *LOGIN_REFUSED) as error:
            raise translate(None, message_of(error)) from None
        except LOST as error:
            raise ConnectionLost(str(error)) from error

    def drop(self) -> None:
        """Give up the connections that nobody uses: they may lead to the wrong place. The next ones look anew."""
        self._next_role = 0.0
        self._transport.drop()
        if self._may_move:
            self.client.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Close the connections for good."""
        self.client.close()

    def _from_primary(self, replies: list[Any]) -> list[Any]:
        """The replies without that to ROLE; those of a replica count for nothing."""
        role, *others = replies
        if is_replica(role):
            return [ReplyError(f"{REPLICA.name} this server is a replica")]
        if isinstance(role, ReplyError):
            if refused_reply_in(str(role)) not in (NOPERM, None):
                return [role]
            self._may_ask_role = False  # who may not ask, or is not understood, can't know
        self._next_role = time.monotonic() + ROLE_SECONDS
        return others


class ThroughClient:
    """Reaches Redis by the calls of a redis-py client, whatever that client knows how to reach."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, commands: Sequence[RawCommand], reads_only: bool) -> list[Any]:
        """Send the commands together, except to a Cluster, whose pipelines take only what reads."""
        if commands[-1][0] == "WAIT" and isinstance(self._client, RedisCluster):
            return self._at_one_node(commands)
        runs_script = any(command[0] == "EVALSHA" for command in commands)
        is_alone = len(commands) == 1 and (runs_script or commands[0][0] == "BLPOP")
        if is_alone or (isinstance(self._client, RedisCluster) and (runs_script or not reads_only)):
            return [self._one(command) for command in commands]
        pipeline = self._client.pipeline(transaction=False)
        return _replies(pipeline, commands)

    def drop(self) -> None:
        """Does nothing: the client has its connections in its pool, which SyncConnection empties."""

    def _at_one_node(self, commands: Sequence[RawCommand]) -> list[Any]:
        """Send commands to the primary of a Cluster that has their keys, over one connection: WAIT is about that one.

        Where that fails, which node has what is asked anew: the client does so only in what it sends itself.
        """
        key = next(each[3] if each[0] == "EVALSHA" else each[1] for each in commands if each[0] != "SCRIPT")
        replies: list[Any] = []
        try:
            node = self._client.get_node_from_key(key)
            if node is None:
                raise redis.exceptions.ConnectionError("No node of the Cluster has the namespace's slot.")
            replies = _replies(self._client.get_redis_connection(node).pipeline(transaction=False), commands)
        finally:
            if not replies or any(_is_from_elsewhere(each) for each in replies):
                with contextlib.suppress(*LOST, *ANSWERED):
                    self._client.nodes_manager.initialize()
        return replies

    def _one(self, command: RawCommand) -> Any:
        try:
            return self._client.execute_command(*sendable(command))
        except redis.exceptions.ResponseError as error:
            return ReplyError(message_of(error))


def _is_from_elsewhere(reply: Any) -> bool:
    """Whether an error reply says that another node has the keys."""
    refused = refused_reply_in(str(reply)) if isinstance(reply, ReplyError) else None
    return refused is not None and refused.look_anew


def _replies(pipeline: Any, commands: Sequence[RawCommand]) -> list[Any]:
    """Send commands through a pipeline of redis-py, and return the replies as Redis gives them."""
    pipeline.response_callbacks = {}
    for command in commands:
        pipeline.execute_command(*sendable(command))
    return [_as_reply(reply) for reply in pipeline.execute(raise_on_error=False)]


def _as_reply(reply: Any) -> Any:
    """What redis-py and fakeredis make of a reply, back in the shape Redis gives it."""
    if isinstance(reply, redis.exceptions.ResponseError):
        return ReplyError(message_of(reply))
    if isinstance(reply, Exception):
        raise reply
    if isinstance(reply, dict):
        return [each for pair in reply.items() for each in pair]
    return list(reply) if isinstance(reply, set) else reply


class OwnConnections:
    """Sends over connections from the pool of a client that nobody else uses, as many as there are threads at once.

    They are not given back, so the pool must not be limited.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool: Any = client.connection_pool  # Any: redis-py leaves its connections untyped
        self._owned = _Owned(os.getpid(), deque())

    def send(self, commands: Sequence[RawCommand], reads_only: bool = False) -> list[Any]:
        """The replies. After a lost connection the next call makes a new one."""
        idle = self._mine().idle
        connection = self._idle_or_new(idle)
        replies: list[Any] = []
        try:
            packed = b"".join([pack(command) for command in commands])  # one piece, one system call
            connection.send_packed_command((packed,), check_health=False)
            for _ in commands:
                try:
                    replies.append(connection.read_response())
                except redis.exceptions.ResponseError as error:
                    replies.append(ReplyError(message_of(error)))
        except BaseException:  # whatever it was: a reply may still be on its way
            self._close(connection, idle)
            raise
        idle.append(connection)
        return replies

    def drop(self) -> None:
        """Close the connections that no thread uses at the moment."""
        idle = self._mine().idle
        with contextlib.suppress(IndexError):
            self._close(idle.pop(), idle)

    def _mine(self) -> _Owned:
        owned = self._owned  # read once: another thread may replace it
        if owned.pid != os.getpid():  # what was open belongs to the parent process
            owned = self._owned = _Owned(os.getpid(), deque())
        return owned

    def _idle_or_new(self, idle: deque[Any]) -> Any:
        try:
            return idle.pop()
        except IndexError:
            return self._pool.get_connection()

    def _close(self, connection: Any, idle: deque[Any]) -> None:
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

"""Deleting a namespace: all its keys, a part at a time, and those of no other one."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from broker_sched.config import SchedulerConfig
from broker_sched.errors import NamespaceInUse
from broker_sched.redis_backend.error_replies import translate
from broker_sched.redis_backend.namespace import DELETING, prefix_of
from broker_sched.redis_backend.recovery import ReplyError
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.scheduler.keys import SERVER_SECONDS

KEYS_AT_ONCE = 500
SHOWN = 20  # of those that are alive
# A Redis that has reached its maxmemory refuses HSET, except to a script that has removed something before.
MARK = "redis.call('HDEL', KEYS[1], 'schema') return redis.call('HSET', KEYS[1], 'schema', ARGV[1])"


def delete_namespace(connection: SyncConnection, namespace: str, *, force: bool = False) -> Iterator[int]:
    """Delete a namespace; yields how many keys are gone so far, while it goes on.

    Meanwhile every call on the namespace is refused (SchemaMismatch). Where this is broken off, that stays so, and the
    next call goes on. No other key of Redis is touched, and none is long at work: Redis frees large ones by itself.

    force: though servers or workers are alive, which make the namespace anew by their next call after this. Raises
    NamespaceInUse without it, and then nothing was deleted; RedisUnavailable.
    """
    if not force and (alive := alive_in(connection, namespace)):
        more = f" and {len(alive) - SHOWN} more" if len(alive) > SHOWN else ""
        raise NamespaceInUse(
            f"Namespace {namespace} is in use by {', '.join(alive[:SHOWN])}{more}: nothing was deleted. Stop "
            "them first, or use force, and they fail or make it anew."
        )
    return _delete(connection, prefix_of(namespace))


def alive_in(connection: SyncConnection, namespace: str) -> list[str]:
    """Return the servers and workers that were heard of lately: `server on <host> (<id>)`, `worker <id>`."""
    prefix = prefix_of(namespace)
    (seconds, _), delay, servers = _send(
        connection,
        ("TIME",),
        ("HGET", f"{prefix}config", "worker_disconnect_delay"),
        ("HVALS", f"{prefix}servers"),
    )
    now = float(seconds)
    (workers,) = _send(
        connection,
        (
            "ZRANGEBYSCORE",
            f"{prefix}workers",
            repr(now - float(delay or SchedulerConfig().worker_disconnect_delay)),
            "+inf",
        ),
    )
    found = []
    for text in servers:
        with contextlib.suppress(ValueError, TypeError, KeyError):  # of another version
            told = json.loads(text)
            if float(told["seen"]) > now - SERVER_SECONDS:
                found.append(f"the server on {told['host']} (pid {told['pid']})")
    return [*found, *(f"worker {name}" for name in workers)]


def _delete(connection: SyncConnection, prefix: str) -> Iterator[int]:
    config = f"{prefix}config"
    mark = ("EVALSHA", hashlib.sha1(MARK.encode()).hexdigest(), "1", config, DELETING)
    _send(connection, ("SCRIPT", "LOAD", MARK), mark, writes=True)
    count = 0
    names = (name for name in connection.keys(f"{prefix}*") if name != config)
    while some := list(islice(names, KEYS_AT_ONCE)):
        (gone,) = _send(connection, ("UNLINK", *some), writes=True)
        count += gone
        yield count
    _send(connection, ("UNLINK", config), writes=True)
    yield count + 1


def _send(connection: SyncConnection, *commands: Sequence[str], writes: bool = False) -> list[Any]:
    replies = connection.send(commands, reads_only=not writes)
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise translate(None, str(reply))
    return replies

"""Which keys in Redis hold a task or a worker, for whoever looks at Redis itself.

The names of the keys and their members follow from the record of the task or worker (keys.py has the patterns); each is
asked for, so that only what is there is named. A fixed number of keys is looked at, and 100 deps and dependents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from broker_sched.contract.states import STATES
from broker_sched.redis_backend.error_replies import translate
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.recovery import ReplyError
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.scheduler.records import pairs

NEIGHBOURS = 100  # deps, and dependents
SHOWING = {  # a whole key, by its type
    "string": ("GET",),
    "hash": ("HGETALL",),
    "list": ("LRANGE", "0", "-1"),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
}


class HeldKey(NamedTuple):
    """A key that holds a task or a worker, with its type, and the command that shows what it says of it."""

    key: str
    type: str
    command: tuple[str, ...]


def keys_of_task(connection: SyncConnection, namespace: Namespace, task_id: str) -> list[HeldKey]:
    """Return the keys that hold a task, or a dep that is not there; [] when there is none of this id."""
    key = namespace.key
    flat, missing = _read(connection, [("HGETALL", key("task", task_id)), ("HGET", key("missing_deps"), task_id)])
    record = pairs(flat)
    n = record.get("n") or missing
    log = [(key("log", task_id),), (key("trace", task_id),)]
    if n is None:
        return list(_there(connection, log))
    rank = record.get("rank") or n
    own = [key(kind, task_id) for kind in ("task", "detail")]
    own += [
        key(kind, n)
        for kind in (*("deps", "dependents", "unmet", "blockers", "failures", "attempts", "unlink", "batch_keys"),)
    ]
    deps, dependents, batch_keys, last_failed = _read(
        connection,
        [
            ("SRANDMEMBER", key("deps", n), str(NEIGHBOURS)),
            ("SRANDMEMBER", key("dependents", n), str(NEIGHBOURS)),
            ("SMEMBERS", key("batch_keys", n)),
            ("HGET", key("family", record.get("family", "")), "last_failed_task"),
        ],
    )
    family, runner_set, stakeholders = (record.get(each, "") for each in ("family", "runner_set", "stakeholder_set"))
    members = [
        ("HGET", key("ids"), n),
        ("HGET", key("missing_deps"), task_id),
        *(("ZSCORE", key("tasks", state, family), n) for state in STATES),
        *(("ZSCORE", key("due", what), n) for what in ("retry", "enable", "postponed", "remove")),
        *(("SISMEMBER", key(what), n) for what in ("without_stakeholders", "orphaned_runs", "batch_running")),
        ("ZSCORE", key("ready", record.get("ready", "")), rank),
        *(("ZSCORE", key("batch_ready", each), rank) for each in batch_keys),
        ("SISMEMBER", key("batchable", family), n),
        *([("HGET", key("family", family), "last_failed_task")] if last_failed == task_id else []),
        ("ZSCORE", key("running"), rank),
        ("SISMEMBER", key("running", record.get("worker_running", "")), n),
        ("SISMEMBER", key("batch", record.get("batch_id", "")), n),
        ("HGET", key("runner_set", runner_set, "running"), task_id),
        ("SISMEMBER", key("counted", record.get("counted", "")), n),
        ("SISMEMBER", key("stakeholder_set", stakeholders, "tasks"), n),
        *(("SISMEMBER", key("dependents", each), n) for each in deps),
        *(("SISMEMBER", key(kind, each), n) for kind in ("deps", "unmet", "blockers") for each in dependents),
    ]
    return list(_there(connection, [*((each,) for each in own), *log, *members]))


def keys_of_worker(connection: SyncConnection, namespace: Namespace, worker: str) -> list[HeldKey]:
    """Return the keys that hold a worker or a submission; [] when there is none of this id."""
    key = namespace.key
    (w,) = _read(connection, [("HGET", key("worker", worker), "w")])
    kinds = ("worker", "worker_info", "refusals", "missed", "memory", "messages", "batchers", "running")
    own = [key(kind, worker) for kind in (*kinds, "worker_batches", "submission")]
    members = [("ZSCORE", key("workers"), worker), ("ZSCORE", key("ended_submissions"), worker)]
    if w is not None:
        own += [key("worker_runner_sets", w), key("worker_stakeholder_sets", w)]
        runner_sets, stakeholder_sets = _read(connection, [("SMEMBERS", each) for each in own[-2:]])
        members += [
            ("HGET", key("worker_ids"), w),
            *(("ZSCORE", key(kind), w) for kind in ("idle", "idle_assistants")),
            ("SISMEMBER", key("submissions"), w),
            *(("SISMEMBER", key("runner_set", each, "workers"), w) for each in runner_sets),
            *(("SISMEMBER", key("stakeholder_set", each, "workers"), w) for each in stakeholder_sets),
        ]
        own += [key("counted", each, w) for each in runner_sets]
    return list(_there(connection, [*((each,) for each in own), *members]))


def _there(connection: SyncConnection, candidates: Sequence[tuple[str, ...]]) -> Iterator[HeldKey]:
    """Of the candidates those that are there: a key (key,), or the command that asks a key for a member."""
    names = [each[0] if len(each) == 1 else each[1] for each in candidates]
    types = _read(connection, [("TYPE", name) for name in names])
    asked = [each for each in candidates if len(each) > 1]
    found = dict(zip(asked, _read(connection, asked))) if asked else {}
    for candidate, name, kind in zip(candidates, names, types):
        if len(candidate) > 1 and found[candidate] not in (None, 0):
            yield HeldKey(name, str(kind), candidate)
        elif len(candidate) == 1 and kind in SHOWING:
            command, *rest = SHOWING[str(kind)]
            yield HeldKey(name, str(kind), (command, name, *rest))


def _read(connection: SyncConnection, commands: Sequence[tuple[str, ...]]) -> list[Any]:
    replies = connection.send(commands, reads_only=True)
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise translate(None, str(reply))
    return replies

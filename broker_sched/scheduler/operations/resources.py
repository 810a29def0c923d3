"""A resource: its limit, which running tasks hold it, and which ready tasks want it."""

from __future__ import annotations

import json

from broker_sched.contract import resource_replies
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import SMALL_PACE, read_paced
from broker_sched.scheduler.ready_queues import ReadyQueue, read_ready_queues
from broker_sched.scheduler.records import ids_of, nearest_amount

MOST_RUNNING = 1000  # running tasks that are looked at for who holds it
MOST_QUEUES = 50  # ready queues of which the best tasks are looked at


def resource_details(
    namespace: Namespace, *, resource: str, limit: int
) -> Commands[resource_replies.ResourceDetails | None]:
    """Return who holds a resource and who wants it; None when it has no limit and nobody does.

    Reads up to 1,000 running tasks, the sizes of the ready queues, and the best tasks of 50 of these.
    """
    limit_text, used = yield Read(
        [("HGET", namespace.key("resources"), resource), ("HGET", namespace.key("used"), resource)]
    )
    holders, saw_all_running = yield from _read_holders(namespace, resource)
    queues, saw_all_queues = yield from read_ready_queues(namespace, resource=resource)
    if limit_text is None and used is None and not holders and not queues:
        return None
    waiters = yield from _read_waiters(namespace, resource, queues, limit)
    return {
        "name": resource,
        "limit": json.loads(limit_text or "1"),
        "has_limit": limit_text is not None,
        "used": nearest_amount(used or "0"),
        "holders": holders[:limit],
        "n_holders": len(holders),
        "waiters": waiters,
        "n_waiters": sum(queue.size for queue in queues),
        "complete": saw_all_running and saw_all_queues,
    }


def _read_holders(namespace: Namespace, resource: str) -> Commands[tuple[list[resource_replies.ResourceHolder], bool]]:
    """The running tasks that hold it, most first; and whether all running tasks were looked at."""
    ranks, count = yield Read(
        [("ZRANGE", namespace.key("running"), "0", str(MOST_RUNNING - 1)), ("ZCARD", namespace.key("running"))]
    )
    ids = yield from ids_of(namespace, [_number(rank) for rank in ranks])
    fields = ("status", "family", "worker_running", "time_running", "held", "resources")
    rows = yield from read_paced([("HMGET", namespace.key("task", each), *fields) for each in ids.values()], SMALL_PACE)
    holders: list[resource_replies.ResourceHolder] = []
    for task_id, (status, family, worker, since, held, needs) in zip(ids.values(), rows):
        amount = _amount(needs if held is None else held, resource)
        if status == "RUNNING" and amount:
            began = None if since is None else float(since)
            holders.append(
                {"task_id": task_id, "family": family or "", "worker": worker, "since": began, "amount": amount}
            )
    holders.sort(key=lambda each: (-each["amount"], each["since"] or 0.0))
    return holders, count <= MOST_RUNNING


def _read_waiters(
    namespace: Namespace, resource: str, queues: list[ReadyQueue], limit: int
) -> Commands[list[resource_replies.ResourceWaiter]]:
    """The best ready tasks that want it, in the order in which they are handed out."""
    ranked: list[tuple[bool, float, str, float]] = []
    largest = sorted(queues, key=lambda each: -each.size)[:MOST_QUEUES]
    for queue in largest:
        (flat,) = yield Read([("ZRANGE", namespace.key("ready", queue.name), "0", str(limit - 1), "WITHSCORES")])
        ranked += [
            (queue.is_postponed, float(score), rank, queue.needs[resource])
            for rank, score in zip(flat[::2], flat[1::2])
        ]
    best = sorted(ranked)[:limit]
    ids = yield from ids_of(namespace, [_number(rank) for _, _, rank, _ in best])
    fields = ("status", "family", "ready_since", "updated")
    rows = yield from read_paced([("HMGET", namespace.key("task", each), *fields) for each in ids.values()], SMALL_PACE)
    known = dict(zip(ids, zip(ids.values(), rows)))
    waiters: list[resource_replies.ResourceWaiter] = []
    for _, score, rank, amount in best:
        task_id, (status, family, ready_since, updated) = known.get(_number(rank), ("", (None, None, None, None)))
        if status == "PENDING":  # else it was handed out meanwhile
            since = float(ready_since or updated)
            waiters.append(
                {"task_id": task_id, "family": family or "", "priority": -score, "since": since, "amount": amount}
            )
    return waiters


def _number(rank: str) -> str:
    return rank.rpartition(":")[2]


def _amount(text: str | None, resource: str) -> float:
    amounts = {} if text in (None, "", "1") else json.loads(text or "{}")
    return float(amounts.get(resource, 0))

"""A call that is refused changes nothing: out of memory, a replica, wrong arguments.

Each call is one script, which Redis carries out whole or not at all. Where Redis refuses in the middle of what we
send, nothing may have been written yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker_sched import InvalidArgument, RedisUnavailable, Scheduler
from broker_sched.scheduler.integrity.snapshot import take
from tests.servers import RunningRedis, embedded_servers, until

WRITES: dict[str, Callable[[Scheduler], object]] = {
    "add_task new": lambda s: s.add_task(worker="w", task_id="new", deps=["x", "y"], resources={"db": 1}),
    "add_task again": lambda s: s.add_task(worker="v", task_id="b", priority=9),
    "add_task long": lambda s: s.add_task(worker="w", task_id="long", deps=[f"d{n}" for n in range(400)]),
    "add_task DONE": lambda s: s.add_task(worker="w", task_id="a", status="DONE"),
    "add_task FAILED": lambda s: s.add_task(worker="w", task_id="a", status="FAILED", expl="x"),
    "get_work": lambda s: s.get_work(worker="w"),
    "get_work lost": lambda s: s.get_work(worker="w", current_tasks=[]),
    "get_work assistant": lambda s: s.get_work(worker="h", assistant=True),
    "count_pending": lambda s: s.count_pending(worker="unknown"),
    "ping": lambda s: s.ping(worker="w"),
    "add_worker": lambda s: s.add_worker("w", {"workers": 3}),
    "disable_worker": lambda s: s.disable_worker("w"),
    "set_worker_processes": lambda s: s.set_worker_processes("w", 3),
    "add_task_batcher": lambda s: s.add_task_batcher(worker="w", task_family="F", batched_args=["day"]),
    "decrease": lambda s: s.decrease_running_task_resources("a", {"db": 1}),
    "status message": lambda s: s.set_task_status_message("a", "x"),
    "response": lambda s: s.add_scheduler_message_response("a", "m", 1),
    "mark_as_done": lambda s: s.mark_as_done("f"),
    "forgive_failures": lambda s: s.forgive_failures("f"),
    "pause": lambda s: s.pause(),
    "update_resources": lambda s: s.update_resources(db=9),
    "prune": lambda s: s.prune(),
}

# These begin with a removal, which Redis lets pass; then it lets the script finish. So they are carried out whole.
FREEING = ("mark_as_done", "forgive_failures")


@pytest.fixture
def own_redis(real_redis_kind: str, tmp_path: Path) -> Iterator[RunningRedis]:
    server = RunningRedis(embedded_servers()[real_redis_kind], tmp_path / "own")
    yield server
    server.kill()


@pytest.fixture
def filled(own_redis: RunningRedis) -> Scheduler:
    """Something for every write to change."""
    now = [1000.0]
    scheduler = Scheduler(own_redis.url, clock=lambda: now[0], prune_interval_seconds=None, retry_delay=5)
    scheduler.update_resources(db=2)
    scheduler.add_task(worker="w", task_id="a", resources={"db": 1}, priority=5)
    scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="b", deps=["c"])
    scheduler.add_task(worker="v", task_id="e")
    scheduler.add_task(worker="w", task_id="f", status="FAILED")
    scheduler.set_worker_processes("w", 2)
    now[0] += 100
    return scheduler


def contents(scheduler: Scheduler) -> dict[str, object]:
    """All that the namespace holds, but for the note that somebody has asked for a change."""
    names = scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*", count=1000)
    found = take(scheduler.namespace.prefix, iter(names), scheduler._read).content
    return {name: each for name, each in found.items() if name != "audit_open" and not name.startswith("reply:")}


@pytest.mark.parametrize("name", WRITES)
def test_out_of_memory_a_call_is_refused_whole_or_carried_out_whole(filled: Scheduler, name: str) -> None:
    before = contents(filled)
    filled._client.config_set("maxmemory", 1)
    if name in FREEING:
        WRITES[name](filled)
        filled._client.config_set("maxmemory", 0)
    else:
        with pytest.raises(RedisUnavailable, match="OOM"):
            WRITES[name](filled)
        filled._client.config_set("maxmemory", 0)
        assert contents(filled) == before
        WRITES[name](filled)
    assert contents(filled) != before
    assert filled.verify() == []


def test_on_a_replica_a_call_changes_nothing_and_says_so(filled: Scheduler) -> None:
    before = contents(filled)
    filled._client.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(RedisUnavailable, match="read only replica"):
        filled.add_task(worker="w", task_id="new")
    with pytest.raises(RedisUnavailable, match="read only replica"):
        filled.config()
    filled._client.execute_command("REPLICAOF", "NO", "ONE")
    assert contents(filled) == before
    until(lambda: filled._client.role()[0] == "master", "it is a primary again")


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("status", lambda s: s.add_task(worker="w", task_id="b", status="NOPE")),
        ("priority", lambda s: s.add_task(worker="w", task_id="b", priority=float("nan"))),
        ("resources", lambda s: s.add_task(worker="w", task_id="b", resources={"db": -1})),
        ("params", lambda s: s.add_task(worker="w", task_id="new", params={"x": float("inf")})),
        ("deps", lambda s: s.add_task(worker="w", task_id="b", deps=["x", ""])),
        ("worker", lambda s: s.add_task(task_id="b")),
        ("task_id", lambda s: s.add_task(worker="w", task_id="")),
        ("retry_policy_dict.retries", lambda s: s.add_task(worker="w", task_id="b", retry_policy_dict={"retries": 1})),
        ("info", lambda s: s.add_worker("w", {"load": float("nan")})),
        ("db", lambda s: s.update_resources(db="many")),
        ("content", lambda s: s.send_scheduler_message("w", "a", {"x": object()})),
    ],
)
def test_a_wrong_argument_is_named_and_changes_nothing(scheduler: Scheduler, field: str, call: Callable) -> None:  # type: ignore[type-arg]  # any call
    scheduler.add_task(worker="w", task_id="b")
    before = contents(scheduler)
    with pytest.raises(InvalidArgument) as caught:
        call(scheduler)
    assert caught.value.field.startswith(field)
    assert contents(scheduler) == before

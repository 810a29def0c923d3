"""A repair may be made at any time: what others do meanwhile waits, is not lost, and is not overwritten.

A repair reads everything and then writes. Calls that come in between wait for its end; a repair that stands still for
too long gives up instead of overwriting what came after it.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from broker_sched import RedisUnavailable, Scheduler
from broker_sched.scheduler.integrity.repair import Repair
from broker_sched.scheduler.operations.tasks import run_deferred
from tests.conftest import FakeClock, SchedulerFactory
from tests.nightly import by_night
from tests.programs import DEVNULL, Program
from tests.transfer.moving import maintenance_of

LAYERS, WIDTH, WORKERS = by_night((12, 6, 3), (3, 4, 2))

REPAIRS = 4  # at the least, while they work
# Adds its share of a layered graph, then runs whatever it is given, until all is done. What it does stands in a list.
# For each task it takes a token: tokens come by repairs, so that a busy machine comes to some, too.
WORKER = """
import sys, time
import redis
from broker_sched import Scheduler
url, namespace, me, layers, width, workers = sys.argv[1:4] + [int(each) for each in sys.argv[4:]]
scheduler, log = Scheduler(url, namespace=namespace), redis.Redis.from_url(url, decode_responses=True)
key = f"log-{namespace}"
for layer in range(layers):
    for place in range(width):
        if place % workers == int(me):
            deps = [f"t-{layer - 1}-{each}" for each in range(width)] if layer else []
            needs = {"db": 0.1 * (place % 3)}
            scheduler.add_task(worker=me, task_id=f"t-{layer}-{place}", deps=deps, resources=needs, priority=place)
deadline = time.monotonic() + 200
while log.llen(key) < 2 * layers * width and time.monotonic() < deadline:
    if log.blpop([f"token-{namespace}"], 1) is None:
        continue
    task_id = scheduler.get_work(worker=me, assistant=True)["task_id"]
    if task_id is None:
        log.rpush(f"token-{namespace}", "unused")
        time.sleep(0.02)
        continue
    log.rpush(key, f"start {task_id}")
    log.rpush(key, f"end {task_id}")
    scheduler.add_task(worker=me, task_id=task_id, status="DONE")
"""
# Indexes whose damage has tasks left lying until it is repaired, and nothing worse.
DAMAGED = ("ready", "ready_queues", "counted", "used", "running", "tasks", "dependents")


def damage(scheduler: Scheduler, chance: random.Random) -> None:
    """Delete an index, or make a sum wrong."""
    prefix = scheduler.namespace.prefix
    keys = sorted(
        key
        for key in scheduler._client.scan_iter(match=f"{prefix}*", count=1000)
        if key.removeprefix(prefix).partition(":")[0] in (*DAMAGED, "runner_set")
    )
    for key in chance.sample(keys, min(3, len(keys))):
        if not key.removeprefix(prefix).startswith("runner_set:"):
            scheduler._client.delete(key)
        elif scheduler._client.type(key) == "hash" and scheduler._client.hexists(key, "size"):
            scheduler._client.hincrby(key, chance.choice(["pending", "counted", "with_resources"]), 1)


def test_work_is_done_once_and_in_order_while_indexes_are_damaged_and_repaired(
    real_redis_url: str, tmp_path: Path
) -> None:
    namespace = f"t-{uuid.uuid4().hex[:12]}"
    scheduler = Scheduler(real_redis_url, namespace=namespace, resources={"db": 1})
    sizes = [str(each) for each in (LAYERS, WIDTH, WORKERS)]
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    around: dict[str, Any] = {"program": str(script), "stdout": DEVNULL, "stderr": DEVNULL}
    workers = [Program(real_redis_url, namespace, str(number), *sizes, **around) for number in range(WORKERS)]
    chance, repaired = random.Random(11), 0
    try:
        while any(worker.poll() is None for worker in workers):
            damage(scheduler, chance)
            if scheduler.verify(repair=True):
                repaired += 1
                scheduler._client.rpush(f"token-{namespace}", *(["one"] * -(-LAYERS * WIDTH // REPAIRS)))
        assert [worker.wait() for worker in workers] == [0] * WORKERS
        scheduler.verify(repair=True)
        assert scheduler.verify() == []
        assert repaired >= REPAIRS
        said = scheduler._client.lrange(f"log-{namespace}", 0, -1)
        everything = [f"t-{layer}-{place}" for layer in range(LAYERS) for place in range(WIDTH)]
        assert Counter(said) == Counter(f"{what} {task_id}" for what in ("start", "end") for task_id in everything)
        assert set(scheduler.task_list(status="DONE")) == set(everything)
        for layer in range(1, LAYERS):
            first = min(said.index(f"start t-{layer}-{place}") for place in range(WIDTH))
            assert all(said.index(f"end t-{layer - 1}-{place}") < first for place in range(WIDTH))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        for key in [
            f"log-{namespace}",
            f"token-{namespace}",
            *scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*"),
        ]:
            scheduler._client.delete(key)
        scheduler.close()


@pytest.fixture
def repair(scheduler: Scheduler) -> Iterator[Callable[[], Repair]]:
    with closing(maintenance_of(scheduler)) as admin:
        yield lambda: Repair(admin._run, lambda deferred_steps: admin.drive(run_deferred(deferred_steps)))


def test_a_call_that_comes_during_a_repair_is_carried_out_when_it_ends(
    scheduler: Scheduler, another: Scheduler, repair: Callable[[], Repair]
) -> None:
    scheduler.add_task(worker="w", task_id="a")
    handed: list[str | None] = []
    with repair():
        asking = threading.Thread(target=lambda: handed.append(another.get_work(worker="w")["task_id"]))
        asking.start()
        asking.join(0.5)
        assert asking.is_alive()
        assert not scheduler._client.exists(scheduler.namespace.key("running:w"))
    asking.join(60)
    assert handed == ["a"]


def test_a_repair_that_stood_still_for_too_long_overwrites_nothing(
    scheduler: Scheduler, another: Scheduler, repair: Callable[[], Repair], clock: FakeClock
) -> None:
    scheduler.add_task(worker="w", task_id="a")
    with repair() as stalled:
        clock.advance(11)
        assert another.get_work(worker="w")["task_id"] == "a"
        with pytest.raises(RedisUnavailable, match="others have gone on"):
            stalled.write([("DEL", "running:w")])
    assert another.get_running_task_resources(task_id="a")["resources"] == {}
    assert scheduler.verify() == []


def test_the_time_that_a_repair_takes_is_no_silence_of_workers(
    scheduler: Scheduler, another: Scheduler, repair: Callable[[], Repair], clock: FakeClock
) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.get_work(worker="w")
    clock.advance(50)
    with repair() as long:
        for _ in range(20):
            clock.advance(9)
            long._do("renew")
    clock.advance(9)
    another.prune()
    assert set(another.task_list(status="RUNNING")) == {"a"}
    clock.advance(2)
    another.prune()
    assert set(another.task_list(status="FAILED")) == {"a"}


def test_two_repairs_take_turns(scheduler: Scheduler, another: Scheduler, repair: Callable[[], Repair]) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler._client.delete(scheduler.namespace.key("ready_queues"))
    found: list[list[str]] = []
    with repair():
        second = threading.Thread(target=lambda: found.append([each.key for each in another.verify(repair=True)]))
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(60)
    assert found == [["ready_queues"]]
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_repair_that_is_killed_holds_others_up_for_some_seconds_only(
    scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    scheduler = scheduler_factory()
    scheduler._client.hset(scheduler.namespace.key("config"), "repairing", f"gone {clock.now + 10:.6f}")
    waiting = threading.Thread(target=lambda: scheduler.add_task(worker="w", task_id="a"))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    clock.advance(10.1)
    waiting.join(60)
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_lost_contacts_of_workers_come_back(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler._client.delete(scheduler.namespace.key("workers"))
    assert [each.key for each in scheduler.verify(repair=True)] == ["workers"]
    scheduler.prune()
    assert [worker["name"] for worker in scheduler.worker_list()] == ["w"]

"""`bsched redis keys`: every key that holds a task or a worker is named, and its command shows it."""

from __future__ import annotations

import shlex
import subprocess
from typing import Any

import pytest

from broker_sched import Scheduler
from tests.cli.commands import Bsched
from tests.harness import RedisProcess
from tests.servers import redis_cli

# Streams and answers of calls tell what happened; those of a name only say what its tasks need or have in common.
ELSEWHERE = ("events", "reply:", "failed_runs", "ended:", "wake:", "gone_workers")


def contents(redis: RedisProcess, prefix: str) -> dict[str, set[str]]:
    """All keys, and the members, fields and names that stand in each."""
    client: Any = redis.client
    read = {
        "hash": lambda key: {*client.hkeys(key), *client.hvals(key)},
        "set": client.smembers,
        "zset": lambda key: {*client.zrange(key, 0, -1)},
        "list": lambda key: set(),
        "string": lambda key: set(),
        "stream": lambda key: set(),
    }
    keys = [key for key in client.keys(f"{prefix}*") if not key.removeprefix(prefix).startswith(ELSEWHERE)]
    return {key: {*read[client.type(key)](key), *key.removeprefix(prefix).split(":")} for key in keys}


@pytest.fixture
def filled(board: Scheduler) -> Scheduler:
    """Tasks of every status, a batch, and a submission."""
    for other in range(70):  # so that ours has a number that nothing else has
        board.add_worker(worker=f"other-{other}", info={})
    board.add_worker(worker="ours", info={"workers": 3}, start_id="s")
    board.add_task_batcher(worker="ours", task_family="Batch", batched_args=["x"], max_batch_size=2)
    for x in range(2):
        board.add_task(
            worker="ours", task_id=f"Batch_{x}", family="Batch", params={"x": str(x)}, batchable=True, priority=9
        )
    assert board.get_work(worker="ours")["batch_task_ids"]
    for x in (2, 3):
        board.add_task(worker="ours", task_id=f"Batch_{x}", family="Batch", params={"x": str(x)}, batchable=True)
    for name, status in (("Failed", "FAILED"), ("Done", "DONE"), ("Ready", "PENDING"), ("Runs", "PENDING")):
        task = {"family": name, "resources": {"db": 1} if name == "Ready" else {}, "priority": 8 * (name == "Runs")}
        board.add_task(worker="ours", task_id=f"{name}_1", status=status, expl="x", **task)
    assert board.get_work(worker="ours")["task_id"] == "Runs_1"
    board.set_task_log(task_id="Runs_1", log="said", size=4)
    board.add_task(worker="ours", task_id="Waits_1", family="Waits", deps=["Failed_1", "Gone_1"])
    board.add_task(worker="sub", task_id="Ready_1", family="Ready")
    board.add_submission(submission="sub", tasks=["Ready_1"])
    board.change_tasks(task_ids=["Done_1"], action="disable")
    return board


@pytest.mark.parametrize(
    "name", ["Batch_0", "Batch_2", "Failed_1", "Done_1", "Ready_1", "Runs_1", "Waits_1", "Gone_1", "ours", "sub"]
)
def test_every_key_that_holds_it_is_named(filled: Scheduler, own_redis: RedisProcess, on: Bsched, name: str) -> None:
    prefix = filled.namespace.prefix
    found = {each["key"] for each in on.json_lines("redis", "keys", name)}
    everything = contents(own_redis, prefix)
    is_worker = name in ("ours", "sub")
    numbers = own_redis.client.hgetall(f"{prefix}{'worker_ids' if is_worker else 'ids'}")
    number = next(n for n, each in numbers.items() if each == name)
    holding = {key for key, inside in everything.items() if {name, number} & inside}
    # tasks name the workers that run them, or may, and the counters the last number of all
    others = ("counters", "task:", "runner_set:1:running") if is_worker else ("counters",)
    holding = {key for key in holding if not key.removeprefix(prefix).startswith(others)}
    assert found >= holding
    assert all(key in everything or "log:" in key for key in found)


def test_the_commands_work_as_they_are_printed(filled: Scheduler, on: Bsched) -> None:
    program = redis_cli()
    for each in on.json_lines("redis", "keys", "Failed_1"):
        words = shlex.split(each["command"])
        assert words[0] == "redis-cli" and each["key"] in words
        said = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=True).stdout
        assert said.strip() not in ("", "0", "(nil)") and "ERR" not in said, each


def test_what_is_neither_task_nor_worker_is_told_the_nearest(filled: Scheduler, on: Bsched) -> None:
    assert "There is no task or worker Failed_2. Did you mean Failed_1" in on.error("redis", "keys", "Failed_2")

"""A Cluster of three nodes moves a namespace's slot, key by key, while calls come in: none is carried out by halves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from broker_sched import RedisUnavailable, RemoteScheduler, Scheduler
from broker_sched.redis_backend.recovery import DIRECT
from broker_sched.scheduler.family_counts import read_counts
from tests.harness import ServerProcess
from tests.servers import RunningRedis, embedded_servers, free_port, until

pytestmark = pytest.mark.timeout(180)
NAMESPACE = "moving"


class Cluster(NamedTuple):
    """Three primaries, and where the namespace is to go: from the first node that has it to another."""

    nodes: list[RunningRedis]
    url: str

    def owner(self, slot: int) -> tuple[RunningRedis, RunningRedis]:
        """The node that has the slot, and another one."""
        with self.nodes[0].client() as client:
            port = next(
                node[1]
                for first, last, node, *_ in client.execute_command("CLUSTER", "SLOTS")
                if _holds(first, last, slot)
            )
        source = next(node for node in self.nodes if node.port == port)
        return source, next(node for node in self.nodes if node is not source)


def _holds(first: Any, last: Any, slot: int) -> bool:
    return int(first) <= slot <= int(last)


class Move:
    """The move of one slot, step by step."""

    def __init__(self, cluster: Cluster, slot: int) -> None:
        self.slot = slot
        self._nodes = [node.client() for node in cluster.nodes]
        source, target = cluster.owner(slot)
        self.source, self.target, self._port = source.client(), target.client(), target.port
        self._ids = [str(client.execute_command("CLUSTER", "MYID")) for client in (self.source, self.target)]

    def begin(self) -> None:
        self.target.execute_command("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self._ids[0])
        self.source.execute_command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self._ids[1])

    def keys(self, count: int) -> list[str]:
        """So many of those that have not been moved."""
        return list(self.source.execute_command("CLUSTER", "GETKEYSINSLOT", self.slot, count))

    def move(self, *keys: str) -> None:
        for key in keys:
            self.source.execute_command("MIGRATE", "127.0.0.1", self._port, key, 0, 5000)

    def end(self) -> None:
        while keys := self.keys(100):
            self.move(*keys)
        for client in (self.target, self.source, *self._nodes):
            client.execute_command("CLUSTER", "SETSLOT", self.slot, "NODE", self._ids[1])


@pytest.fixture
def cluster(real_redis_kind: str, tmp_path: Path) -> Iterator[Cluster]:
    nodes = []
    for number in range(3):
        port = free_port()  # the bus has the one 10,000 above
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
        nodes.append(RunningRedis(embedded_servers()[real_redis_kind], tmp_path / f"node{number}", port, options))
    bounds = (0, 5461, 10923, 16384)
    for node, first, after in zip(nodes, bounds, bounds[1:]):
        node.client().execute_command("CLUSTER", "ADDSLOTS", *range(first, after))
    for node in nodes[1:]:
        nodes[0].client().execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
    for node in nodes:
        until(lambda node=node: _is_up(node), "the cluster is up")  # type: ignore[misc]  # a default binds the node
    yield Cluster(nodes, "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes))
    for node in nodes:
        node.kill()


def _is_up(node: RunningRedis) -> bool:
    info = node.client().execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3")


def fill(scheduler: Scheduler) -> Move | None:
    """Something of each kind, so that the namespace has many keys."""
    scheduler.update_resources(db=2)
    for number in range(6):
        scheduler.add_task(worker="w", task_id=f"t{number}", family="F", deps=[f"t{number - 1}"] if number else [])
        scheduler.add_task(worker="w", task_id=f"r{number}", family="R", resources={"db": 1}, priority=number)
    return None


def slot_of(cluster: Cluster) -> int:
    with cluster.nodes[0].client() as client:
        return int(client.execute_command("CLUSTER", "KEYSLOT", f"bsched:{{{NAMESPACE}}}:config"))


CALLS: dict[str, Any] = {
    "add_task": lambda scheduler: scheduler.add_task(worker="v", task_id="new", family="F", deps=["t1", "other"]),
    "get_work": lambda scheduler: scheduler.get_work(worker="w"),
    "FAILED": lambda scheduler: scheduler.add_task(worker="w", task_id="r1", status="FAILED"),
    "prune": lambda scheduler: scheduler.prune(),
    "ping": lambda scheduler: scheduler.ping(worker="w"),
}


def test_while_a_slot_is_on_the_move_every_call_is_refused_before_its_first_write(cluster: Cluster) -> None:
    scheduler = Scheduler(cluster.url, NAMESPACE, prune_interval_seconds=None)
    scheduler._execution.limits = DIRECT._replace(attempts=1)
    fill(scheduler)
    assert scheduler.get_work(worker="w")["task_id"] == "r5"
    move = Move(cluster, slot_of(cluster))
    move.begin()
    prefix = f"bsched:{{{NAMESPACE}}}:"
    for keys in (("counters",), ("task:r1", "tasks:READY:R"), ("config",)):
        move.move(*(f"{prefix}{key}" for key in keys))
        for name, call in CALLS.items():
            with pytest.raises(RedisUnavailable, match="TRYAGAIN"):
                call(scheduler)
                pytest.fail(f"{name} was carried out")
    move.end()
    scheduler._execution.limits = DIRECT
    assert scheduler.verify() == []
    for call in CALLS.values():
        call(scheduler)
    assert scheduler.verify() == []
    assert scheduler.task_list()["new"]["status"] == "PENDING"


def test_a_server_answers_503_while_the_slot_is_on_the_move_and_then_goes_on_at_the_new_node(cluster: Cluster) -> None:
    server = ServerProcess("--redis", cluster.url, "--namespace", NAMESPACE).await_ready()
    try:
        server.call("add_task", worker="w", task_id="a")
        move = Move(cluster, slot_of(cluster))
        move.begin()
        move.move(f"bsched:{{{NAMESPACE}}}:task:a")
        reply = server.post("get_work", json.dumps({"worker": "w"}))
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert "TRYAGAIN" in reply.json()["error"]["message"]
        move.end()
        with RemoteScheduler(server.url, wait_seconds=0.5, attempts=20) as remote:
            assert remote.get_work(worker="w")["task_id"] == "a"
            assert list(remote.task_list(status="RUNNING")) == ["a"]
    finally:
        server.stop()
    assert Scheduler(cluster.url, NAMESPACE, prune_interval_seconds=None).verify() == []


def test_slots_move_to_and_fro_under_load_and_no_index_is_wrong_and_no_task_lost(cluster: Cluster) -> None:
    server = ServerProcess("--redis", cluster.url, "--namespace", NAMESPACE).await_ready()
    stop = threading.Event()
    done: list[str] = []
    failures: list[Exception] = []

    def work(name: str, scheduler: Any) -> None:
        """Each its own tasks: schedule, be handed out, report."""
        number = 0
        try:
            while not stop.is_set():
                task_id = f"{name}_{number}"
                _persist(lambda task_id=task_id: scheduler.add_task(worker=name, task_id=task_id, family=name))  # type: ignore[misc]  # a default binds it
                found = _persist(lambda: scheduler.get_work(worker=name))["task_id"]
                assert found == task_id
                _persist(lambda task_id=task_id: scheduler.add_task(worker=name, task_id=task_id, status="DONE"))  # type: ignore[misc]  # as above
                done.append(task_id)
                number += 1
        except Exception as error:
            failures.append(error)

    direct = Scheduler(cluster.url, NAMESPACE)
    with RemoteScheduler(server.url, attempts=1) as remote:
        workers = [threading.Thread(target=work, args=pair) for pair in (("direct", direct), ("remote", remote))]
        for worker in workers:
            worker.start()
        slot = slot_of(cluster)
        for _ in range(4):
            had = len(done)
            until(lambda had=had: len(done) > had + 3 or failures, "work goes on")  # type: ignore[misc]  # as above
            move = Move(cluster, slot)
            move.begin()
            for key in move.keys(20):
                move.move(key)
                time.sleep(0.01)
            move.end()
        stop.set()
        for worker in workers:
            worker.join(60)
        server.stop()
    assert failures == []
    assert direct.verify() == []
    counts = direct.drive(read_counts(direct.namespace))
    there = {name: each["status"] for name, each in direct.task_list().items()}
    wrong = {name: there.get(name) for name in done if there.get(name) != "DONE"}
    assert sum(each["DONE"] for each in counts.values()) == len(done), (counts, wrong)


def _persist(call: Any) -> Any:
    """As a worker does: what can't be served now is asked again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call()
        except (RedisUnavailable, redis.RedisError) as error:
            assert not isinstance(error, redis.RedisError), f"an error of redis-py came through: {error!r}"
        except Exception as error:
            if time.monotonic() > deadline or "503" not in str(error):
                raise
        time.sleep(0.05)

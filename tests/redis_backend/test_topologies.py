"""The server on more than one plain Redis: Sentinel and its failover, a Cluster, the embedded server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from broker_sched.redis_backend import embedded_server as embedded
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.scheduler.existing_namespaces import existing
from broker_sched.scheduler.namespace_deletion import delete_namespace
from tests.harness import ServerProcess
from tests.servers import RunningRedis, any_server, die_with_parent, free_port, until

Start = Callable[..., ServerProcess]


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., RunningRedis]]:
    """`start_redis("name", *arguments)`: a Redis on a port, which ends with the test."""
    started: list[RunningRedis] = []

    def start(name: str, *arguments: str) -> RunningRedis:
        started.append(RunningRedis(any_server(), tmp_path / name, free_port(), arguments))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def start_sentinel(tmp_path: Path) -> Iterator[Callable[[RunningRedis], int]]:
    """`start_sentinel(primary)`: a Sentinel that calls it `luigi`; returns its port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(primary: RunningRedis) -> int:
        port = free_port()
        settings = tmp_path / "sentinel.conf"
        settings.write_text(
            f"port {port}\ndir {tmp_path}\nsentinel monitor luigi 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds luigi 300\nsentinel failover-timeout luigi 2000\n"
        )
        command = [str(any_server()), str(settings), "--sentinel"]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent))
        return port

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_server_follows_a_sentinel_failover(
    start_redis: Callable[..., RunningRedis], start_sentinel: Callable[[RunningRedis], int], start_server: Start
) -> None:
    primary = start_redis("primary")
    replica = start_redis("replica", "--replicaof", "127.0.0.1", str(primary.port))
    until(lambda: _info(replica)["master_link_status"] == "up", "the replica follows")
    port = start_sentinel(primary)
    until(lambda: _replicas(port) == 1, "Sentinel knows the replica")
    dead = free_port()  # the first Sentinel in the URL is down
    url = f"redis+sentinel://127.0.0.1:{dead},127.0.0.1:{port}/luigi"
    server = start_server("--redis", url).await_ready()
    server.call("add_task", worker="w1", task_id="t1", family="T")
    until(lambda: replica.client().zcard("bsched:{default}:tasks:READY:T") == 1, "the task is replicated")
    primary.kill()
    until(lambda: server.post("ping", '{"worker": "w1"}').status == 200, "the server serves again", 60)
    assert server.call("get_work", worker="w1", current_tasks=[])["task_id"] == "t1"
    assert server.request("GET", "/readyz").status == 200


def test_server_serves_from_a_cluster(start_redis: Callable[..., RunningRedis], start_server: Start) -> None:
    node: Any = start_redis("node", "--cluster-enabled", "yes")
    with node.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster is up")
    server = start_server("--redis", f"redis+cluster://127.0.0.1:{node.port}").await_ready()
    server.call("add_task", worker="w1", task_id="t1", family="T")
    assert server.call("get_work", worker="w1")["task_id"] == "t1"
    assert list(server.call("task_list", status="RUNNING")) == ["t1"]
    assert server.call("pause_family", family="T")["paused"]
    assert server.call("change_tasks", task_ids=["t1"], action="done")["changed"] == ["t1"]
    connection = SyncConnection(f"redis+cluster://127.0.0.1:{node.port}")
    assert list(delete_namespace(connection, "default", force=True))[-1] > 5
    assert existing(connection) == []
    connection.close()


def test_server_starts_the_embedded_redis_and_starts_it_again(start_server: Start, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    server = start_server("--redis", f"local://{directory}").await_ready()
    try:
        server.call("add_task", worker="w1", task_id="t1", family="T")
        assert embedded.stop(directory)
        assert server.call("get_work", worker="w1")["task_id"] == "t1"  # started anew, from what is on disk
    finally:
        assert server.stop() == 0
        embedded.stop(directory)


def test_url_that_can_not_be_used_is_one_line_without_the_password(start_server: Start) -> None:
    server = start_server("--redis", "carrier-pigeon://me:geheim@loft")
    assert server.wait() == 2
    assert len(server.said) == 1
    assert "geheim" not in server.said[0]


def _info(server: RunningRedis) -> dict[str, Any]:
    with server.client() as client:
        return dict(client.info("replication"))


def _replicas(port: int) -> int:
    with redis.Redis(port=port, decode_responses=True) as client:
        try:
            return int(client.info("sentinel")["master0"]["slaves"])
        except redis.ConnectionError:
            return 0

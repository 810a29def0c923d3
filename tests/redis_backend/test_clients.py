"""From a URL to a client: every form, no silent retry, no secret shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest
import redis
from redis.cluster import RedisCluster

from broker_sched import ConfigurationError, RedisUnavailable, Scheduler
from broker_sched.redis_backend.clients import connect, resolve
from broker_sched.redis_backend.recovery import DIRECT
from broker_sched.redis_backend.urls import describe, is_in_process
from tests.servers import RunningRedis, any_server, binaries, free_port, until
from tests.transfer.moving import exported, imported

SECRET = "s3cr&t"
IN_URL = "s3cr%26t"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RunningRedis]:
    """A server with a password, and a user `ops` with the same one."""
    rules = ("--requirepass", SECRET, "--user", "ops", "on", "+@all", "~*", "&*", f">{SECRET}")
    server = RunningRedis(any_server(), tmp_path / "guarded", free_port(), rules)
    yield server
    server.kill()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/2", "redis://host:1/2"),
        (f"redis://:{SECRET}@host:1/2", "redis://***@host:1/2"),
        (f"rediss://ops:{SECRET}@host", "rediss://***@host"),
        (f"unix://ops:{SECRET}@/tmp/x.sock?db=1&password={SECRET}", "unix://***@/tmp/x.sock"),
        (f"redis+sentinel://u:{SECRET}@a:1,b:2/main?sentinel_password={SECRET}", "redis+sentinel://***@a:1,b:2/main"),
        (f"redis://:{SECRET}@x@host", "redis://***@host"),
        (f"rubbish {SECRET}", "(a URL that can't be used)"),
        ("local:", "local:"),
        ("memory:", "memory:"),
    ],
)
def test_a_url_is_shown_without_login(url: str, shown: str) -> None:
    assert describe(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{SECRET}@host",
        f"redis://u:{SECRET}@host:port",
        f"redis://u:{SECRET}#x@host:1",
        f"redis+sentinel://u:{SECRET}@host/main",
        f"redis+sentinel://u:{SECRET}@host:1",
        f"redis+sentinel://u:{SECRET}@host:1/main/x",
        f"redis+cluster://u:{SECRET}@:1",
        f"rubbish {SECRET}",
        "local:somewhere",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_the_password(url: str) -> None:
    for open_ in (connect, lambda each: resolve(each, "bsched:{default}:")):
        with pytest.raises(ConfigurationError) as caught:
            open_(url)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("login", [f":{IN_URL}", f"ops:{IN_URL}"])
def test_a_password_and_a_user_in_the_url_are_used(guarded: RunningRedis, login: str) -> None:
    url = f"redis://{login}@127.0.0.1:{guarded.port}/3"
    assert connect(url).ping()
    endpoint = resolve(url, "bsched:{default}:")
    assert (endpoint.host, endpoint.port, endpoint.db, endpoint.password) == ("127.0.0.1", guarded.port, 3, SECRET)
    assert SECRET not in repr(endpoint)


@pytest.mark.parametrize("login", [":wr0ng@", "ops:wr0ng@", ""])
def test_a_refused_login_is_told_without_the_password(guarded: RunningRedis, login: str) -> None:
    with pytest.raises(RedisUnavailable, match="refuses") as caught:
        Scheduler(f"redis://{login}127.0.0.1:{guarded.port}")
    assert "wr0ng" not in str(caught.value)


def test_redis_out_of_reach_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_sched.scheduler.scheduler.DIRECT", DIRECT._replace(first_wait_seconds=0.01))
    with pytest.raises(RedisUnavailable, match="did not answer after 5 attempts") as caught:
        Scheduler(f"redis://ops:{IN_URL}@127.0.0.1:{free_port()}")
    assert SECRET not in str(caught.value)


def test_redis_py_repeats_nothing_behind_our_back(real_redis_url: str) -> None:
    client = connect(real_redis_url)
    connection = client.connection_pool.get_connection()
    try:
        assert connection.retry._retries == 0
        assert not connection.retry_on_timeout
    finally:
        client.connection_pool.release(connection)


def test_without_a_url_the_environment_says_where(real_redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSCHED_REDIS", real_redis_url)
    assert connect(None).ping()
    assert not is_in_process(None)


def test_memory_of_one_name_is_shared_within_the_process_and_of_another_not() -> None:
    connect("memory:one").set("a", "1")
    assert connect("memory:one").get("a") == "1"
    assert connect("memory:two").get("a") is None


def test_a_client_whose_replies_are_bytes_is_used_all_the_same(real_redis_url: str) -> None:
    for client in (redis.Redis.from_url(real_redis_url), fakeredis.FakeRedis()):
        scheduler = Scheduler(client, namespace="bytes-client", prune_interval_seconds=None)
        scheduler.add_task(worker="w", task_id="a")
        assert list(scheduler.task_list()) == ["a"]
        for key in list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*")):
            scheduler._client.delete(key)


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="URL or a redis-py client, not int"):
        connect(3)  # type: ignore[arg-type]


# Sentinel and Cluster, started from the same binaries


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[tuple[RunningRedis, RunningRedis, str]]:
    """A primary, a replica, and the URL of the Sentinel that watches them."""
    binary = binaries()["redis8"]
    primary = RunningRedis(binary, tmp_path / "primary", free_port())
    following = ("--replicaof", "127.0.0.1", str(primary.port))
    replica = RunningRedis(binary, tmp_path / "replica", free_port(), following)
    conf = tmp_path / "sentinel.conf"
    port = free_port()
    conf.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n"
    )
    watcher = _Sentinel(binary, conf, port)
    yield primary, replica, f"redis+sentinel://127.0.0.1:{port}/main"
    for server in (watcher, replica, primary):
        server.kill()


class _Sentinel(RunningRedis):
    def __init__(self, binary: Path, conf: Path, port: int) -> None:
        self.port, self.url = port, f"redis://127.0.0.1:{port}"
        self._command = [str(binary), str(conf), "--sentinel"]
        self.start()


@pytest.mark.timeout(60)
def test_sentinel_leads_to_the_primary_and_after_a_failover_to_the_new_one(
    sentinel: tuple[RunningRedis, RunningRedis, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, replica, url = sentinel
    assert resolve(url, "bsched:{default}:").port == primary.port
    scheduler = Scheduler(url, prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id="a")
    watcher = redis.Redis.from_url(f"redis://{url.split('//')[1].split('/')[0]}", decode_responses=True)
    until(lambda: watcher.execute_command("SENTINEL", "REPLICAS", "main"), "the sentinel knows the replica")
    until(lambda: primary.client().execute_command("WAIT", 1, 100), "the replica has all")
    primary.kill()
    until(lambda: _primary_port(url) == replica.port, "the sentinel names the replica")
    until(lambda: replica.client().role()[0] == "master", "the replica is primary")
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def _primary_port(url: str) -> int | None:
    try:
        return resolve(url, "bsched:{default}:").port
    except redis.RedisError:  # in the middle of the failover it names nobody
        return None


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A Cluster of three primaries."""
    binary = binaries()["redis8"]
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    nodes = [
        RunningRedis(binary, tmp_path / f"node{number}", free_port(), (*options, "--cluster-port", str(free_port())))
        for number in range(3)
    ]
    bounds = (0, 5461, 10923, 16384)
    for node, start, stop in zip(nodes, bounds, bounds[1:]):
        node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", start, stop - 1)
    for node in nodes[1:]:
        bus = node.client().config_get("cluster-port")["cluster-port"]
        nodes[0].client().execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
    for node in nodes:
        until(lambda node=node: _is_up(node), "the cluster is up")  # type: ignore[misc]  # a default binds the node
    yield "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    for node in nodes:
        node.kill()


def _is_up(node: RunningRedis) -> bool:
    info = node.client().execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"


@pytest.mark.timeout(120)
def test_a_namespace_works_whole_in_one_slot_of_a_cluster(cluster: str) -> None:
    schedulers = [Scheduler(cluster, namespace=f"ns{number}", prune_interval_seconds=None) for number in range(6)]
    places = set()
    for scheduler in schedulers:
        assert isinstance(scheduler._client, RedisCluster)
        scheduler.update_resources(db=1)
        scheduler.add_task(worker="w", task_id="b", family="F", deps=["a"], resources={"db": 1})
        scheduler.add_task(worker="w", task_id="a", family="F", priority=2)
        assert scheduler.get_work(worker="w")["task_id"] == "a"
        scheduler.add_task(worker="w", task_id="a", status="DONE")
        assert scheduler.get_work(worker="w")["task_id"] == "b"
        assert set(scheduler.graph()) == {"a", "b"}
        assert scheduler.worker_list()[0]["num_running"] == 1
        scheduler.add_tasks(worker="v", tasks=[{"task_id": "c", "deps": ["d"]}, {"task_id": "d"}])
        assert scheduler.await_work(worker="v", seconds=1) == {"ready": True}
        assert scheduler.await_work(worker="nobody", seconds=0.1) == {"ready": False}
        assert scheduler.count_pending(worker="v")["n_pending_tasks"] == 2
        assert scheduler.verify() == []
        places.add(resolve(cluster, scheduler.namespace.prefix).port)
    assert len(places) > 1, "namespaces spread over the shards"
    copy = Scheduler(cluster, namespace="copy", prune_interval_seconds=None)
    imported(copy, exported(schedulers[0]))
    assert copy.graph() == schedulers[0].graph()
    assert copy.verify() == []


def test_a_forked_child_does_not_use_its_parents_connection(real_redis_url: str) -> None:
    client = connect(real_redis_url)
    client.ping()
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.ping() else 1)
        finally:  # an exception must not make it a second runner of the tests
            os._exit(2)
    assert client.ping()
    assert os.waitpid(child, 0)[1] == 0

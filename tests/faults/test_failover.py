"""The primary is killed while a fleet works; Sentinels or a Cluster elect another one, and nobody is restarted."""

from __future__ import annotations

import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.cli.helpers import get_redis_from_config

from broker_sched.worker.retrying_scheduler import LONGEST_WAIT_SECONDS
from tests.executors.rq_settings import rq_settings
from tests.faults.fleet import ACKNOWLEDGED, Fleet, reconcile
from tests.faults.test_faults import LATEST, ROUNDS, durable, go_wrong
from tests.nightly import only_by_night
from tests.servers import RunningRedis, any_server, die_with_parent, free_port, until

NAME, SHARDS = "luigi", 3
DOWN_MS, FAILOVER_MS = 500, 2000
GOES_ON_SECONDS = 10.0  # after the election
PARTS, PAUSE_SECONDS = 40, 0.02  # in which a namespace moves to another node, and what is between two of them


class Sentinels:
    """Three of them, and what they watch. url: for all who want the primary."""

    replicas = 2

    def __init__(self, directory: Path) -> None:
        self.nodes = [RunningRedis(any_server(), directory / "0", free_port(), durable("always"))]
        following = ("--replicaof", "127.0.0.1", str(self.nodes[0].port), *durable("always"))
        self.nodes += [RunningRedis(any_server(), directory / name, free_port(), following) for name in "12"]
        self._ports = [free_port() for _ in range(3)]
        self._processes = [self._start(directory / f"sentinel-{port}.conf", port) for port in self._ports]
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self._ports)}/{NAME}"
        self.await_all()

    def _start(self, settings: Path, port: int) -> subprocess.Popen[bytes]:
        settings.write_text(
            f"port {port}\ndir {settings.parent}\nsentinel monitor {NAME} 127.0.0.1 {self.nodes[0].port} 2\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_MS}\nsentinel failover-timeout {NAME} {FAILOVER_MS}\n"
        )
        command = [str(any_server()), str(settings), "--sentinel"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def rq_settings(self) -> str:
        """Return those for `rq worker` that docs/rq.md has, with these Sentinels in place of its."""
        return rq_settings(self._ports)

    def primary(self, namespace: str) -> RunningRedis:
        """Which all Sentinels take for the primary. Raises redis.RedisError, ValueError while they do not agree."""
        found = set()
        for port in self._ports:
            with redis.Redis(port=port, decode_responses=True) as client:
                found.add(int(client.sentinel_get_master_addr_by_name(NAME)[1]))  # type: ignore[no-untyped-call]
        (port,) = found
        return next(each for each in self.nodes if each.port == port)

    def await_all(self) -> None:
        """Wait until all replicas follow the primary, and all Sentinels know all of it."""

        def is_whole() -> bool:
            with suppress(redis.RedisError, ValueError):
                replicas = [each for each in self.nodes if each is not self.primary("")]
                told = [each.client().info("replication") for each in replicas]
                return all(each["role"] == "slave" and each["master_link_status"] == "up" for each in told) and all(
                    self._sees_all(port) for port in self._ports
                )
            return False

        until(is_whole, "primary, replicas and Sentinels know each other", 60)

    def _sees_all(self, port: int) -> bool:
        with redis.Redis(port=port, decode_responses=True) as client:
            told = client.info("sentinel")["master0"]
        return bool(told["status"] == "ok" and told["slaves"] == 2 and told["sentinels"] == 3)

    def close(self) -> None:
        """End all."""
        for process in self._processes:
            process.kill()
            process.wait()
        for node in self.nodes:
            node.kill()


class Cluster:
    """Three primaries with a replica each. url: for all who want the primary of a namespace."""

    replicas = 1

    def __init__(self, directory: Path) -> None:
        arguments = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(2 * DOWN_MS), *durable("always"))
        self.nodes = [RunningRedis(any_server(), directory / str(n), free_port(), arguments) for n in range(2 * SHARDS)]
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        first, *others = self.nodes
        for node in others:
            node.client().execute_command("CLUSTER", "MEET", "127.0.0.1", first.port)
        bounds = [16384 * n // SHARDS for n in range(SHARDS + 1)]
        for node, start, after in zip(self.nodes, bounds, bounds[1:]):
            node.client().execute_command("CLUSTER", "ADDSLOTS", *range(start, after))
        until(
            lambda: all(_state(node)["cluster_known_nodes"] == str(len(self.nodes)) for node in self.nodes), "all met"
        )
        for primary, replica in zip(self.nodes, self.nodes[SHARDS:]):
            its_id = str(primary.client().execute_command("CLUSTER", "MYID"))
            replica.client().execute_command("CLUSTER", "REPLICATE", its_id)
        self.await_all()

    def primary(self, namespace: str) -> RunningRedis:
        """Which has the namespace, as all nodes that answer see it. Raises ValueError while they do not agree."""
        found: set[int] = set()
        for node in self.nodes:
            with suppress(redis.ConnectionError), node.client() as client:
                slot = int(client.execute_command("CLUSTER", "KEYSLOT", f"bsched:{{{namespace}}}:config"))
                ranges = client.execute_command("CLUSTER", "SLOTS")
                found |= {int(owner[1]) for first, last, owner, *_ in ranges if int(first) <= slot <= int(last)}
        (port,) = found
        return next(each for each in self.nodes if each.port == port)

    def move(self, namespace: str) -> None:
        """Have another primary take the namespace's slot, with its keys, in parts: that takes a second or so."""
        source = self.primary(namespace)
        target = next(node for node in self.nodes if node is not source and node.client().role()[0] == "master")
        others = [node for node in self.nodes if node not in (source, target)]
        source_id, target_id = (str(node.client().execute_command("CLUSTER", "MYID")) for node in (source, target))
        with source.client() as client:
            slot = client.execute_command("CLUSTER", "KEYSLOT", f"bsched:{{{namespace}}}:config")
            target.client().execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
            client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            each = int(client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)) // PARTS + 1
            while keys := client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, each):
                client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
                time.sleep(PAUSE_SECONDS)
        for node in (target, source, *others):
            with suppress(redis.ResponseError):  # replicas are told by their primary
                node.client().execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        until(lambda: self._owner(namespace) is target, "all know that the slot has moved")

    def refusals(self) -> int:
        """How often a node has refused a command for a slot that is on the move (TRYAGAIN)."""
        told = [node.client().info("errorstats").get("errorstat_TRYAGAIN", {}) for node in self.nodes]
        return sum(each.get("count", 0) for each in told)

    def _owner(self, namespace: str) -> RunningRedis | None:
        with suppress(ValueError):
            return self.primary(namespace)
        return None

    def await_all(self) -> None:
        """Wait until all replicas follow their primary, and all nodes see the whole Cluster."""

        def is_whole() -> bool:
            with suppress(redis.RedisError):  # one that was started again is loading
                told = [node.client().info("replication") for node in self.nodes]
                states = {_state(node)["cluster_state"] for node in self.nodes}
                links = [each["master_link_status"] for each in told if each["role"] == "slave"]
                return states == {"ok"} and links == ["up"] * SHARDS
            return False

        until(is_whole, "primaries and replicas know each other", 60)

    def close(self) -> None:
        """End all."""
        for node in self.nodes:
            node.kill()


def _state(node: RunningRedis) -> dict[str, str]:
    return dict(node.client().execute_command("CLUSTER INFO"))


@pytest.mark.timeout(120 + 60 * ROUNDS)
@pytest.mark.parametrize(
    ("kind", "is_confirmed"),
    [
        (Sentinels, False),
        pytest.param(Sentinels, True, marks=only_by_night),
        pytest.param(Cluster, False, marks=only_by_night),
        pytest.param(Cluster, True, marks=only_by_night),
    ],
)
def test_a_fleet_goes_on_when_another_primary_was_elected(
    tmp_path: Path, kind: type[Sentinels] | type[Cluster], is_confirmed: bool
) -> None:
    """is_confirmed: what is answered to a change is on each replica that may take over, so nothing of it is lost."""
    (tmp_path / "redis").mkdir()
    watched = kind(tmp_path / "redis")
    try:
        fleet = Fleet(tmp_path, watched.nodes[0], watched.url + f"?replicas_ack={kind.replicas}" * is_confirmed)
        try:
            for number in range(ROUNDS):
                if number:
                    watched.await_all()
                fail_over(fleet, watched, number, loses=not is_confirmed)
        finally:
            fleet.stop()
    finally:
        watched.close()


def test_an_rq_worker_that_waits_for_a_job_finds_the_new_primary(tmp_path: Path) -> None:
    """By the settings of docs/rq.md. Jobs wait in a list of Redis, which it asks for by a command that blocks."""
    watched = Sentinels(tmp_path)
    try:
        settings: dict[str, Any] = {}
        exec(watched.rq_settings(), settings)
        client = get_redis_from_config(settings)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.blmove, "queue", "taken", 60)
            old = watched.primary("")
            until(lambda: old.client().info("clients")["blocked_clients"], "it waits")
            old.kill()
            new = until(lambda: other_primary(watched, "", old), "another primary is elected", 60)
            new.client().rpush("queue", "job")
            assert waiting.result(GOES_ON_SECONDS) == b"job"
    finally:
        watched.close()


def other_primary(watched: Sentinels | Cluster, namespace: str, old: RunningRedis) -> RunningRedis | None:
    """Return the primary of the namespace, None while it is the old one or not agreed on."""
    with suppress(redis.RedisError, ValueError):
        found = watched.primary(namespace)
        return found if found is not old else None
    return None


@only_by_night
@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_so_does_a_fleet_of_rq_workers(tmp_path: Path) -> None:
    """Whose Redis it is, too. Stock rq workers find it by the settings that docs/rq.md tells of."""
    (tmp_path / "redis").mkdir()
    watched = Sentinels(tmp_path / "redis")
    try:
        (tmp_path / "fleet_settings.py").write_text(watched.rq_settings() + "import tests.faults.steps\n")
        fleet = Fleet(tmp_path, watched.nodes[0], watched.url, kinds=("rq",), rq_settings="fleet_settings")
        try:  # a supervisor whose Redis is away when it starts says so, and ends
            until(lambda: any("Running worker" in line["message"] for line in fleet.log_lines()), "it supervises")
            for number in range(ROUNDS):
                if number:
                    watched.await_all()
                fail_over(fleet, watched, number, loses=True)
            assert all(each.poll() is None for each in (*fleet.workers.values(), *fleet.rq_workers))
        finally:
            fleet.stop()
    finally:
        watched.close()


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_nothing_is_lost_while_a_cluster_moves_the_namespace_to_another_node(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    cluster = Cluster(tmp_path / "redis")
    try:
        fleet = Fleet(tmp_path, cluster.nodes[0], cluster.url)

        def move_the_namespace(_: Fleet) -> None:
            cluster.move(fleet.namespace)

        try:
            for number in range(ROUNDS):
                go_wrong(fleet, move_the_namespace, number, loses_a_second=False)
            assert all(each.poll() is None for each in fleet.workers.values()) and fleet.server.process.poll() is None
            assert cluster.refusals() >= ROUNDS
        finally:
            fleet.stop()
    finally:
        cluster.close()


def fail_over(fleet: Fleet, watched: Sentinels | Cluster, number: int, loses: bool) -> None:
    """Kill the primary, and start it again. loses: what it had not replicated is lost, though it was answered.

    So a task that it had just handed out is handed out once more.
    """
    interrupted = fleet.begin_round()
    time.sleep(random.Random(number).uniform(0, LATEST))
    since, old = time.time(), watched.primary(fleet.namespace)
    old.kill()
    until(lambda: other_primary(watched, fleet.namespace, old), "another primary is elected", 60)
    if not loses:  # before that nothing is confirmed; meanwhile workers ask less and less often
        old.start()
        until(lambda: has_replicas(watched, fleet.namespace), "replicas follow it", 60)
    elected, seconds = time.time(), GOES_ON_SECONDS if loses else GOES_ON_SECONDS + LONGEST_WAIT_SECONDS
    following = fleet.begin_round()
    until(lambda: workers_told_since(fleet, elected) == set(fleet.kinds), "all workers go on", seconds)
    for round_ in (interrupted, following):
        fleet.await_end(round_)
        reconcile(fleet, round_, since, loses_a_second=loses, loses_hand_outs=loses)
    if loses:
        old.start()  # for the next round


def has_replicas(watched: Sentinels | Cluster, namespace: str) -> bool:
    """Whether all replicas follow the primary of the namespace, with all that it had."""
    with suppress(redis.RedisError, ValueError):  # on a busy machine another one may be elected at once
        replication = watched.primary(namespace).client().info("replication")
        told = [each for name, each in replication.items() if name[:5] == "slave"]
        return sum(isinstance(each, dict) and each["state"] == "online" for each in told) == watched.replicas
    return False


def workers_told_since(fleet: Fleet, since: float) -> set[str]:
    """The kinds of the workers that were told since then that the scheduler knows a task to be DONE."""
    return {
        str(line["worker"]).partition("-")[0]
        for line in fleet.log_lines()
        if ACKNOWLEDGED in line.get("message", "")
        and "DONE" in line["message"]
        and datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() > since
    }

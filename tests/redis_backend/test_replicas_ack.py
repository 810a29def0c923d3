"""`?replicas_ack=N`: what is answered to a change is on N replicas, or is not answered."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from broker_sched import RemoteScheduler, Scheduler
from broker_sched.errors import ConfigurationError, RedisUnavailable, Unreachable
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.recovery import DIRECT
from broker_sched.redis_backend.urls import replicas_ack_of
from broker_sched.scheduler import execution
from broker_sched.scheduler import scheduler as direct
from tests.harness import ServerProcess
from tests.moving_address import Pair, moving_address
from tests.nightly import by_night
from tests.servers import RunningRedis, any_server, free_port, until

pytestmark = pytest.mark.timeout(60)
ROUNDS, CALLERS = by_night(40, 2), 6
Start = Callable[..., ServerProcess]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with moving_address(any_server(), tmp_path) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight to Redis it is known within tenths of a second that nobody confirms."""
    monkeypatch.setattr(execution, "WAIT_MILLISECONDS", 50)
    monkeypatch.setattr(direct, "DIRECT", DIRECT._replace(attempts=2, first_wait_seconds=0.05))


@contextmanager
def standing_still(process: RunningRedis) -> Iterator[None]:
    """It keeps its connections, and does nothing."""
    process.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.process.send_signal(signal.SIGCONT)


def waits(pair: Pair) -> int:
    """How often somebody has waited for replicas."""
    told = pair.primary.client().info("commandstats").get("cmdstat_wait", {"calls": 0})
    return int(told["calls"])


def is_done(step: Callable[[], object]) -> bool:
    try:
        step()
    except redis.ResponseError:
        return False
    return True


def knows_other(node: redis.Redis) -> bool:
    return bool(node.execute_command("CLUSTER INFO")["cluster_known_nodes"] == "2")


def confirming(pair: Pair) -> str:
    return f"{pair.primary.url}?replicas_ack=1"


def test_what_changes_something_is_waited_for_and_what_only_reads_is_not(pair: Pair) -> None:
    with closing(Scheduler(confirming(pair), prune_interval_seconds=None)) as scheduler:
        scheduler.add_task(worker="w", task_id="first")  # for which the script is loaded
        before = waits(pair)
        scheduler.add_task(worker="w", task_id="t")
        assert waits(pair) == before + 1
        scheduler.task_statuses(["t"])
        scheduler.config()
        assert waits(pair) == before + 1
        key = scheduler.namespace.key("task", "t")
        assert pair.replica.client().exists(key), "it is there as soon as the call is answered"
    before = waits(pair)
    with closing(Scheduler(pair.primary.url, prune_interval_seconds=None)) as scheduler:
        scheduler.add_task(worker="w", task_id="u")
    assert waits(pair) == before, "nobody waits who does not want to"


def test_a_change_that_no_replica_confirms_is_not_answered_and_is_not_made_twice(pair: Pair, impatient: None) -> None:
    with closing(Scheduler(confirming(pair), prune_interval_seconds=None)) as scheduler:
        for name in "ab":
            scheduler.add_task(worker="w", task_id=name)
        with standing_still(pair.replica), pytest.raises(RedisUnavailable, match="replicas_ack of the Redis URL"):
            scheduler.get_work(worker="w")
        (task,) = [each for each in "ab" if scheduler.task_statuses([each])[each]["status"] == "RUNNING"]
        assert scheduler.get_work(worker="w", current_tasks=[])["task_id"] == task, "the one that nobody heard of"
        assert scheduler.verify() == []


def test_a_call_goes_on_once_the_replica_follows(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "WAIT_MILLISECONDS", 50)
    with closing(Scheduler(confirming(pair), prune_interval_seconds=None)) as scheduler:
        scheduler.add_task(worker="w", task_id="t")
        before, got = waits(pair), list[Any]()
        asking = threading.Thread(target=lambda: got.append(scheduler.get_work(worker="w")))
        with standing_still(pair.replica):
            asking.start()
            until(lambda: waits(pair) >= before + 2, "it was tried again")
        asking.join()
        assert got[0]["task_id"] == "t"
        running = [each for each in scheduler.events(limit=100)["events"] if each["to"] == "RUNNING"]
        assert len(running) == 1, "it was handed out once"


def test_a_server_says_503_until_a_replica_confirms(pair: Pair, start_server: Start) -> None:
    server = start_server("--redis", confirming(pair)).await_ready()
    remote = RemoteScheduler(server.url, wait_seconds=0.1, attempts=1)
    remote.add_task(worker="w", task_id="t")
    with standing_still(pair.replica), pytest.raises(Unreachable, match="replicas_ack of the Redis URL"):
        remote.add_task(worker="w", task_id="u")
    remote.add_task(worker="w", task_id="u")
    assert remote.task_statuses(["u"])["u"]["status"] == "PENDING"
    assert pair.replica.client().exists(Namespace.named("default").key("task", "u"))


def test_straight_to_a_cluster_the_node_is_asked_that_has_the_namespace(tmp_path: Path, impatient: None) -> None:
    arguments = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
    nodes = [RunningRedis(any_server(), tmp_path / name, free_port(), arguments) for name in "ab"]
    primary, replica = (node.client() for node in nodes)
    try:
        primary.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        primary.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)
        its_id = str(primary.execute_command("CLUSTER", "MYID"))

        until(lambda: knows_other(primary) and knows_other(replica), "they know each other")
        until(lambda: is_done(lambda: replica.execute_command("CLUSTER", "REPLICATE", its_id)), "it knows its slots")
        until(lambda: replica.info("replication").get("master_link_status") == "up", "the replica follows")
        until(lambda: primary.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the Cluster is there")
        with closing(Scheduler(f"redis+cluster://127.0.0.1:{nodes[0].port}?replicas_ack=1")) as scheduler:
            scheduler.add_task(worker="w", task_id="t")
            assert int(primary.info("commandstats")["cmdstat_wait"]["calls"]) > 0
            primary.script_flush()
            assert scheduler.get_work(worker="w")["task_id"] == "t"
            with standing_still(nodes[1]), pytest.raises(RedisUnavailable, match="replicas_ack of the Redis URL"):
                scheduler.add_task(worker="w", task_id="t", status="DONE")
            scheduler.add_task(worker="w", task_id="t", status="DONE")
    finally:
        for node in nodes:
            node.kill()


@pytest.mark.timeout(60 + 5 * ROUNDS)
def test_what_was_answered_before_a_primary_was_killed_is_on_its_replica(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the option, some of it is missing in one of seven rounds."""
    monkeypatch.setattr(direct, "DIRECT", DIRECT._replace(attempts=1))
    for number in range(ROUNDS):
        with moving_address(any_server(), tmp_path / str(number)) as pair:
            answered: list[str] = []
            callers = [threading.Thread(target=add_tasks, args=(confirming(pair), answered)) for _ in range(CALLERS)]
            for caller in callers:
                caller.start()
            await_some(answered)
            time.sleep(random.Random(number).uniform(0, 0.3))
            pair.primary.kill()
            for caller in callers:
                caller.join()
            with pair.replica.client() as client:
                until(lambda: client.info("replication")["master_link_status"] == "down", "nothing more comes")
                key = Namespace.named("default").key
                assert answered and not [each for each in answered if not client.exists(key("task", each))]


def await_some(answered: list[str]) -> None:
    until(lambda: answered, "some are added")


def add_tasks(url: str, answered: list[str]) -> None:
    """Add tasks as long as they are added."""
    with suppress(RedisUnavailable), closing(Scheduler(url, prune_interval_seconds=None)) as scheduler:
        for number in itertools.count():
            name = f"{threading.get_ident()}-{number}"
            scheduler.add_task(worker="w", task_id=name)
            answered.append(name)


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "", "1000"])
def test_a_number_that_makes_no_sense_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="replicas_ack has a value that can't be read"):
        Scheduler(f"redis://localhost?replicas_ack={value}")


def test_an_embedded_redis_has_no_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError):
        Scheduler("local:?replicas_ack=1")
    monkeypatch.setenv("BSCHED_REDIS", "redis://host?replicas_ack=2")
    assert (
        replicas_ack_of(None),
        replicas_ack_of("local:"),
        replicas_ack_of("memory:"),
        replicas_ack_of(object()),
    ) == (*(2, 0, 0, 0),)

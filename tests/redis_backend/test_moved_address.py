"""One address moves to the new primary at a failover, while the old one lives on as a replica: its connections stay
open, and it answers what only reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from broker_sched import RedisUnavailable, RemoteScheduler, Scheduler
from tests.harness import ServerProcess
from tests.moving_address import Pair, moving_address
from tests.servers import embedded_servers, until


@pytest.fixture
def pair(real_redis_kind: str, tmp_path: Path) -> Iterator[Pair]:
    with moving_address(embedded_servers()[real_redis_kind], tmp_path) as made:
        yield made


def test_who_writes_straight_to_redis_follows_the_address(pair: Pair) -> None:
    scheduler = Scheduler(pair.address.url)
    scheduler.add_task(worker="w", task_id="a")
    pair.fail_over()
    scheduler.add_task(worker="w", task_id="b")
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    assert pair.primary.client().exists("bsched:{default}:task:b")


@pytest.mark.parametrize("limit", ["", "?max_connections=2"])
def test_who_only_reads_straight_from_redis_follows_the_address(pair: Pair, limit: str) -> None:
    """With connections of its own, and with a limited pool of them."""
    reader = Scheduler(f"{pair.address.url}{limit}", prune_interval_seconds=None)
    reader.submission("s")
    pair.fail_over()
    with Scheduler(pair.primary.url)._client as client:
        client.hset("bsched:{default}:config", "retry_delay", "7")
    Scheduler(pair.primary.url).add_task(worker="s", task_id="a")
    Scheduler(pair.primary.url).add_submission("s", ["a"])
    until(lambda: reader.config().retry_delay == 7, "it reads the new primary's configuration")
    until(lambda: reader.submission("s")["state"] is not None, "it sees the submission")


def test_a_server_and_its_views_follow_the_address(pair: Pair) -> None:
    server = ServerProcess("--redis", pair.address.url).await_ready()
    try:
        with RemoteScheduler(server.url, wait_seconds=0.2) as remote:
            remote.add_task(worker="s", task_id="a")
            assert remote.submission("s")["state"] is None  # the connection for views is open
            pair.fail_over()
            remote.add_task(worker="s", task_id="b")
            remote.add_submission("s", ["b"])
            assert remote.submission("s")["state"] is not None
            assert server.request("GET", "/readyz").status == 200
    finally:
        server.stop()


def test_a_worker_that_waits_at_a_server_is_woken_after_the_address_has_moved(pair: Pair) -> None:
    server = ServerProcess("--redis", pair.address.url).await_ready()
    try:
        with RemoteScheduler(server.url, wait_seconds=0.2) as remote, RemoteScheduler(server.url) as other:
            remote.await_work(worker="w", seconds=0.1)
            pair.fail_over()
            remote.ping(worker="w")
            timer = threading.Timer(1, lambda: other.add_task(worker="w", task_id="b"))
            timer.start()
            until(lambda: remote.await_work(worker="w", seconds=5)["ready"], "it is woken")
            timer.join()
    finally:
        server.stop()


def test_an_address_that_leads_to_a_replica_for_good_is_told(pair: Pair) -> None:
    scheduler = Scheduler(pair.address.url, prune_interval_seconds=None)
    pair.primary.client().execute_command("REPLICAOF", "127.0.0.1", "1")
    for ask in (scheduler.config, lambda: scheduler.submission("s"), lambda: scheduler.ping(worker="w")):
        scheduler._connection._next_role = 0.0
        with pytest.raises(RedisUnavailable, match="READONLY"):
            ask()


def test_a_user_who_may_not_ask_for_the_role_reads_all_the_same(pair: Pair) -> None:
    pair.primary.client().execute_command("ACL", "SETUSER", "default", "-role")
    assert Scheduler(pair.address.url, prune_interval_seconds=None).config().retry_delay == 900


@pytest.mark.parametrize("limit", ["", "?max_connections=2"])
def test_a_user_who_may_not_ask_for_the_role_follows_the_address_when_a_write_is_refused(
    pair: Pair, limit: str
) -> None:
    for server in (pair.primary, pair.replica):
        server.client().execute_command("ACL", "SETUSER", "default", "-role")
    scheduler = Scheduler(f"{pair.address.url}{limit}", prune_interval_seconds=None)
    assert scheduler.is_paused() == {"paused": False}  # which has asked, and was refused
    pair.fail_over()
    scheduler.add_task(worker="w", task_id="a")
    assert pair.primary.client().exists("bsched:{default}:task:a")


def test_no_more_than_one_question_a_second_is_asked_for_it(pair: Pair) -> None:
    client: redis.Redis = pair.primary.client()
    scheduler = Scheduler(pair.address.url, prune_interval_seconds=None)
    client.config_resetstat()
    for _ in range(200):
        scheduler.config()
        scheduler.get_work(worker="w")
    calls = client.info("commandstats")
    assert calls["cmdstat_hgetall"]["calls"] >= 200
    assert calls["cmdstat_role"]["calls"] <= calls["cmdstat_hgetall"]["calls"] / 4

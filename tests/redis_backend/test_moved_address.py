"""One address moves to the new primary at a failover, while the old one lives on as a replica: its connections stay
open, and it answers what only reads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from broker_sched import RedisUnavailable, RemoteScheduler, Scheduler
from tests.harness import ServerProcess
from tests.servers import RunningRedis, embedded_servers, free_port, until


class Address:
    """Forwards connections to a port, those that are open to where they once led."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._threads: list[threading.Thread] = []
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def close(self) -> None:
        """Take no more connections, and cut off those that are open."""
        _cut_off(self._listener)
        self._threads[0].join()
        for each in self._ends:
            _cut_off(each)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._ends):
            each.close()

    def _start(self, target: Callable[..., None], *ends: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=ends, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                outer, _ = self._listener.accept()
                self._ends.append(outer)
                inner = socket.create_connection(("127.0.0.1", self.target))
                self._ends.append(inner)
                self._start(_pass_on, outer, inner)
                self._start(_pass_on, inner, outer)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        _cut_off(end)


def _cut_off(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


class Pair(NamedTuple):
    """A primary, its replica, and the address that leads to the primary."""

    old: RunningRedis
    new: RunningRedis
    address: Address

    def fail_over(self) -> None:
        """The replica becomes the primary, the primary its replica; the address follows."""
        written = self.old.client().info("replication")["master_repl_offset"]
        until(lambda: self.new.client().info("replication")["slave_repl_offset"] >= written, "the replica has all")
        self.new.client().execute_command("REPLICAOF", "NO", "ONE")
        self.address.target = self.new.port or 0
        self.old.client().execute_command("REPLICAOF", "127.0.0.1", "1")  # cut off, it keeps what it had


@pytest.fixture
def pair(real_redis_kind: str, tmp_path: Path) -> Iterator[Pair]:
    binary = embedded_servers()[real_redis_kind]
    old = RunningRedis(binary, tmp_path / "old", free_port())
    new = RunningRedis(binary, tmp_path / "new", free_port(), ("--replicaof", "127.0.0.1", str(old.port)))
    until(lambda: old.client().info("replication")["connected_slaves"] == 1, "the replica follows")
    address = Address(old.port or 0)
    yield Pair(old, new, address)
    address.close()
    for server in (old, new):
        server.kill()


def test_who_writes_straight_to_redis_follows_the_address(pair: Pair) -> None:
    scheduler = Scheduler(pair.address.url)
    scheduler.add_task(worker="w", task_id="a")
    pair.fail_over()
    scheduler.add_task(worker="w", task_id="b")
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    assert pair.new.client().exists("bsched:{default}:task:b")


@pytest.mark.parametrize("limit", ["", "?max_connections=2"])
def test_who_only_reads_straight_from_redis_follows_the_address(pair: Pair, limit: str) -> None:
    """With connections of its own, and with a limited pool of them."""
    reader = Scheduler(f"{pair.address.url}{limit}", prune_interval_seconds=None)
    reader.submission("s")
    pair.fail_over()
    with Scheduler(pair.new.url)._client as client:
        client.hset("bsched:{default}:config", "retry_delay", "7")
    Scheduler(pair.new.url).add_task(worker="s", task_id="a")
    Scheduler(pair.new.url).add_submission("s", ["a"])
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
    pair.old.client().execute_command("REPLICAOF", "127.0.0.1", "1")
    for ask in (scheduler.config, lambda: scheduler.submission("s"), lambda: scheduler.ping(worker="w")):
        scheduler._connection._next_role = 0.0
        with pytest.raises(RedisUnavailable, match="READONLY"):
            ask()


def test_a_user_who_may_not_ask_for_the_role_reads_all_the_same(pair: Pair) -> None:
    pair.old.client().execute_command("ACL", "SETUSER", "default", "-role")
    assert Scheduler(pair.address.url, prune_interval_seconds=None).config().retry_delay == 900


@pytest.mark.parametrize("limit", ["", "?max_connections=2"])
def test_a_user_who_may_not_ask_for_the_role_follows_the_address_when_a_write_is_refused(
    pair: Pair, limit: str
) -> None:
    for server in (pair.old, pair.new):
        server.client().execute_command("ACL", "SETUSER", "default", "-role")
    scheduler = Scheduler(f"{pair.address.url}{limit}", prune_interval_seconds=None)
    assert scheduler.is_paused() == {"paused": False}  # which has asked, and was refused
    pair.fail_over()
    scheduler.add_task(worker="w", task_id="a")
    assert pair.new.client().exists("bsched:{default}:task:a")


def test_no_more_than_one_question_a_second_is_asked_for_it(pair: Pair) -> None:
    client: redis.Redis = pair.old.client()
    scheduler = Scheduler(pair.address.url, prune_interval_seconds=None)
    client.config_resetstat()
    for _ in range(200):
        scheduler.config()
        scheduler.get_work(worker="w")
    calls = client.info("commandstats")
    assert calls["cmdstat_hgetall"]["calls"] >= 200
    assert calls["cmdstat_role"]["calls"] <= calls["cmdstat_hgetall"]["calls"] / 4

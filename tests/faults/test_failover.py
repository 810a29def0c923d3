"""Three Sentinels, a primary and two replicas: the primary is killed while a fleet works, and nobody is restarted."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest
import redis

from tests.faults.fleet import ACKNOWLEDGED, Fleet, reconcile
from tests.faults.test_faults import LATEST, ROUNDS, durable
from tests.servers import RunningRedis, any_server, die_with_parent, free_port, until

NAME = "luigi"
DOWN_MS, FAILOVER_MS = 500, 2000
GOES_ON_SECONDS = 10.0  # after the election


class Sentinels:
    """Three of them, and what they watch. url: for all who want the primary."""

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

    def primary(self) -> RunningRedis:
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
                replicas = [each for each in self.nodes if each is not self.primary()]
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


@contextmanager
def sentinels(directory: Path) -> Iterator[Sentinels]:
    """Run them as long as the block lasts."""
    made = Sentinels(directory)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_a_fleet_goes_on_when_sentinels_have_elected_another_primary(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with sentinels(tmp_path / "redis") as watched:
        fleet = Fleet(tmp_path, watched.nodes[0], watched.url)
        try:
            for number in range(ROUNDS):
                if number:
                    watched.await_all()
                old = fail_over(fleet, watched, number)
                old.start()  # for the next round
        finally:
            fleet.stop()


def fail_over(fleet: Fleet, watched: Sentinels, number: int) -> RunningRedis:
    """Kill the primary; returns it."""
    interrupted = fleet.begin_round()
    time.sleep(random.Random(number).uniform(0, LATEST))
    since, old = time.time(), watched.primary()
    old.kill()

    def is_elected() -> bool:
        with suppress(redis.RedisError, ValueError):
            return watched.primary() is not old
        return False

    until(is_elected, "another primary is elected", 60)
    elected = time.time()
    following = fleet.begin_round()
    until(lambda: workers_told_since(fleet, elected) == {"http", "redis"}, "both workers go on", GOES_ON_SECONDS)
    for round_ in (interrupted, following):
        fleet.await_end(round_)
        reconcile(fleet, round_, since, loses_a_second=True)
    return old


def workers_told_since(fleet: Fleet, since: float) -> set[str]:
    """The kinds of the workers that were told since then that the scheduler knows a task to be DONE."""
    return {
        str(line["worker"]).partition("-")[0]
        for line in fleet.log_lines()
        if ACKNOWLEDGED in line.get("message", "")
        and "DONE" in line["message"]
        and datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() > since
    }

"""`rediss://` with an authority and a certificate of one's own, on a real Redis that asks for one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from redis.sentinel import Sentinel
from rq.cli.helpers import get_redis_from_config

from broker_sched import Scheduler
from broker_sched.errors import ConfigurationError
from broker_sched.redis_backend.clients import connect
from broker_sched.worker.executors.rq.connection import client_for
from tests.certificates import Authority, Files
from tests.debian_programs import debian_program
from tests.executors.rq_settings import rq_settings
from tests.harness import ServerProcess
from tests.servers import die_with_parent, free_port, until

NAMES = ("BSCHED_REDIS_CA", "BSCHED_REDIS_CERT", "BSCHED_REDIS_KEY")


class Place(NamedTuple):
    """A Redis behind TLS, and the files with which it may be asked."""

    url: str
    authority: str
    own: Files

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def environment(self) -> dict[str, str]:
        return dict(zip(NAMES, (self.authority, *self.own)))

    @property
    def query(self) -> str:
        return f"?ssl_ca_certs={self.authority}&ssl_certfile={self.own.certificate}&ssl_keyfile={self.own.key}"


@contextmanager
def redis_behind_tls(directory: Path, authority: Authority) -> Iterator[Place]:
    """Run a Redis that asks who calls it for a certificate of this authority. Its process ends with the context."""
    program, port = debian_program("redis-server"), free_port()
    directory.mkdir(exist_ok=True)
    files, own = authority.issue("localhost"), authority.issue("client")
    found = Place(f"rediss://localhost:{port}", authority.path, own)
    tls = ("--tls-port", str(port), "--tls-cert-file", files.certificate, "--tls-key-file", files.key)
    asks = ("--tls-ca-cert-file", authority.path)
    process = subprocess.Popen(
        [program.path, "--port", "0", *tls, *asks, "--save", "", "--dir", str(directory)],
        env=program.environment,
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )

    def answers() -> bool:
        assert process.poll() is None
        try:
            return bool(connect(found.url + found.query).ping())
        except redis.ConnectionError:
            return False

    try:
        until(answers, "Redis answers")
        yield found
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("tls")
    with redis_behind_tls(directory, Authority(directory)) as found:
        yield found


@pytest.mark.parametrize("is_in_environment", [True, False])
def test_every_kind_of_connection_shows_the_certificate(
    place: Place, monkeypatch: pytest.MonkeyPatch, is_in_environment: bool
) -> None:
    """The blocking one, those of a server, which are multiplexed, those of the processes beside it, and RQ's."""
    url = place.url if is_in_environment else place.url + place.query
    for name, value in place.environment.items() if is_in_environment else ():
        monkeypatch.setenv(name, value)
    connect(url).flushall()
    scheduler = Scheduler(url, prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id="a")
    scheduler.close()
    assert client_for(url).ping()
    server = ServerProcess(environment={"BSCHED_REDIS": url}).await_ready()
    try:
        assert server.call("get_work", worker="w")["task_id"] == "a"
        large = [{"task_id": "b", "params": {"p": "x" * 600_000}}]
        server.call("add_tasks", worker="w", tasks=large)  # in a process of its own
        assert set(server.call("task_list")) == {"a", "b"}
    finally:
        assert server.stop() == 0


def test_an_rq_worker_that_waits_for_a_job_finds_the_new_primary_behind_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the settings of docs/rq.md. What the Sentinels say is made up: one Redis, then another."""
    authority = Authority(tmp_path)
    tls = {"ssl_ca_certs": authority.path, **dict(zip(("ssl_certfile", "ssl_keyfile"), authority.issue("rq")))}
    settings: dict[str, Any] = {}
    exec(rq_settings([]).replace("SentinelConnection", "SentinelSSLConnection"), settings)
    settings["SENTINEL"]["CONNECTION_KWARGS"] |= tls
    with ThreadPoolExecutor(1) as pool, redis_behind_tls(tmp_path / "new", authority) as new:
        with redis_behind_tls(tmp_path / "old", authority) as primary:
            monkeypatch.setattr(Sentinel, "discover_master", lambda sentinel, name: ("localhost", primary.port))
            waiting = pool.submit(get_redis_from_config(settings).blmove, "queue", "taken", 60)
            old = connect(primary.url + primary.query)
            until(lambda: old.info("clients")["blocked_clients"], "it waits")
        primary = new
        connect(new.url + new.query).rpush("queue", "job")
        assert waiting.result(10) == b"job"


def test_who_shows_none_or_trusts_another_authority_is_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(redis.ConnectionError):
        connect(f"{place.url}?ssl_ca_certs={place.authority}").ping()
    other = Authority(tmp_path)
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        connect(f"{place.url}?ssl_ca_certs={other.path}").ping()


def test_the_url_goes_before_the_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "/nowhere.pem")
    assert connect(place.url + place.query).ping()


def test_files_that_cannot_be_used_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSCHED_REDIS_KEY", "/nowhere.key")
    with pytest.raises(ConfigurationError, match="BSCHED_REDIS_CERT, the certificate to it, is not"):
        connect("rediss://localhost:1")
    monkeypatch.setenv("BSCHED_REDIS_CERT", "/nowhere.pem")
    with pytest.raises(ConfigurationError, match="BSCHED_REDIS_CA, _CERT and _KEY"):
        connect("rediss://localhost:1")
    connect("redis://localhost:1")  # which speaks no TLS, and so wants none of them

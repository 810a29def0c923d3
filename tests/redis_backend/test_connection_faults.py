"""Connections when something is wrong or unusual: nodes that are down, logins, TLS, clients of the caller's own."""

from __future__ import annotations

import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import fakeredis
import pytest
import redis
import trustme
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from broker_sched import ConfigurationError, RedisUnavailable, Scheduler
from broker_sched.redis_backend.clients import connect, resolve
from tests.harness import ServerProcess
from tests.servers import RunningRedis, any_server, binaries, die_with_parent, free_port, until

PREFIX = "bsched:{default}:"
Start = Callable[..., RunningRedis]


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Start]:
    """`start_redis("name", *arguments)`: a Redis on a port, which ends with the test."""
    started: list[RunningRedis] = []

    def start(name: str, *arguments: str, binary: Path | None = None) -> RunningRedis:
        started.append(RunningRedis(binary or any_server(), tmp_path / name, free_port(), arguments))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def watched(start_redis: Start, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Ports of a primary and of a Sentinel that calls it `main`; both want a login, each its own."""
    primary = start_redis("primary", "--requirepass", "primarys")
    port = free_port()
    conf = tmp_path / "sentinel.conf"
    conf.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel auth-pass main primarys\nrequirepass sentinels\n"
    )
    silent = subprocess.DEVNULL
    command = [str(any_server()), str(conf), "--sentinel"]
    watcher = subprocess.Popen(command, stdout=silent, stderr=silent, preexec_fn=die_with_parent)
    client: Any = redis.Redis(port=port, password="sentinels", decode_responses=True, retry=Retry(NoBackoff(), 0))
    until(lambda: _answers(client), "the Sentinel answers")
    assert primary.port is not None
    yield primary.port, port
    client.close()
    watcher.kill()
    watcher.wait()


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_sentinels_that_are_down_are_passed_over_at_once_and_each_has_its_own_login(
    watched: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, sentinel = watched
    hosts = ",".join(f"127.0.0.1:{port}" for port in (free_port(), free_port(), sentinel))
    url = f"redis+sentinel://:primarys@{hosts}/main/5?sentinel_password=sentinels"
    pauses: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", pauses.append)
    found = resolve(url, PREFIX)
    assert pauses == [], "a Sentinel that is down was tried again and again"
    assert (found.host, found.port, found.password, found.db) == ("127.0.0.1", primary, "primarys", 5)
    assert connect(url).set("a", "b")
    with redis.Redis(port=primary, db=5, password="primarys", decode_responses=True) as client:
        assert client.get("a") == "b"


def test_a_sentinel_that_refuses_is_told_without_the_passwords(watched: tuple[int, int]) -> None:
    url = f"redis+sentinel://:primarys@127.0.0.1:{watched[1]}/main?sentinel_password=wr0ng"
    for ask in (lambda: resolve(url, PREFIX), lambda: connect(url).ping()):
        with pytest.raises(redis.RedisError) as caught:
            ask()
        assert "wr0ng" not in str(caught.value)
        assert "primarys" not in str(caught.value)


def test_no_sentinel_at_all_is_an_error_of_redis_which_the_callers_try_again() -> None:
    url = f"redis+sentinel://:geheim@127.0.0.1:{free_port()}/main?sentinel_password=parole"
    for ask in (lambda: resolve(url, PREFIX), lambda: connect(url).ping()):
        with pytest.raises(redis.ConnectionError) as caught:
            ask()
        assert "geheim" not in str(caught.value)
        assert "parole" not in str(caught.value)


def test_a_cluster_out_of_reach_is_unavailable_and_to_the_server_a_lost_connection() -> None:
    url = f"redis+cluster://me:geheim@127.0.0.1:{free_port()}"
    with pytest.raises(RedisUnavailable) as caught:
        connect(url)
    assert "geheim" not in str(caught.value)
    with pytest.raises(redis.ConnectionError):
        resolve(url, PREFIX)


def test_a_cluster_url_to_a_plain_redis_is_unavailable_and_says_why(start_redis: Start) -> None:
    with pytest.raises(RedisUnavailable, match="Cluster mode is not enabled"):
        connect(f"redis+cluster://127.0.0.1:{start_redis('plain').port}")


def test_a_user_without_a_password_logs_in(start_redis: Start) -> None:
    server = start_redis("open", "--user", "open", "on", "nopass", "+@all", "~*", "&*", binary=binaries()["redis62"])
    url = f"redis://open@127.0.0.1:{server.port}"
    assert connect(url).execute_command("ACL WHOAMI") == "open"
    assert (resolve(url, PREFIX).username, resolve(url, PREFIX).password) == ("open", "")


# A client of the caller's own


def test_a_pool_that_blocks_stays_one_when_it_is_made_to_give_text(real_redis_url: str) -> None:
    blocking = redis.BlockingConnectionPool.from_url(real_redis_url, max_connections=2, timeout=3)
    given = redis.Redis(connection_pool=blocking)
    client = connect(given)
    pool = client.connection_pool
    assert isinstance(pool, redis.BlockingConnectionPool)
    assert (pool.max_connections, pool.timeout) == (2, 3)
    client.set("text", "é")
    assert client.get("text") == "é"
    client.delete("text")
    client.close()


def test_a_sentinel_client_made_to_give_text_still_follows_the_sentinel(watched: tuple[int, int]) -> None:
    kind: Any = Sentinel  # Any: redis-py leaves it untyped
    sentinel = kind([("127.0.0.1", watched[1])], sentinel_kwargs={"password": "sentinels"}, password="primarys")
    client = connect(sentinel.master_for("main", db=2, max_connections=7))
    assert isinstance(client.connection_pool, SentinelConnectionPool)
    assert client.connection_pool.max_connections == 7
    client.set("text", "é")
    assert client.get("text") == "é"
    assert client.connection_pool.master_address == ("127.0.0.1", watched[0])


@pytest.mark.parametrize("from_url", [True, False])
def test_a_cluster_client_is_made_to_give_text(start_redis: Start, from_url: bool) -> None:
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--requirepass", "nodes")
    node = start_redis("node", *options, binary=binaries()["redis8"])
    with redis.Redis(port=node.port or 0, password="nodes", decode_responses=True) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster is up")
    if from_url:
        given: Any = RedisCluster.from_url(f"redis://:nodes@127.0.0.1:{node.port}")
    else:
        given = RedisCluster(host="127.0.0.1", port=node.port or 0, password="nodes")
    scheduler = Scheduler(given, namespace="bytes", prune_interval_seconds=None)
    scheduler.add_task(worker="w", task_id="é")
    assert list(scheduler.task_list()) == ["é"]


def test_a_client_that_gives_any_text_is_used_as_it_is(real_redis_url: str) -> None:
    for client in (
        redis.Redis.from_url(real_redis_url, decode_responses=True, encoding_errors="surrogatepass"),
        fakeredis.FakeRedis(decode_responses=True, encoding_errors="surrogatepass"),
    ):
        assert connect(client) is client


def test_a_client_that_gives_some_texts_only_is_replaced_by_one_like_it(real_redis_url: str) -> None:
    for client in (
        redis.Redis.from_url(real_redis_url, decode_responses=True),
        fakeredis.FakeRedis(decode_responses=True),
    ):
        client.set("shared", "here")
        made = connect(client)
        assert made is not client and made.get("shared") == "here"
        client.delete("shared")


# TLS


class Certificate(NamedTuple):
    """Files with a certificate for localhost, its key, and that of the authority that signed it."""

    made: Path
    key: Path
    authority: Path


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    files = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(files.made))
    issued.private_key_pem.write_to_path(str(files.key))
    authority.cert_pem.write_to_path(str(files.authority))
    return files


@pytest.fixture
def tls_port(certificate: Certificate, start_redis: Start) -> Iterator[int]:
    """A port that speaks TLS in front of a Redis: the servers in the wheels don't themselves."""
    server = start_redis("plain")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.made, certificate.key)

    class Front(socketserver.BaseRequestHandler):
        """One connection, decrypted and passed on, both ways."""

        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", server.port or 0)) as inner,
            ):
                back = threading.Thread(target=_pass_on, args=(inner, outer), daemon=True)
                back.start()
                _pass_on(outer, inner)
                inner.shutdown(socket.SHUT_RDWR)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Front) as front:
        front.daemon_threads = True
        threading.Thread(target=front.serve_forever, daemon=True).start()
        yield front.server_address[1]
        front.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def test_tls_settings_reach_both_transports(certificate: Certificate) -> None:
    files = f"ssl_ca_certs={certificate.authority}&ssl_certfile={certificate.made}&ssl_keyfile={certificate.key}"
    url = f"rediss://:geheim@localhost:1/2?{files}"
    client = connect(url)
    assert client.connection_pool.connection_class is redis.SSLConnection
    settings = client.connection_pool.connection_kwargs
    wanted = tuple(map(str, (certificate.authority, certificate.made, certificate.key)))
    assert (settings["ssl_ca_certs"], settings["ssl_certfile"], settings["ssl_keyfile"]) == wanted
    tls = resolve(url, PREFIX).tls
    assert tls is not None
    assert len(tls.get_ca_certs()) == 1


def test_an_encrypted_connection_checks_certificate_and_name(certificate: Certificate, tls_port: int) -> None:
    url = f"rediss://localhost:{tls_port}?ssl_ca_certs={certificate.authority}"
    assert connect(url).ping()
    assert isinstance(resolve(url, PREFIX).tls, ssl.SSLContext)
    with pytest.raises(redis.ConnectionError, match="certificate"):
        connect(f"rediss://localhost:{tls_port}").ping()
    with pytest.raises(redis.ConnectionError, match="certificate"):
        connect(f"rediss://127.0.0.1:{tls_port}?ssl_ca_certs={certificate.authority}").ping()
    assert connect(f"rediss://127.0.0.1:{tls_port}?ssl_cert_reqs=none").ping()


def test_a_scheduler_and_the_server_work_over_tls(certificate: Certificate, tls_port: int) -> None:
    url = f"rediss://localhost:{tls_port}?ssl_ca_certs={certificate.authority}"
    Scheduler(url, prune_interval_seconds=None).add_task(worker="w", task_id="a")
    server = ServerProcess(environment={"BSCHED_REDIS": url}).await_ready()
    try:
        assert server.call("get_work", worker="w")["task_id"] == "a"
    finally:
        assert server.stop() == 0


def test_a_configuration_error_comes_before_any_connection() -> None:
    with pytest.raises(ConfigurationError, match="ssl_… options don't work"):
        connect("rediss://:geheim@localhost:1?ssl_certfile=/nowhere.pem")

"""Our client and luigi's own over https, against a real `bsched server` with a private authority."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import luigi.rpc
import pytest

from broker_sched import RemoteScheduler
from broker_sched.errors import ConfigurationError, LoginRefused, RPCError
from tests.certificates import Authority
from tests.harness import RedisProcess, ServerProcess


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(
    own_redis: RedisProcess, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    files, users = authority.issue("localhost", "127.0.0.1"), tmp_path_factory.mktemp("users") / "users"
    users.write_text("worker-1:certificate:worker@*\n")
    users.chmod(0o600)
    process = ServerProcess(
        *("--redis", own_redis.url, "--namespace", "https", "--users-file", str(users)),
        *("--tls-cert", files.certificate, "--tls-key", files.key, "--tls-client-ca", authority.path),
    ).await_ready()
    process.trusting = authority.context()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def open_server(own_redis: RedisProcess, authority: Authority) -> Iterator[ServerProcess]:
    files = authority.issue("localhost", "127.0.0.1")
    process = ServerProcess(
        *("--redis", own_redis.url, "--namespace", "open"),
        *("--tls-cert", files.certificate, "--tls-key", files.key),
    ).await_ready()
    yield process
    assert process.stop() == 0


def test_our_client_shows_its_certificate_and_is_that_user(
    server: ServerProcess, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> object:
        with RemoteScheduler(server.url, attempts=1) as remote:
            return remote.ping(worker="w")

    own = authority.issue("worker-1")
    with pytest.raises(RPCError, match="certificate verify failed"):
        asked()
    monkeypatch.setenv("BSCHED_CA", authority.path)
    with pytest.raises(LoginRefused):
        asked()
    monkeypatch.setenv("BSCHED_CLIENT_CERT", own.certificate)
    monkeypatch.setenv("BSCHED_CLIENT_KEY", own.key)
    assert asked() == {"rpc_messages": []}


def test_a_certificate_that_cannot_be_used_is_named(
    server: ServerProcess, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = authority.issue("worker-1"), authority.issue("other")
    monkeypatch.setenv("BSCHED_CLIENT_KEY", other.key)
    for certificate, told in (
        ("", "BSCHED_CLIENT_CERT, the certificate"),
        ("/nowhere", "BSCHED_CLIENT_CERT is /nowhere"),
        (own.certificate, "MISMATCH"),
    ):
        monkeypatch.setenv("BSCHED_CLIENT_CERT", certificate)
        with pytest.raises(ConfigurationError, match=told):
            RemoteScheduler(server.url, attempts=1).is_paused()


@pytest.mark.parametrize(
    ("fetcher", "variable"),
    [
        (luigi.rpc.RequestsFetcher, "REQUESTS_CA_BUNDLE"),
        (luigi.rpc.URLLibFetcher, "SSL_CERT_FILE"),
    ],
)
def test_luigis_client_works_over_https(
    open_server: ServerProcess, authority: Authority, monkeypatch: pytest.MonkeyPatch, fetcher: type, variable: str
) -> None:
    """Unmodified, with either of its ways to fetch; both take the authority from the environment."""
    monkeypatch.setenv(variable, authority.path)
    monkeypatch.setattr(urllib.request, "_opener", None)  # from Python 3.12 on it keeps whom it trusts
    remote = luigi.rpc.RemoteScheduler(open_server.url)
    remote._fetcher = fetcher()
    remote.add_task(worker="w", task_id=f"t-{variable}", status="PENDING", runnable=True)
    assert remote.get_work(worker="w", host="h")["task_id"] == f"t-{variable}"
    remote.add_task(worker="w", task_id=f"t-{variable}", status="DONE")
    remote.close()

"""A server that speaks TLS itself: what it takes, what it says at its start, and how its certificate changes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives import serialization

from broker_sched import RemoteScheduler
from broker_sched.errors import ConfigurationError, RPCError
from broker_sched.server import serve as server_module
from broker_sched.server.tls import TLS, TLSFiles
from tests.certificates import Authority, Files
from tests.harness import PATIENCE_SECONDS, RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.server.test_ending import Service, with_service
from tests.servers import until

Start = Callable[..., ServerProcess]
# How a client hears that it is not let in: by an alert, or by a connection that is closed while it sends.
REFUSALS = (ssl.SSLError, ConnectionResetError, BrokenPipeError)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> Files:
    return authority.issue("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def secure(own_redis: RedisProcess, authority: Authority, files: Files) -> Iterator[ServerProcess]:
    """A server that asks clients for a certificate, and does not need one."""
    words = ("--tls-cert", files.certificate, "--tls-key", files.key, "--tls-client-ca", authority.path)
    process = ServerProcess("--redis", own_redis.url, "--namespace", "tls", *words).await_ready()
    process.trusting = authority.context()
    yield process
    assert process.stop() == 0


def handshake(server: ServerProcess, context: ssl.SSLContext) -> ssl.SSLSocket:
    port = int(server.url.rpartition(":")[2])
    link = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    return context.wrap_socket(link, server_hostname="127.0.0.1")


def shown_by(server: ServerProcess, context: ssl.SSLContext) -> bytes:
    with handshake(server, context) as link:
        return link.getpeercert(binary_form=True) or b""


def test_calls_go_over_tls_and_the_ready_line_says_so(secure: ServerProcess) -> None:
    assert secure.url.startswith("https://127.0.0.1:")
    assert secure.call("ping", worker="w") == {"rpc_messages": []}


@pytest.mark.parametrize(("version", "is_spoken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_tls_before_1_2_is_refused(secure: ServerProcess, authority: Authority, version: str, is_spoken: bool) -> None:
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning) if not is_spoken else pytest.MonkeyPatch.context():
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    if is_spoken:
        handshake(secure, context).close()
    else:
        with pytest.raises(REFUSALS):
            handshake(secure, context)


def test_plain_http_gets_no_answer_and_the_client_says_what_to_write(secure: ServerProcess) -> None:
    url = secure.url.replace("https:", "http:")
    with RemoteScheduler(url, attempts=1) as remote, pytest.raises(Exception, match=f"write {secure.url}"):
        remote.is_paused()


def test_half_a_handshake_is_given_up(authority: Authority, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", 0.2)
    monkeypatch.setattr(Service, "tls", TLS(TLSFiles(*files)))
    monkeypatch.setattr(Service, "trusting", authority.context())

    async def act(service: Service) -> None:
        for said in (b"", b"\x16\x03\x01\x02\x00\x01"):
            reader, writer = await asyncio.open_connection(*service.address)
            writer.write(said)
            assert await reader.read() == b""
            writer.close()
        await service.serves_others()

    with_service(server_module.run_loop, act)


# What it says at its start


def encrypted(files: Files, path: Path) -> str:
    key = serialization.load_pem_private_key(Path(files.key).read_bytes(), None)
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(*kinds, serialization.BestAvailableEncryption(b"geheim")))
    return str(path)


def test_a_file_that_cannot_be_used_is_named_with_what_to_do(
    authority: Authority, files: Files, tmp_path: Path
) -> None:
    other, secret = authority.issue("other"), encrypted(files, tmp_path / "secret.key")
    (tmp_path / "wrong").write_text("falsch\n")
    (tmp_path / "right").write_text("geheim\n")
    wrong, none = str(tmp_path / "wrong"), str(tmp_path / "none")
    for given, told in (
        (TLSFiles(none), f"--tls-cert: {none} can't be read: No such file"),
        (TLSFiles(files.key, files.key), f"--tls-cert: {files.key} holds no certificate in PEM"),
        (TLSFiles(files.certificate, none), f"--tls-key: {none} can't be read"),
        (TLSFiles(files.certificate), f"--tls-key: {files.certificate} holds no private key"),
        (TLSFiles(files.certificate, other.key), f"{other.key} is not that of the first certificate"),
        (TLSFiles(files.certificate, secret), "is encrypted. Name a file with its password by --tls-key-password-file"),
        (TLSFiles(files.certificate, secret, wrong), f"with the password in {wrong}"),
        (TLSFiles(files.certificate, secret, none), f"--tls-key-password-file: {none}"),
        (TLSFiles(*files, client_ca=none), f"--tls-client-ca: {none} can't be read"),
        (TLSFiles(*files, client_ca=files.key), f"--tls-client-ca: {files.key} holds no certificate"),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(told)) as caught:
            TLS(given)
        assert "falsch" not in str(caught.value)
    TLS(TLSFiles(files.certificate, secret, str(tmp_path / "right")))
    both = tmp_path / "both.pem"
    both.touch(mode=0o600)
    both.write_bytes(Path(files.certificate).read_bytes() + Path(files.key).read_bytes())
    TLS(TLSFiles(str(both)))


def test_a_key_that_everybody_may_read_is_warned_of(files: Files, tmp_path: Path, caplog: Any) -> None:
    open_key = tmp_path / "open.key"
    open_key.write_bytes(Path(files.key).read_bytes())
    for mode, is_warned in ((0o600, False), (0o640, False), (0o644, True)):
        open_key.chmod(mode)
        caplog.clear()
        TLS(TLSFiles(files.certificate, str(open_key)))
        assert bool([line for line in caplog.messages if f"chmod o= {open_key}" in line]) is is_warned


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tls-key", "K"], "--tls-key: give the certificate, too, with --tls-cert"),
        (["--tls-cert", "C", "--tls-require-client-cert"], "say with --tls-client-ca who issues"),
        (["--tls-cert", "/nowhere/c.pem"], "--tls-cert: /nowhere/c.pem can't be read"),
        (["--tls-cert", "C", "--unix-socket", "S"], "leave out --tls-cert"),
    ],
)
def test_options_that_do_not_go_together_end_the_start_with_2(start_server: Start, words: list[str], told: str) -> None:
    server = start_server("--redis", "memory:", *words)
    assert server.wait() == 2
    assert told in " ".join(server.said)


# Certificates of clients


def test_a_clients_certificate_is_asked_for_and_not_needed(
    secure: ServerProcess, authority: Authority, tmp_path: Path
) -> None:
    own, foreign = authority.issue("worker-1"), Authority(tmp_path).issue("worker-1")
    secure.trusting = authority.context(own)
    assert secure.call("is_paused") == {"paused": False}
    secure.trusting = authority.context(foreign)
    with pytest.raises(REFUSALS):
        secure.call("is_paused")
    secure.trusting = authority.context()
    assert secure.call("is_paused") == {"paused": False}


def test_certificates_that_change_nothing_are_told_at_the_start(secure: ServerProcess) -> None:
    assert [line for line in secure.said if "which changes nothing: say in --users-file who comes with one" in line]


def test_a_certificate_may_be_required(own_redis: RedisProcess, start_server: Start, authority: Authority) -> None:
    files, own = authority.issue("127.0.0.1"), authority.issue("worker-1")
    server = start_server(
        *("--redis", own_redis.url, "--namespace", "strict", "--tls-require-client-cert"),
        environment={
            "BSCHED_TLS_CERT": files.certificate,
            "BSCHED_TLS_KEY": files.key,
            "BSCHED_TLS_CLIENT_CA": authority.path,
        },
    ).await_ready()
    assert server.said == []
    server.trusting = authority.context(own)
    assert server.call("is_paused") == {"paused": False}
    server.trusting = authority.context()
    with pytest.raises(REFUSALS):
        server.call("is_paused")


def test_the_application_hears_of_the_certificate_in_asgis_tls_extension(
    authority: Authority, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = authority.issue("a.example", "b.example", common_name="worker, 1")
    heard: list[dict[str, Any]] = []
    former = Service._answer

    async def answer(self: Service, scope: Any, *others: Any) -> None:
        heard.append(scope["extensions"]["tls"])
        await former(self, scope, *others)

    monkeypatch.setattr(Service, "_answer", answer)
    monkeypatch.setattr(Service, "tls", TLS(TLSFiles(*files, client_ca=authority.path)))

    async def act(service: Service) -> None:
        for context in (authority.context(own), authority.context()):
            monkeypatch.setattr(Service, "trusting", context)
            await service.serves_others()

    with_service(server_module.run_loop, act)
    shown, nothing = heard[0], heard[-1]
    assert shown["client_cert_names"] == ("worker, 1", "a.example", "b.example")
    assert shown["client_cert_name"].startswith("CN=worker\\, 1,") and shown["tls_version"] == 0x0304
    assert shown["client_cert_chain"][0].splitlines()[0] == "-----BEGIN CERTIFICATE-----"
    assert (nothing["client_cert_names"], nothing["client_cert_name"], nothing["client_cert_chain"]) == ((), None, [])


# A new certificate


@pytest.mark.parametrize("processes", by_night([1, 3], [3]))
def test_sighup_changes_the_certificate_without_a_failed_request(
    own_redis: RedisProcess, start_server: Start, tmp_path: Path, processes: int
) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("127.0.0.1", to="server")
    where = ("--redis", own_redis.url, "--namespace", f"swapped-{processes}", "--processes", str(processes))
    server = start_server(*where, "--tls-cert", files.certificate, "--tls-key", files.key).await_ready()
    context = authority.context()
    server.trusting = context
    ends, failures, made = threading.Event(), [], [0] * 4

    def hammer(number: int, keeps: bool) -> None:
        """Call and call again: each on a connection of its own, or all on one."""
        try:
            while not ends.is_set():
                connection = server._connection()
                while True:
                    connection.request("GET", "/api/is_paused")
                    assert connection.getresponse().read() == b'{"response":{"paused":false}}'
                    made[number] += 1
                    if not keeps or ends.is_set():
                        break
                connection.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=hammer, args=(number, number == 0)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(by_night(60, 4)):
            authority.issue("127.0.0.1", to="server")
            fresh = ssl.PEM_cert_to_DER_cert(Path(files.certificate).read_text())
            server.process.send_signal(signal.SIGHUP)
            seen_in_a_row = 0

            def is_shown_by_all(fresh: bytes = fresh) -> bool:
                nonlocal seen_in_a_row
                seen_in_a_row = seen_in_a_row + 1 if shown_by(server, context) == fresh else 0
                return seen_in_a_row >= 5 * processes

            until(is_shown_by_all, "new handshakes see the new certificate")
    finally:
        ends.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    assert failures == [] and min(made) > 0
    assert server.stop() == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_broken_new_file_keeps_the_old_certificate_and_is_told_once(
    own_redis: RedisProcess, start_server: Start, tmp_path: Path, processes: int
) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("127.0.0.1", to="server")
    before = Path(files.certificate).read_bytes()
    where = ("--redis", own_redis.url, "--namespace", f"broken-{processes}", "--processes", str(processes))
    server = start_server(*where, "--tls-cert", files.certificate, "--tls-key", files.key).await_ready()
    authority.issue("127.0.0.1", to="other")
    Path(files.certificate).write_bytes((tmp_path / "other.pem").read_bytes())  # the key is still the former one
    server.process.send_signal(signal.SIGHUP)
    until(lambda: [line for line in server.said if "is not changed" in line], "it says so")
    for _ in range(4 * processes):
        assert shown_by(server, authority.context()) == ssl.PEM_cert_to_DER_cert(before.decode())
    if processes > 1:  # one that is started now has the old one, too
        children = psutil.Process(server.process.pid).children()
        os.kill(children[0].pid, signal.SIGKILL)
        until(lambda: len(psutil.Process(server.process.pid).children()) == processes, "another is there")
        server.trusting = authority.context()
        for _ in range(4 * processes):
            assert server.call("is_paused") == {"paused": False}
    (told,) = [line for line in server.said if "is not changed" in line]
    assert "is not that of the first certificate" in told
    assert server.stop() == 0


def test_sighup_changes_whom_a_server_believes(own_redis: RedisProcess, start_server: Start, tmp_path: Path) -> None:
    authority, former, later = Authority(tmp_path / "a"), Authority(tmp_path / "b"), Authority(tmp_path / "c")
    files, believed = authority.issue("127.0.0.1"), tmp_path / "believed.pem"
    believed.write_bytes(Path(former.path).read_bytes())
    tls = ("--tls-cert", files.certificate, "--tls-key", files.key, "--tls-client-ca", str(believed))
    server = start_server(
        *("--redis", own_redis.url, "--namespace", "believed", *tls, "--tls-require-client-cert")
    ).await_ready()
    contexts = [authority.context(each.issue("worker")) for each in (former, later)]

    def is_served(context: ssl.SSLContext) -> bool:
        server.trusting = context
        try:
            return bool(server.call("is_paused"))
        except REFUSALS:
            return False

    assert [is_served(each) for each in contexts] == [True, False]
    believed.write_bytes(Path(later.path).read_bytes())
    server.process.send_signal(signal.SIGHUP)
    until(lambda: [is_served(each) for each in contexts] == [False, True], "the other authority is believed")


def test_a_connection_error_of_tls_is_one_that_a_client_waits_out(secure: ServerProcess, tmp_path: Path) -> None:
    with RemoteScheduler(secure.url, attempts=1) as remote, pytest.raises(RPCError, match="certificate verify failed"):
        remote.is_paused()

"""What the environment says about reaching a server holds: proxies, certificates, logins in .netrc."""

from __future__ import annotations

import base64
import gzip
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from broker_sched import ConfigurationError, RemoteScheduler, RPCError
from broker_sched.client.environment import proxy_for
from tests.client.script import Script
from tests.harness import RedisProcess, ServerProcess

PAUSED = b'{"response": {"paused": true}}'
OK = (200, PAUSED)
HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(PAUSED), PAUSED)
VARIABLES = [f"{kind}_proxy" for kind in ("http", "https", "all", "no")]
VARIABLES += [*map(str.upper, VARIABLES), "NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*VARIABLES, "SSL_CERT_FILE", "SSL_CERT_DIR"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def once(url: str) -> RemoteScheduler:
    return RemoteScheduler(url, attempts=1, connect_timeout=5)


# Proxies


def test_a_call_goes_by_the_proxy_that_the_environment_names(
    script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = script(OK)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:gehe%20im@127.0.0.1:{proxy.port}")
    assert once("http://etl:secret@scheduler.invalid:8082/luigi").is_paused() == {"paused": True}
    path, headers, _ = proxy.seen[0]
    assert path == "http://scheduler.invalid:8082/luigi/api/is_paused"
    assert headers["host"] == "scheduler.invalid:8082"
    assert base64.b64decode(headers["proxy-authorization"].split()[1]) == b"me:gehe im"
    assert base64.b64decode(headers["authorization"].split()[1]) == b"etl:secret"


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_may_be_written_without_its_scheme_and_for_all(
    script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    proxy = script(OK)
    monkeypatch.setenv(variable, f"127.0.0.1:{proxy.port}")
    once("http://scheduler.invalid/").is_paused()
    assert proxy.seen[0][0] == "http://scheduler.invalid/api/is_paused"


@pytest.mark.parametrize(
    ("base", "exempt", "is_direct"),
    [
        ("http://scheduler.example:8082", "scheduler.example", True),
        ("http://scheduler.example:8082", "other.org, scheduler.example:8082", True),
        ("http://scheduler.example:8082", "scheduler.example:80", False),
        ("http://scheduler.example", ".example", True),
        ("http://scheduler.example", "example", True),
        ("http://scheduler.example", "ample", False),
        ("http://scheduler.example", "*", True),
        ("http://10.1.2.3:8082", "10.0.0.0/8", True),
        ("http://11.1.2.3:8082", "10.0.0.0/8", False),
        ("http://10.1.2.3", "10.1.2.3", True),
        ("http://[::1]:8082", "::1", True),
        ("http://[fe80::7]", "fe80::/10,localhost", True),
        ("https://scheduler.example", "", True),  # HTTP_PROXY is for http
    ],
)
def test_no_proxy_names_the_servers_that_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch, base: str, exempt: str, is_direct: bool
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", exempt)
    assert proxy_for(base) == (None if is_direct else "http://proxy.example:3128")


def test_a_unix_socket_needs_no_proxy(
    start_server: Callable[..., ServerProcess],
    own_redis: RedisProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = str(tmp_path / "With Capitals.sock")
    start_server("--redis", own_redis.url, "--unix-socket", path).await_ready()
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with once(f"http+unix://{quote(path, safe='')}/") as remote:
        assert [remote.is_paused() for _ in range(3)] == [{"paused": False}] * 3


def test_a_unix_socket_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RPCError, match="No such file or directory"):
        once(f"http+unix://{quote(str(tmp_path / 'none.sock'), safe='')}/").is_paused()


@pytest.mark.parametrize(
    ("proxy", "told"),
    [("socks5://me:geheim@127.0.0.1:1", r"pip install 'urllib3\[socks\]'"), ("ftp://me:geheim@x", "scheme ftp")],
)
def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str, told: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=told) as caught:
        once("http://scheduler.invalid/").is_paused()
    assert "geheim" not in str(caught.value)


# Certificates


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def has_read_a_call(connection: socket.socket) -> bool:
    """Head and body, which come in pieces; False at the end."""
    data = b""
    while not (found := re.search(rb"content-length: (\d+).*?\r\n\r\n(.*)", data, re.S | re.I)) or (
        len(found[2]) < int(found[1])
    ):
        if not (piece := connection.recv(100_000)):
            return False
        data += piece
    return True


@pytest.fixture
def tls_port(authority: trustme.CA) -> Iterator[int]:
    """A scheduler behind TLS, at 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with suppress(OSError), connection, context.wrap_socket(connection, server_side=True) as inside:
            while has_read_a_call(inside):
                inside.sendall(HTTP_OK)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_private_authority_is_trusted_when_the_environment_names_it(
    tls_port: int, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with pytest.raises(RPCError, match="certificate verify failed"):
        once(f"https://127.0.0.1:{tls_port}").is_paused()
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    assert once(f"https://127.0.0.1:{tls_port}").is_paused() == {"paused": True}
    with pytest.raises(RPCError, match=r"doesn't match|not valid for"):
        once(f"https://localhost:{tls_port}").is_paused()


def test_a_proxy_that_speaks_tls_is_trusted_likewise(
    tls_port: int, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("http_proxy", f"https://127.0.0.1:{tls_port}")
    assert once("http://scheduler.invalid/").is_paused() == {"paused": True}


def test_an_authority_that_is_not_there_is_named(tls_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match=r"REQUESTS_CA_BUNDLE is /nowhere/ca\.pem, where no certificates"):
        once(f"https://127.0.0.1:{tls_port}").is_paused()


def test_https_goes_through_a_proxy_that_sees_neither_call_nor_login(
    tls_port: int, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(100_000):
                seen.append(data)
                target.sendall(data)

    def tunnel() -> None:
        caller, _ = listener.accept()
        seen.append(caller.recv(100_000))
        server = socket.create_connection(("127.0.0.1", tls_port))
        caller.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=carry, args=(server, caller), daemon=True).start()
        carry(caller, server)
        server.close()
        caller.close()

    threading.Thread(target=tunnel, daemon=True).start()
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
    with once(f"https://etl:geheim@127.0.0.1:{tls_port}") as remote:
        assert [remote.is_paused() for _ in range(2)] == [{"paused": True}] * 2
    listener.close()
    assert seen[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1." % tls_port)
    assert not any(secret in b"".join(seen) for secret in (b"is_paused", b"Authorization", b"geheim"))


# Logins


def test_netrc_has_the_login_of_a_url_without_one(
    script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = script(OK)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login etl password s3cret\n")
    (tmp_path / "other").write_text("machine elsewhere login a password b\ndefault login any password one\n")
    once(f"http://127.0.0.1:{server.port}").is_paused()
    once(f"http://url:wins@127.0.0.1:{server.port}").is_paused()
    monkeypatch.setenv("NETRC", str(tmp_path / "other"))
    once(f"http://127.0.0.1:{server.port}").is_paused()
    logins = [base64.b64decode(headers["authorization"].split()[1]) for _, headers, _ in server.seen]
    assert logins == [b"etl:s3cret", b"url:wins", b"any:one"]


@pytest.mark.parametrize("content", ["machine 127.0.0.1 nonsense\n", "machine elsewhere login a password b\n"])
def test_a_netrc_without_a_login_for_the_server_sends_none(
    script: Callable[..., Script], tmp_path: Path, content: str
) -> None:
    server = script(OK)
    (tmp_path / ".netrc").write_text(content)
    once(f"http://127.0.0.1:{server.port}").is_paused()
    assert "authorization" not in server.seen[0][1]


def test_a_password_may_have_any_letter(script: Callable[..., Script]) -> None:
    server = script(OK)
    once(f"http://etl:{quote('pä:ß日')}@127.0.0.1:{server.port}").is_paused()
    assert base64.b64decode(server.seen[0][1]["authorization"].split()[1]).decode() == "etl:pä:ß日"


# Connections


def test_a_compressed_answer_is_read(script: Callable[..., Script]) -> None:
    assert once(f"http://127.0.0.1:{script((200, gzip.compress(PAUSED))).port}").is_paused() == {"paused": True}


def test_threads_that_call_at_the_same_time_share_one_pool_and_close_may_come_between(
    script: Callable[..., Script],
) -> None:
    server = script(OK)
    remote = RemoteScheduler(f"http://127.0.0.1:{server.port}", wait_seconds=0.01)
    wrong: list[BaseException] = []

    def call() -> None:
        try:
            for _ in range(20):
                assert remote.is_paused() == {"paused": True}
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        remote.close()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_child_does_not_use_the_connection_that_its_parent_has_kept(script: Callable[..., Script]) -> None:
    server = script(OK)
    remote = once(f"http://127.0.0.1:{server.port}")
    remote.is_paused()
    before = remote._kept
    child = os.fork()
    if child == 0:
        try:
            remote.close()  # the parent's: it stays open
            remote.is_paused()
            os._exit(0 if remote._kept != before else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert remote.is_paused() == {"paused": True}
    assert remote._kept == before

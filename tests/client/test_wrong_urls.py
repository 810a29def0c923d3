"""A URL that leads to something else: what is wrong is said, and what to write instead."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from broker_sched import ConfigurationError, RedisUnavailable, Refused, RemoteScheduler, Scheduler
from broker_sched.redis_backend.clients import connect
from tests.documents import ROOT, environment_of
from tests.harness import RedisProcess, ServerProcess
from tests.servers import until

HTTPS_PORT = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s"
NGINX = b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>"
GO = b"Client sent an HTTP request to an HTTPS server.\n"


@pytest.fixture
def server(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    process = ServerProcess("--redis", own_redis.url).await_ready()
    yield process
    process.stop()


def port_that(answers: bytes | ssl.SSLContext) -> Iterator[int]:
    """A port whose server answers everything so, or speaks TLS."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    if isinstance(answers, ssl.SSLContext):
                        with answers.wrap_socket(connection, server_side=True) as inside:
                            inside.recv(100)
                    else:
                        connection.recv(100_000)
                        connection.sendall(answers)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    yield from port_that(context)


@pytest.fixture(params=[NGINX, GO], ids=["nginx", "go"])
def telling_port(request: pytest.FixtureRequest) -> Iterator[int]:
    yield from port_that(HTTPS_PORT % (len(request.param), request.param))


def test_https_for_a_server_that_speaks_http_is_told_at_once(server: ServerProcess) -> None:
    with RemoteScheduler(server.url.replace("http:", "https:")) as remote, pytest.raises(Refused) as caught:
        remote.is_paused()
    assert f"does not speak TLS; write {server.url}." in str(caught.value)


def test_http_for_a_server_that_speaks_https_is_told_at_once(tls_port: int) -> None:
    with RemoteScheduler(f"http://u:geheim@127.0.0.1:{tls_port}") as remote, pytest.raises(Refused) as caught:
        remote.is_paused()
    assert f"speaks TLS; write https://127.0.0.1:{tls_port}." in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_proxy_that_says_so_is_understood(telling_port: int) -> None:
    with RemoteScheduler(f"http://127.0.0.1:{telling_port}") as remote, pytest.raises(Refused) as caught:
        remote.is_paused()
    assert f"speaks TLS; write https://127.0.0.1:{telling_port}." in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:8082", "has no scheme; .* such as http://localhost:8082"),
        ("scheduler.example", "has no scheme; .* such as http://scheduler.example"),
        ("me:geheim@host:8082", r"has no scheme; it must be [^,]*, [^,]* or http\+unix[^,]*$"),
        ("redis://:geheim@host:6379/0", "leads to Redis; give it with --redis or to Scheduler"),
        ("ftp://host", "begins with ftp://; it must be http://"),
    ],
)
def test_a_url_that_is_no_servers_says_what_to_write(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        RemoteScheduler(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:6379", "has no scheme; write redis://localhost:6379"),
        ("redis.example/2", "has no scheme; write redis://redis.example/2"),
        (":geheim@host:6379", "has no scheme; write redis://HOST:PORT"),
        ("http://me:geheim@host:8082", "leads to a server, not to Redis: give it with --scheduler-url or --url"),
    ],
)
def test_a_url_that_is_no_redis_says_what_to_write(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        connect(url)
    assert "geheim" not in str(caught.value)


def test_a_redis_url_of_an_http_port_is_told(server: ServerProcess) -> None:
    with pytest.raises(RedisUnavailable, match=r"is no Redis .*port of an HTTP server.*--scheduler-url"):
        Scheduler(server.url.replace("http:", "redis:"))


def test_a_server_whose_redis_is_an_http_port_says_so(server: ServerProcess) -> None:
    wrong = ServerProcess("--redis", server.url.replace("http:", "redis:")).await_ready()
    try:
        reply = until(lambda: wrong.request("GET", "/readyz"), "it answers")
        assert reply.status == 503
        assert "is no Redis" in reply.json()["reason"]
    finally:
        wrong.stop()


# An old Python


def test_make_says_which_python_is_needed(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[1])" "$2"\n'
    )
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    for python, told in (
        (str(old), f"needs Python 3.10 or newer, and {old} is 3.9"),
        ("python0", "There is no python0"),
    ):
        command = ["make", "-C", str(ROOT), "demo", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert " ".join(told.split()) in " ".join(done.stderr.split())
        assert "PYTHON=" in done.stderr
        assert not (tmp_path / "venv").exists()


def test_an_old_python_is_told_so_instead_of_breaking_off_somewhere() -> None:
    code = "import sys; sys.version_info = (3, 9, 1, 'final', 0); import bsched.main"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment_of(ROOT), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "ImportError: broker_sched needs Python 3.10 or newer, and this is 3.9" in done.stderr


def test_without_a_home_a_command_says_what_to_set() -> None:
    """HOME is not set, and the user is in no list: as in many a container."""
    kept = {name: value for name, value in environment_of(ROOT).items() if name not in ("HOME", "XDG_DATA_HOME")}
    kept.pop("BSCHED_DATA_DIR", None)
    kept.pop("BSCHED_REDIS", None)
    code = "import pwd, os; pwd.getpwuid = {}.__getitem__; import bsched.main; bsched.main.main()"
    command = [sys.executable, "-c", code, "config"]
    done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "HOME is not set" in done.stderr and "BSCHED_DATA_DIR" in done.stderr
    assert done.stderr.startswith("Error: ")

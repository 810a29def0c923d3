"""deploy/nginx.conf in a real nginx: long polls, events, who asks, limits, and the wire corpus through it."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker_sched import RemoteScheduler
from tests.certificates import Authority
from tests.debian_programs import debian_program
from tests.deploy.test_deploy import nginx_conf
from tests.harness import PATIENCE_SECONDS, RedisProcess, ServerProcess
from tests.server.access.asgi import basic, user_line
from tests.server.events.pages import HTTPPage
from tests.server.raw import CLOSE, HOST, answers, get, post, until_closed
from tests.server.test_http import LAST, NONSENSE, PING, PONG, SMUGGLING
from tests.servers import die_with_parent, free_port, until

PROXY = "127.0.0.1"


@contextlib.contextmanager
def nginx_before(server: ServerProcess, directory: Path, tls: str = "") -> Iterator[int]:
    """The port of an nginx before this server, which it knows under both names. tls: what is written for it."""
    program, port = debian_program("nginx"), free_port()
    upstream = int(server.url.rpartition(":")[2])
    text = nginx_conf([upstream, upstream], port, directory)
    if tls:
        text = text.replace(f"listen {PROXY}:{port}", f"listen {PROXY}:{port} ssl; {tls}", 1)
    if os.geteuid() == 0:  # whose directories for tests no other user may enter, where long bodies are kept
        text = f"user root;\n{text}"
    conf = directory / "nginx.conf"
    conf.write_text(text)
    checked = program.run("-t", "-c", str(conf), "-p", str(directory))
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(
        [program.path, "-g", "daemon off;", "-c", str(conf), "-p", str(directory)],
        env=program.environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )

    def listens() -> bool:
        assert process.poll() is None
        with contextlib.suppress(OSError), socket.create_connection((PROXY, port)):
            return True
        return False

    try:
        until(listens, "nginx listens")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def behind(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    process = ServerProcess("--redis", own_redis.url, "--namespace", "nginx", "--proxy-headers", PROXY).await_ready()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def port(behind: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with nginx_before(behind, tmp_path_factory.mktemp("nginx")) as found:
        yield found


def said_through(port: int, *parts: bytes, goes: bool = False) -> bytes:
    with socket.create_connection((PROXY, port), timeout=PATIENCE_SECONDS) as link:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                link.sendall(part)
            if goes:  # for nginx, who sends no more has gone
                link.shutdown(socket.SHUT_WR)
        return until_closed(link)


def test_calls_and_long_polls_pass(port: int) -> None:
    with RemoteScheduler(f"http://{PROXY}:{port}", attempts=1) as remote:
        found: list[object] = []
        waiting = threading.Thread(target=lambda: found.append(remote.await_work(worker="w", seconds=20)))
        waiting.start()
        until(lambda: remote.worker_list(), "it waits")
        remote.add_task(worker="w", task_id="t")
        waiting.join(PATIENCE_SECONDS)
        assert found == [{"ready": True}]
        remote.add_tasks(worker="w", tasks=[{"task_id": "u", "params": {"p": "x" * 2_000_000}}])
        assert set(remote.task_list()) == {"t", "u"}


def test_events_pass_as_they_come_and_end_when_their_listener_goes(behind: ServerProcess, port: int) -> None:
    page = HTTPPage(f"http://{PROXY}:{port}")
    page.until(lambda: page.named("start"), "it begins")
    behind.call("add_task", worker="w", task_id="heard", family="Heard", status="FAILED")
    page.until(lambda: "Heard" in page.counts, "it hears of a change, which nginx does not keep back")
    after = page.last_id
    page.close()
    again = HTTPPage(f"http://{PROXY}:{port}", after=after)
    again.until(lambda: again.named("start"), "it begins again")
    assert again.named("start")[0].data["resumed"]
    again.close()


def test_a_body_beyond_the_limit_is_413(port: int) -> None:
    connection = http.client.HTTPConnection(PROXY, port, timeout=PATIENCE_SECONDS)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", "/api/ping", b"x" * (33 * 2**20))
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("is_tls", [False, True])
def test_servers_know_who_asked_the_proxy_and_how(own_redis: RedisProcess, tmp_path: Path, is_tls: bool) -> None:
    """Failed logins count for the client, who can't take another's address by a header of its own."""
    users, authority = tmp_path / "users", Authority(tmp_path)
    users.write_text(user_line("ann", "right", "operator@*"))
    users.chmod(0o600)
    certificate, key = authority.issue(PROXY)
    server = ServerProcess(
        *("--redis", own_redis.url, "--namespace", f"clients-{is_tls}"),
        *("--users-file", str(users), "--proxy-headers", PROXY),
    ).await_ready()
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {key}" if is_tls else ""
    with nginx_before(server, tmp_path, tls) as port:

        def asked(client: str, password: str, **headers: str) -> http.client.HTTPResponse:
            """As a client at this address of the machine."""
            place = (PROXY, port, PATIENCE_SECONDS, (client, 0))
            if is_tls:
                link = http.client.HTTPSConnection(
                    PROXY, port, timeout=PATIENCE_SECONDS, source_address=(client, 0), context=authority.context()
                )
            else:
                link = http.client.HTTPConnection(*place)
            link.request("POST", "/api/unpause", headers={**headers, **basic("ann", password)})
            reply = link.getresponse()
            reply.read()
            link.close()
            return reply

        for number in range(10):
            invented = {"X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Host": "evil.example"}
            assert asked("127.0.0.2", f"wrong {number}", **invented).status == 401
        assert asked("127.0.0.2", "wrong again", **{"X-Forwarded-For": "203.0.113.99"}).status == 429
        assert asked("127.0.0.3", "right").status == 200
        assert asked("127.0.0.3", "right", Origin=f"http://{PROXY}:{port}").status == 200
        assert asked("127.0.0.3", "right", Origin="http://evil.example").status == 403
    assert server.stop() == 0


# The wire corpus


@pytest.mark.parametrize("smuggled", SMUGGLING)
def test_no_request_reaches_the_server_that_the_proxy_has_not_seen(
    behind: ServerProcess, port: int, smuggled: bytes
) -> None:
    """nginx may take for two requests what we refuse; then it answers both. A hidden one would have no answer."""
    behind.call("unpause")
    begun = b"POST /api/is_paused HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    said = answers(said_through(port, begun + smuggled + LAST))
    assert said[0].status in (200, 400, 501), said
    assert behind.call("is_paused")["paused"] is (len(said) == 3 and said[1].status == 200), said
    (after,) = answers(said_through(port, post(b"/api/ping", PING, CLOSE)))
    assert (after.status, after.body) == (200, PONG), "what is left of it is no part of the next request"


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_is_no_request_is_refused_and_leaves_nothing_behind(port: int, nonsense: bytes) -> None:
    said = said_through(port, nonsense + get(b"/never", CLOSE))
    assert b"never" not in said
    assert not said.startswith(b"HTTP/") or int(said[9:12]) in (400, 404, 505), said
    (after,) = answers(said_through(port, post(b"/api/ping", PING, CLOSE)))
    assert (after.status, after.body) == (200, PONG)


PIECES: list[tuple[Callable[[bytes], list[bytes]], int]] = [
    (lambda whole: [whole[index : index + 1] for index in range(len(whole))], 200),
    (lambda whole: [whole[:-3]], 400),  # and then the client goes
    (lambda whole: [whole[:20]], 400),
]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("pieces", "status"), PIECES)
def test_odd_pieces_and_an_early_close_harm_nobody(
    port: int, pieces: Callable[[bytes], list[bytes]], status: int, chunked: bool
) -> None:
    whole = post(b"/api/ping", PING, CLOSE)
    if chunked:
        head = b"POST /api/ping HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Type: application/json\r\n"
        whole = (
            head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;x=y\r\n{\r\nD\r\n" + PING[1:] + b"\r\n0\r\nA: b\r\n\r\n"
        )
    said = said_through(port, *pieces(whole), goes=status != 200)
    assert said.startswith(b"HTTP/1.1 200") if status == 200 else not said.startswith(b"HTTP/1.1 200")
    (after,) = answers(said_through(port, whole))
    assert (after.status, after.body) == (200, PONG)

"""HTTP/1.1 on the wire, against the running server: pieces, order, ends, limits, and what is no request at all.

All of it in plain text and over TLS.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator

import pytest

from broker_sched.server.protocol import MAX_HEAD_BYTES
from broker_sched.server.requests import MAX_BODY_BYTES
from tests.certificates import Authority
from tests.harness import RedisProcess, ServerProcess
from tests.server.raw import CLOSE, HOST, answers, connected, conversation, get, post, until_closed

TOO_LONG = MAX_BODY_BYTES + 1
PING = b'{"worker":"w"}'
PONG = b'{"response":{"rpc_messages":[]}}'
SLOW = post(b"/api/await_work", b'{"worker":"nobody","seconds":0.3}')  # answered after 0.3 s
LAST = get(b"/healthz", CLOSE)


@pytest.fixture(scope="module", params=["http", "https"])
def server(
    own_redis: RedisProcess, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    authority, tls = Authority(tmp_path_factory.mktemp("tls")), ()
    if request.param == "https":
        issued = authority.issue("127.0.0.1")
        tls = ("--tls-cert", issued.certificate, "--tls-key", issued.key)
    process = ServerProcess("--redis", own_redis.url, "--namespace", request.param, *tls).await_ready()
    process.trusting = authority.context() if tls else None
    yield process
    assert process.stop() == 0


def statuses(server: ServerProcess, *parts: bytes) -> list[int]:
    return [said.status for said in conversation(server, *parts)]


def test_a_request_in_pieces_is_one_request(server: ServerProcess) -> None:
    request = post(b"/api/ping", PING, CLOSE)
    (said,) = conversation(server, *(request[index : index + 1] for index in range(len(request))))
    assert (said.status, said.body) == (200, PONG)
    lines = said.head.split(b"\r\n")
    assert lines[1].startswith(b"date: ") and lines[1].endswith(b" GMT")
    assert lines[2:] == [
        b"content-type: application/json; charset=UTF-8",
        b"x-content-type-options: nosniff",
        b"content-security-policy: default-src 'none'; frame-ancestors 'none'",
        b"referrer-policy: no-referrer",
        b"cache-control: no-store",
        b"content-length: %d" % len(PONG),
        b"connection: close",
    ]


def test_a_body_in_chunks_is_put_together(server: ServerProcess) -> None:
    head = b"POST /api/ping HTTP/1.1\r\n" + HOST + CLOSE + b"Transfer-Encoding: chunked\r\n"
    (said,) = conversation(
        server, head + b'Content-Type: application/json\r\n\r\n6\r\n{"work\r\n', b'8\r\ner":"w"}\r\n0\r\n\r\n'
    )
    assert (said.status, said.body) == (200, PONG)


def test_requests_sent_together_are_answered_in_order(server: ServerProcess) -> None:
    assert statuses(server, SLOW + get(b"/nowhere") + post(b"/api/ping", PING) + LAST) == [200, 404, 200, 200]
    assert statuses(server, SLOW, get(b"/nowhere"), post(b"/api/ping", PING), LAST) == [200, 404, 200, 200]


@pytest.mark.parametrize(
    "last",
    [
        b"GET /healthz HTTP/1.0\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        get(b"/healthz", CLOSE),
        get(b"/healthz", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    ],
)
@pytest.mark.parametrize(
    "more", [b"", get(b"/never"), b"POST /never HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % TOO_LONG, b"\0"]
)
@pytest.mark.parametrize("is_together", [False, True])
def test_the_last_request_is_answered_and_what_follows_it_is_ignored(
    server: ServerProcess, last: bytes, more: bytes, is_together: bool
) -> None:
    parts = [SLOW, last + more] if is_together else [SLOW, last, more]
    slow, said = conversation(server, *parts)
    assert (slow.status, said.status, said.body) == (200, 200, b'{"alive":true}')
    assert b"connection: close" not in slow.head and b"connection: close" in said.head


def test_head_gets_the_length_without_the_body(server: ServerProcess) -> None:
    (said,) = conversation(server, get(b"/healthz", CLOSE, b"HEAD"), is_head=True)
    assert (said.status, b"content-length: 14" in said.head, said.body) == (200, True, b"")


def test_204_has_no_length(server: ServerProcess) -> None:
    (said,) = conversation(server, get(b"/", CLOSE, b"HEAD"))
    assert said.status == 204 and b"content-length" not in said.head


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://localhost:8082/api/is_pause_enabled?data={}", 200),
        (b"/api/is_pause_enabled?data={}#c?d", 200),
        (b"/api/is_pause_enabled#c?d", 200),
        (b"/api/%69s_pause_enabled", 200),
        (b"http://localhost", 200),
        (b"http://localhost?y", 200),
        (b"*", 404),
        (b"/%", 404),
        (b"//", 404),
        (b"//api/is_pause_enabled", 404),
        (b"/%C3%A9", 404),
    ],
)
def test_a_target_may_be_odd_or_a_whole_url(server: ServerProcess, target: bytes, status: int) -> None:
    assert statuses(server, get(target, CLOSE)) == [status]


# Expect: 100-continue

EXPECTING = post(b"/api/ping", PING, b"Expect: 100-Continue\r\n").removesuffix(PING)


def test_the_body_is_asked_for_when_the_client_wants_that(server: ServerProcess) -> None:
    with connected(server) as link:
        link.sendall(EXPECTING)
        assert link.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(PING + LAST)
        assert [said.status for said in answers(until_closed(link))] == [200, 200]


def test_a_client_of_http_1_0_is_asked_for_nothing(server: ServerProcess) -> None:
    assert statuses(server, EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0") + PING) == [200]


def test_the_body_is_not_asked_for_before_earlier_requests_are_answered(server: ServerProcess) -> None:
    with connected(server) as link:
        link.sendall(SLOW + EXPECTING)
        said = b""
        while not said.endswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
            part = link.recv(1000)
            assert part, said
            said += part
        assert said.startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(server: ServerProcess) -> None:
    head = b"POST /api/ping HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % TOO_LONG
    with connected(server) as link:
        link.sendall(head)
        assert link.recv(1000).startswith(b"HTTP/1.1 413")


# Limits


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("is_last", [False, True])
def test_a_body_that_is_too_long_is_skipped_and_its_sender_gets_the_answer(
    server: ServerProcess, is_chunked: bool, is_last: bool
) -> None:
    if is_chunked:
        length, start, end = b"Transfer-Encoding: chunked", b"%x\r\n" % TOO_LONG, b"\r\n0\r\n\r\n"
    else:
        length, start, end = b"Content-Length: %d" % TOO_LONG, b"", b""
    head = b"POST /api/ping HTTP/1.1\r\n" + HOST + (CLOSE if is_last else b"") + length + b"\r\n\r\n"
    parts = [head, start, *[b"x" * 2**20] * (MAX_BODY_BYTES // 2**20), b"x" + end]
    assert statuses(server, *parts, *([] if is_last else [LAST])) == ([413] if is_last else [413, 200])


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize(
    ("request_line", "host", "status"),
    [
        (b"POST /api/ping", b"Host: evil.example\r\n", 403),
        (b"POST /nowhere", HOST, 404),
        (b"PUT /api/ping", HOST, 405),
        (b"OPTIONS /api/ping", HOST, 204),
    ],
)
def test_who_is_answered_before_a_large_body_is_whole_reads_the_answer(
    server: ServerProcess, request_line: bytes, host: bytes, status: int, is_last: bool
) -> None:
    length = b"Content-Length: %d\r\n\r\n" % MAX_BODY_BYTES
    head = request_line + b" HTTP/1.1\r\n" + host + (CLOSE if is_last else b"") + length
    body = [b"x" * 2**20] * (MAX_BODY_BYTES // 2**20)
    with connected(server) as link:
        for part in (head, *body):
            link.sendall(part)  # which raises when the server closes while its client is sending
        if not is_last:
            link.sendall(LAST)
        assert [said.status for said in answers(until_closed(link))] == ([status] if is_last else [status, 200])


def test_an_error_in_a_refused_body_ends_the_connection_without_a_second_answer(server: ServerProcess) -> None:
    with connected(server) as link:
        link.sendall(b"POST /api/ping HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % TOO_LONG)
        link.sendall(b"x" * TOO_LONG)
        said = link.recv(10_000)
        link.sendall(b"no end of a chunk" + get(b"/never"))
        assert [each.status for each in answers(said + until_closed(link))] == [413]


def test_a_head_that_is_too_long_is_refused(server: ServerProcess) -> None:
    begun = b"GET /healthz HTTP/1.1\r\n" + HOST + b"A: "
    assert statuses(server, begun, b"x" * 6 * MAX_HEAD_BYTES, b"x") == [431]
    assert statuses(server, SLOW, begun, b"x" * 6 * MAX_HEAD_BYTES, b"x") == [200, 431]


@pytest.mark.parametrize("length", [MAX_HEAD_BYTES - 100, MAX_HEAD_BYTES, MAX_HEAD_BYTES + 1000, 2 * MAX_HEAD_BYTES])
def test_a_url_that_is_too_long_and_comes_at_once_is_refused(server: ServerProcess, length: int) -> None:
    url = b"/healthz?" + b"x" * length
    expected = [200] if length < MAX_HEAD_BYTES else [431]
    assert statuses(server, get(url) + LAST) == expected + [200] * (expected == [200])
    assert server.request("GET", "/healthz").status == 200


@pytest.mark.parametrize("url", [b"/caf\xe9", b"http://[", b"//", b"/a b", b"*", b"http:///x", b"\x80"])
def test_an_odd_url_gets_an_answer_and_nothing_is_logged(server: ServerProcess, url: bytes) -> None:
    (status,) = statuses(server, b"GET " + url + b" HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
    assert status in (400, 404)
    assert not [line for line in server.said if "Traceback" in line]


@pytest.mark.parametrize("endless", [b"GET /api/is_paused?data=", b"GET / HTTP/1.1\r\nHost: x\r\nA: "])
def test_a_head_without_end_is_refused_and_the_connection_closed(server: ServerProcess, endless: bytes) -> None:
    with connected(server) as link:
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            link.sendall(endless)
            while sent < 50_000_000:
                sent += link.send(b"x" * 65536)
        assert sent < 20_000_000
    assert server.request("GET", "/healthz").status == 200


def test_many_headers_within_the_limit_are_fine(server: ServerProcess) -> None:
    assert server.request("GET", "/healthz", headers={f"X-{number}": "y" * 50 for number in range(500)}).status == 200


CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"


def test_headers_behind_a_body_change_nothing(server: ServerProcess) -> None:
    head = b"POST /api/unpause HTTP/1.1\r\n" + HOST + CLOSE + CHUNKED + b"Origin: http://evil.example\r\n\r\n"
    (said,) = conversation(server, head + b"2\r\n{}\r\n0\r\nHost: evil.example\r\nOrigin: http://localhost\r\n\r\n")
    assert (said.status, json.loads(said.body)["error"]["type"]) == (403, "CrossSite")


def test_headers_behind_a_body_are_limited(server: ServerProcess) -> None:
    head = b"POST /api/ping HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n"
    assert statuses(server, head, *[b"A: b\r\n" * 10_000] * 8) == [431]


def test_a_body_in_very_many_chunks_is_not_limited_by_what_stands_beside_it(server: ServerProcess) -> None:
    head = b"POST /api/ping HTTP/1.1\r\n" + HOST + CLOSE + CHUNKED + b"\r\n"
    spaces = b"1\r\n \r\n" * 50_000
    assert statuses(server, head, spaces, b"e\r\n" + PING + b"\r\n0\r\n\r\n") == [200]


# What is no request

NONSENSE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    b"hello\r\n\r\n",
    b"GET /\r\n\r\n",  # HTTP/0.9
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET / HTTP/3.7\r\n\r\n",
    b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    b"GET / HTTP/1.1\nHost: localhost\n folded: \0\n\n",
    b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_is_no_request_is_told_after_what_came_before_it(server: ServerProcess, nonsense: bytes) -> None:
    slow, said = conversation(server, SLOW + nonsense + get(b"/never"))
    assert (slow.status, said.status) == (200, 400)
    assert b"connection: close" not in slow.head and b"connection: close" in said.head
    assert json.loads(said.body)["error"]["type"] == "BadRequest"


# Two readings of where a request ends: what follows must never be taken for another one.
HIDDEN = get(b"/api/pause")
SMUGGLING = [
    b"Content-Length: -1\r\n\r\n" + HIDDEN,
    b"Content-Length: +2\r\n\r\n{}" + HIDDEN,
    b"Content-Length: 0x2\r\n\r\n{}" + HIDDEN,
    b"Content-Length:\r\n\r\n" + HIDDEN,
    b"Content-Length: 99999999999999999999999\r\n\r\n" + HIDDEN,
    b"Content-Length: 2\r\nContent-Length: 1\r\n\r\n{}" + HIDDEN,
    b"Content-Length: 2, 2\r\n\r\n{}" + HIDDEN,
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN,
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + HIDDEN,
    b"Transfer-Encoding: chunked\r\n\r\n2;\n{}\r\n0\r\n\r\n" + HIDDEN,
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n" + HIDDEN,
    b"Content-Length: 2\n\r\n{}" + HIDDEN,
]


@pytest.mark.parametrize("smuggled", SMUGGLING)
def test_no_second_request_hides_in_one_that_can_be_read_in_two_ways(server: ServerProcess, smuggled: bytes) -> None:
    server.call("unpause")
    begun = b"POST /api/is_paused HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    said = conversation(server, begun + smuggled)
    assert [each.status for each in said] == [400], said
    assert b"connection: close" in said[0].head
    assert server.call("is_paused") == {"paused": False}


def test_a_post_that_asks_for_an_upgrade_is_refused_with_the_reason(server: ServerProcess) -> None:
    headers = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    (said,) = conversation(server, post(b"/api/update_resources", b'{"db":7}', headers))
    assert said.status == 400 and b"without the Upgrade header" in said.body


# Half-closed connections, of which TLS has none: there, who sends no more has gone


@pytest.mark.parametrize("request_bytes", [post(b"/api/ping", PING), SLOW, get(b"/healthz"), SLOW + get(b"/healthz")])
def test_who_sends_no_more_gets_the_answers_to_what_was_sent(server: ServerProcess, request_bytes: bytes) -> None:
    if server.trusting:
        return
    for _ in range(5):
        with connected(server) as link:
            link.sendall(request_bytes)
            link.shutdown(socket.SHUT_WR)
            said = answers(until_closed(link))
        assert [each.status for each in said] == [200] * request_bytes.count(b"HTTP/1.1")


def test_who_sends_no_more_in_the_middle_of_a_request_is_not_waited_for(server: ServerProcess) -> None:
    if server.trusting:
        return
    with connected(server) as link:
        link.sendall(SLOW + post(b"/api/ping", PING)[:-1])
        link.shutdown(socket.SHUT_WR)
        assert [each.status for each in answers(until_closed(link))] == [200]

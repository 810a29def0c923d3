"""One connection: requests in order, answers in one write, limits, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from broker_sched.server import connection as connection_module
from broker_sched.server.connection import JOINED_BYTES, MAX_HEAD_BYTES, Connection, Request
from broker_sched.server.requests import MAX_BODY_BYTES
from broker_sched.server.responses import Answer
from tests.harness import ServerProcess
from tests.server.test_limits import answer_up_to, connected

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
TOO_LONG = MAX_BODY_BYTES + 1


class Wire:
    """A transport that keeps what is done to it, and a client at its other end."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_closed = False
        self.is_read = True
        self.requests: list[Request] = []
        self.answers: dict[str, asyncio.Future[Answer]] = {}  # by path; of others at once
        self.connections: set[Connection] = set()
        self.connection = Connection(self._respond, self.connections)
        self.connection.connection_made(self)  # type: ignore[arg-type]  # all of it that is used

    async def _respond(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.path in self.answers:
            return await self.answers[request.path]
        return Answer(200, b"content-type: text/plain\r\n", request.path.encode() + request.body)

    def hold(self, path: str) -> asyncio.Future[Answer]:
        """Requests of this path get what is put into the future."""
        return self.answers.setdefault(path, asyncio.get_running_loop().create_future())

    async def receive(self, *parts: bytes) -> None:
        """The client sends this."""
        for part in parts:
            self.connection.data_received(part)
        await self.settle()

    async def settle(self) -> None:
        """All happens that can."""
        for _ in range(5):
            await asyncio.sleep(0)

    def bodies(self) -> list[bytes]:
        """Of the responses so far."""
        return [sent.partition(b"\r\n\r\n")[2] for sent in self.sent]

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.sent.append(data)

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        assert self.is_read
        self.is_read = False

    def resume_reading(self) -> None:
        assert not self.is_read
        self.is_read = True


def with_wire(act: Callable[[Wire], Awaitable[Any]]) -> Wire:
    """The wire after that was done with it."""

    async def run() -> Wire:
        replies = Wire()
        await act(replies)
        return replies

    return asyncio.run(run())


def test_a_request_in_pieces_is_one_request_and_its_response_one_write() -> None:
    request = b"POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nContent-Length: 3\r\n\r\nabc"
    replies = with_wire(lambda replies: replies.receive(*[request[index : index + 1] for index in range(len(request))]))
    headers = {b"host": b"h", b"x-one": b"1", b"content-length": b"3"}
    assert replies.requests == [Request("POST", "/a b", b"x=1", headers, b"abc")]
    (sent,) = replies.sent
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert lines[1].startswith(b"date: ") and lines[1].endswith(b" GMT")
    assert lines[2:] == [b"content-type: text/plain", b"content-length: 7"]
    assert body == b"/a babc"
    assert not replies.is_closed and replies.connection.is_idle


def test_a_long_body_is_not_copied() -> None:
    async def act(replies: Wire) -> None:
        replies.hold("/long").set_result(Answer(200, b"", b"x" * (JOINED_BYTES + 1)))
        await replies.receive(GET % b"long")

    head, body = with_wire(act).sent
    assert head.endswith(b"content-length: %d\r\n\r\n" % len(body))


def test_a_body_in_chunks_is_put_together() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    replies = with_wire(lambda replies: replies.receive(head + b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"))
    assert replies.requests[0].body == b"abcde"


def test_requests_sent_together_are_answered_one_at_a_time_and_in_order() -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        await replies.receive(GET % b"slow" + GET % b"two" + GET % b"three")
        assert [request.path for request in replies.requests] == ["/slow"]
        assert not replies.is_read  # until they are answered
        slow.set_result(Answer(200, b"", b"slow"))
        await replies.settle()
        assert replies.is_read

    assert with_wire(act).bodies() == [b"slow", b"/two", b"/three"]


def test_a_client_that_does_not_read_is_sent_no_more() -> None:
    async def act(replies: Wire) -> None:
        replies.connection.pause_writing()
        await replies.receive(GET % b"one", GET % b"two")
        assert replies.requests == [] and not replies.is_read
        replies.connection.resume_writing()
        await replies.settle()
        assert replies.is_read

    assert with_wire(act).bodies() == [b"/one", b"/two"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /x HTTP/1.0\r\n\r\n",
        b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    ],
)
def test_the_last_request_is_answered_and_the_connection_closed(request_bytes: bytes) -> None:
    replies = with_wire(lambda replies: replies.receive(request_bytes))
    (sent,) = replies.sent
    assert b"\r\nconnection: close\r\n" in sent and sent.endswith(b"\r\n\r\n/x")
    assert replies.is_closed
    assert len(replies.requests) == 1


@pytest.mark.parametrize(
    "more", [GET % b"never", b"POST /never HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % TOO_LONG, b"\0"]
)
@pytest.mark.parametrize("is_together", [False, True])
@pytest.mark.parametrize("end", [b"1.1\r\nConnection: close", b"1.0\r\nConnection: keep-alive"])
def test_what_follows_the_last_request_is_ignored(more: bytes, is_together: bool, end: bytes) -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        last = b"GET /slow HTTP/%s\r\n\r\n" % end
        await replies.receive(*([last + more] if is_together else [last, more]))
        slow.set_result(Answer(200))
        await replies.settle()

    replies = with_wire(act)
    assert len(replies.sent) == len(replies.requests) == 1 and replies.is_closed


def test_a_request_that_has_begun_behind_the_last_keeps_nothing_open() -> None:
    begun = b"POST /never HTTP/1.1\r\nContent-Length: 2\r\n\r\na"
    replies = with_wire(lambda replies: replies.receive(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + begun))
    assert replies.bodies() == [b"/x"] and replies.is_closed


def test_head_gets_the_length_without_the_body() -> None:
    replies = with_wire(lambda replies: replies.receive(b"HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert replies.sent[0].endswith(b"content-length: 4\r\n\r\n")


def test_204_has_no_length() -> None:
    async def act(replies: Wire) -> None:
        replies.hold("/empty").set_result(Answer(204))
        await replies.receive(GET % b"empty")

    (sent,) = with_wire(act).sent
    assert sent.startswith(b"HTTP/1.1 204 No Content\r\n") and b"content-length" not in sent


@pytest.mark.parametrize("target", [b"http://x:8082/api/ping?data=1", b"/api/ping?data=1"])
def test_a_target_may_be_a_whole_url(target: bytes) -> None:
    replies = with_wire(lambda replies: replies.receive(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target))
    assert replies.requests[0][:3] == ("GET", "/api/ping", b"data=1")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"*", "*", b""),
        (b"http://x", "/", b""),
        (b"http://x?y", "/", b"y"),
        (b"/%", "/%", b""),
        (b"//", "//", b""),
        (b"/a?b#c?d", "/a", b"b"),
        (b"/a#c", "/a", b""),
        (b"/%C3%A9", "/é", b""),
    ],
)
def test_an_odd_target_is_the_applications_business(target: bytes, path: str, query: bytes) -> None:
    replies = with_wire(lambda replies: replies.receive(b"OPTIONS %s HTTP/1.1\r\nHost: x\r\n\r\n" % target))
    assert replies.requests[0][1:3] == (path, query)


def test_the_body_is_asked_for_when_the_client_wants_that() -> None:
    async def act(replies: Wire) -> None:
        await replies.receive(b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n")
        assert replies.sent == [b"HTTP/1.1 100 Continue\r\n\r\n"]
        await replies.receive(b"y")

    assert with_wire(act).bodies()[1:] == [b"/xy"]


def test_a_client_of_http_1_0_is_asked_for_nothing() -> None:
    head = b"POST /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    assert with_wire(lambda replies: replies.receive(head, b"y")).bodies() == [b"/xy"]


def test_the_body_is_not_asked_for_before_earlier_requests_are_answered() -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        expecting = b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        await replies.receive(GET % b"slow", expecting)
        assert replies.sent == []
        slow.set_result(Answer(200, b"", b"slow"))
        await replies.settle()
        await replies.receive(b"y")

    replies = with_wire(act)
    assert replies.bodies() == [b"slow", b"", b"/xy"]
    assert replies.sent[1] == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_body_that_is_too_long_is_refused_before_it_is_sent() -> None:
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % TOO_LONG
    replies = with_wire(lambda replies: replies.receive(head))
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 413"]
    assert replies.requests == []


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_that_is_too_long_is_skipped_and_the_connection_goes_on(is_chunked: bool) -> None:
    if is_chunked:
        head, start, end = b"Transfer-Encoding: chunked", b"%x\r\n" % TOO_LONG, b"\r\n0\r\n\r\n"
    else:
        head, start, end = b"Content-Length: %d" % TOO_LONG, b"", b""

    async def act(replies: Wire) -> None:
        await replies.receive(b"POST /x HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + start)
        for _ in range(MAX_BODY_BYTES // 2**20):
            await replies.receive(b"x" * 2**20)
        await replies.receive(b"x" + end, GET % b"next")

    replies = with_wire(act)
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 413", b"HTTP/1.1 200"]
    assert [request.path for request in replies.requests] == ["/next"]


def test_an_error_in_a_refused_body_ends_the_connection_without_a_second_answer() -> None:
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % TOO_LONG
    replies = with_wire(lambda replies: replies.receive(head, b"x" * TOO_LONG, b"no end of a chunk"))
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 413"]
    assert replies.is_closed


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"hello\r\n\r\n",
        b"GET / HTTP/3.7\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n folded: \0\n\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
    ],
)
def test_what_is_no_request_is_told_after_what_came_before_it(nonsense: bytes) -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        await replies.receive(GET % b"slow", nonsense, GET % b"never")
        assert replies.sent == []
        slow.set_result(Answer(200, b"", b"slow"))
        await replies.settle()

    replies = with_wire(act)
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 200", b"HTTP/1.1 400"]
    assert b"connection: close" not in replies.sent[0] and b"connection: close" in replies.sent[1]
    assert replies.is_closed
    assert [request.path for request in replies.requests] == ["/slow"]


def test_a_head_that_is_too_long_is_refused() -> None:
    async def act(replies: Wire) -> None:
        await replies.receive(b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"x" * MAX_HEAD_BYTES)
        assert replies.sent == []
        await replies.receive(b"x")

    replies = with_wire(act)
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 431"]
    assert replies.is_closed and replies.requests == []


def test_what_stands_beside_the_body_is_limited_and_changes_no_header() -> None:
    async def act(replies: Wire) -> None:
        await replies.receive(b"POST /one HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        await replies.receive(b"Host: evil\r\n\r\n")
        await replies.receive(b"POST /two HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        for _ in range(3):
            await replies.receive(b"Host: evil\r\n" * (MAX_HEAD_BYTES // 20))

    replies = with_wire(act)
    assert [(request.path, request.headers[b"host"]) for request in replies.requests] == [("/one", b"x")]
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 200", b"HTTP/1.1 431"]
    assert replies.is_closed


def test_head_with_a_body_that_is_too_long_is_refused_without_one() -> None:
    head = b"HEAD /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % TOO_LONG
    (sent,) = with_wire(lambda replies: replies.receive(head)).sent
    assert sent.startswith(b"HTTP/1.1 413") and sent.endswith(b"\r\n\r\n")


def test_small_chunks_take_no_more_memory_than_their_bytes() -> None:
    async def act(replies: Wire) -> None:
        await replies.receive(b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        tracemalloc.start()
        try:
            for _ in range(20):
                await replies.receive(b"2\r\nab\r\n" * 10_000)
            assert tracemalloc.get_traced_memory()[0] < 2_000_000
        finally:
            tracemalloc.stop()

    with_wire(act)


def test_a_long_body_in_many_chunks_is_not_limited_by_what_stands_beside_it() -> None:
    async def act(replies: Wire) -> None:
        await replies.receive(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            await replies.receive(b"1\r\na\r\n" * (MAX_HEAD_BYTES // 10))
        await replies.receive(b"0\r\n\r\n")

    assert len(with_wire(act).requests[0].body) == 20 * (MAX_HEAD_BYTES // 10)


def test_a_refused_body_that_ends_in_endless_headers_is_answered_once() -> None:
    async def act(replies: Wire) -> None:
        await replies.receive(b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % TOO_LONG)
        await replies.receive(b"x" * TOO_LONG + b"\r\n0\r\n")
        for _ in range(3):
            await replies.receive(b"A: b\r\n" * (MAX_HEAD_BYTES // 10))

    replies = with_wire(act)
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 413"] and replies.is_closed


def test_a_bug_of_ours_is_logged_and_answered(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(connection_module, "_decoded", lambda path: 1 / 0)
    replies = with_wire(lambda replies: replies.receive(GET % b"x"))
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 500"] and replies.is_closed
    assert b"ZeroDivision" not in replies.sent[0] and "ZeroDivisionError" in caplog.text


def test_the_body_of_an_upgrade_that_is_too_long_ends_the_connection() -> None:
    head = b"POST /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % TOO_LONG
    replies = with_wire(lambda replies: replies.receive(head))
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 413"] and replies.is_closed


def test_a_refused_body_is_not_asked_for() -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        head = b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        await replies.receive(GET % b"slow", head + b"%x\r\n" % TOO_LONG + b"x" * TOO_LONG)
        slow.set_result(Answer(200))
        await replies.settle()

    assert [sent[:12] for sent in with_wire(act).sent] == [b"HTTP/1.1 200", b"HTTP/1.1 413"]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_after_a_refused_body_the_connection_ends_when_it_should(is_stopped: bool) -> None:
    async def act(replies: Wire) -> None:
        close = b"" if is_stopped else b"Connection: close\r\n"
        await replies.receive(b"POST /x HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (close, TOO_LONG))
        if is_stopped:
            replies.connection.stop()
        assert not replies.is_closed  # a client that still sends would miss the answer
        await replies.receive(b"x" * TOO_LONG)

    replies = with_wire(act)
    assert [sent[:12] for sent in replies.sent] == [b"HTTP/1.1 413"] and replies.is_closed


def test_a_client_that_reads_again_gets_one_answer_after_the_other() -> None:
    async def act(replies: Wire) -> None:
        slow, second = replies.hold("/slow"), replies.hold("/second")
        await replies.receive(GET % b"slow" + GET % b"second" + GET % b"third")
        replies.connection.pause_writing()
        replies.connection.resume_writing()
        await replies.settle()
        assert len(replies.requests) == 1
        replies.connection.pause_writing()
        slow.set_result(Answer(200))
        await replies.settle()
        assert len(replies.requests) == 1
        replies.connection.resume_writing()
        await replies.settle()
        assert len(replies.requests) == 2
        second.set_result(Answer(200))
        await replies.settle()
        assert len(replies.requests) == 3 and replies.is_read
        again = replies.answers["/slow"] = asyncio.get_running_loop().create_future()
        await replies.receive(GET % b"slow" + GET % b"third")
        assert not replies.is_read
        again.set_result(Answer(200))
        await replies.settle()
        assert replies.is_read

    assert len(with_wire(act).sent) == 5


def test_the_body_is_not_asked_for_while_an_answer_waits_for_its_reader() -> None:
    async def act(replies: Wire) -> None:
        replies.connection.pause_writing()
        await replies.receive(GET % b"one", b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert replies.sent == []
        replies.connection.resume_writing()
        await replies.settle()
        await replies.receive(b"y")

    assert with_wire(act).bodies() == [b"/one", b"", b"/xy"]


def test_it_knows_since_when_it_is_idle() -> None:
    async def act(replies: Wire) -> None:
        slow, before = replies.hold("/slow"), replies.connection.idle_since
        await asyncio.sleep(0.01)
        await replies.receive(GET % b"slow")
        assert not replies.connection.is_idle
        slow.set_result(Answer(200))
        await replies.settle()
        assert replies.connection.is_idle and replies.connection.idle_since > before

    with_wire(act)


def test_an_answer_to_a_client_that_is_leaving_is_not_sent() -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        await replies.receive(GET % b"slow" + GET % b"two")
        replies.close()
        slow.set_result(Answer(200))
        await replies.settle()
        assert not replies.is_read

    assert with_wire(act).sent == []


def test_what_is_lost_is_freed_at_once() -> None:
    async def run() -> None:
        replies = Wire()
        gone = weakref.ref(replies.connection)
        await replies.receive(b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
        replies.connection.connection_lost(None)
        del replies.connection
        assert gone() is None

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()


def test_stopped_when_idle_it_closes() -> None:
    async def act(replies: Wire) -> None:
        await replies.receive(GET % b"one")
        replies.connection.stop()

    assert with_wire(act).is_closed


def test_stopped_at_work_it_answers_all_it_was_asked_and_closes() -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        await replies.receive(GET % b"slow" + GET % b"two")
        replies.connection.stop()
        assert not replies.is_closed
        slow.set_result(Answer(200, b"", b"slow"))
        await replies.settle()

    replies = with_wire(act)
    assert replies.bodies() == [b"slow", b"/two"]
    assert [b"connection: close" in sent for sent in replies.sent] == [False, True]
    assert replies.is_closed


def test_stopped_within_a_body_it_takes_the_rest_and_answers() -> None:
    async def act(replies: Wire) -> None:
        await replies.receive(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        replies.connection.stop()
        assert not replies.is_closed
        await replies.receive(b"b")

    replies = with_wire(act)
    assert replies.bodies() == [b"/xab"] and b"connection: close" in replies.sent[0]
    assert replies.is_closed


def test_a_request_whose_client_has_gone_is_finished_and_not_answered() -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        await replies.receive(GET % b"slow" + GET % b"never")
        replies.connection.connection_lost(None)
        assert replies.connections == {replies.connection}  # so that the end of a server waits for it
        replies.connection.stop()
        slow.set_result(Answer(200))
        await replies.settle()
        assert replies.connections == set()

    replies = with_wire(act)
    assert replies.sent == [] and [request.path for request in replies.requests] == ["/slow"]


def test_aborted_it_cancels_its_request() -> None:
    async def act(replies: Wire) -> None:
        slow = replies.hold("/slow")
        await replies.receive(GET % b"slow")
        replies.connection.abort()
        await replies.settle()
        assert slow.cancelled()

    replies = with_wire(act)
    assert replies.is_closed and replies.sent == []


def test_the_server_answers_requests_sent_together_in_order(server: ServerProcess) -> None:
    with connected(server) as link:
        link.sendall((GET % b"healthz") + (GET % b"nowhere") + b"GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n")
        said = answer_up_to(link, b"never")
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]

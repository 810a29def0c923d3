"""A large call is carried out beside the others: it is answered as a small one is, and they don't wait for it."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from broker_sched.server.api import LARGE_BODY_BYTES
from broker_sched.server.requests import MAX_BODY_BYTES
from tests.harness import FORM, RedisProcess, ServerProcess
from tests.nightly import by_night
from tests.server.raw import CLOSE, HOST, conversation
from tests.servers import is_alive, until

Start = Callable[..., ServerProcess]
JSON_TYPE = {"Content-Type": "application/json"}
VARYING = {"date": "", "x-request-id": ""}  # headers that differ from answer to answer
SPACES = b" " * LARGE_BODY_BYTES
WHAT = [
    ("ping", b'{"worker":"w"}'),
    ("ping", b"{}"),
    ("ping", b"[]"),
    ("ping", b'{"worker":'),
    ("fly", b"{}"),
    ("get_work", b'{"worker":"nobody","current_tasks":["a"]}'),
    ("get_work", b'{"worker":"nobody","current_tasks":7}'),
    ("add_task", b'{"worker":"w","task_id":"t","priority":"high"}'),
    ("task_list", b'{"search":"nothing like it"}'),
]


def helpers(server: ServerProcess) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def ignores_sigterm(process: psutil.Process) -> bool:
    ignored = re.search(r"^SigIgn:\t(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.M)
    assert ignored
    return bool(int(ignored[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize(("method", "body"), WHAT)
def test_a_large_body_gets_the_answer_of_a_small_one(server: ServerProcess, method: str, body: bytes) -> None:
    for content_type in ("application/json", FORM, "text/plain"):
        content = b"data=" + body if content_type == FORM else body
        replies = [
            server.request("POST", f"/api/{method}", sent, {"Content-Type": content_type})
            for sent in (content, content + SPACES)
        ]
        small, large = ((reply.status, dict(reply.headers) | VARYING, reply.body) for reply in replies)
        assert small == large or (method, body[-1:]) == ("ping", b":")  # where the text ends is told with its place
    head = b"POST /api/pause HTTP/1.1\r\n" + HOST + CLOSE + b"Origin: http://evil.example\r\n"
    (said,) = conversation(server, head + b"Content-Length: %d\r\n\r\n" % len(SPACES) + SPACES)
    assert said.status == 403


def test_a_long_poll_with_a_large_body_is_refused_and_holds_no_memory(server: ServerProcess) -> None:
    said = server.request("POST", "/api/await_work", b'{"worker":"w","seconds":30}' + SPACES, JSON_TYPE)
    assert said.status == 413 and b"await_work may have 512 KB" in said.body
    assert server.request("POST", "/api/await_work", b'{"worker":"w","seconds":0}', JSON_TYPE).status == 200


def test_a_large_call_keeps_no_other_waiting(own_redis: RedisProcess, start_server: Start) -> None:
    """50 ms on a quiet machine; a tenth of a second and more, where others use its processors, is no news."""
    server = start_server("--redis", own_redis.url, "--namespace", "large").await_ready()
    server.call("get_work", worker="w", current_tasks=[])
    slow = b'{"worker":"w","x":[' + b"[]," * (MAX_BODY_BYTES // by_night(8, 16)) + b"1]}"  # seconds of work
    ids = [f"Task_{number}_2026_01_01" for number in range(by_night(500_000, 250_000))]
    named = json.dumps({"worker": "w", "current_tasks": ids}).encode()
    for body, method in ((slow, "ping"), (named, "get_work")):
        answered: list[int] = []

        def ask(method: str = method, body: bytes = body, answered: list[int] = answered) -> None:
            answered.append(server.request("POST", f"/api/{method}", body, JSON_TYPE).status)

        thread = threading.Thread(target=ask)
        thread.start()
        longest = 0.0
        while thread.is_alive():
            began = time.monotonic()
            assert server.call("ping", worker="other") == {"rpc_messages": []}
            longest = max(longest, time.monotonic() - began)
        thread.join()
        assert answered == [200]
        assert longest < 1.0, "twice as large, it took 4 s for the one, 16 s for the other"


def test_tasks_that_run_are_found_among_very_many_that_a_worker_names(server: ServerProcess) -> None:
    for task_id in ("many-a", "many-b", "many-c"):
        server.call("add_task", worker="many", task_id=task_id, family="Many")
    handed = [server.call("get_work", worker="many")["task_id"] for _ in range(2)]
    others = [f"other-{number}" for number in range(50_000)]
    assert server.call("get_work", worker="many", current_tasks=[*others, *handed])["task_id"] == "many-c"
    lost = server.call("get_work", worker="many", current_tasks=[*others, handed[0], "many-c"])["task_id"]
    assert lost == handed[1], "its hand-out was lost on the way"


def test_the_process_for_large_calls_is_started_again_and_ends_with_the_server(
    own_redis: RedisProcess, start_server: Start
) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "helper").await_ready()
    assert helpers(server) == [], "it is not there before it is needed"
    big = b'{"worker":"w"}' + SPACES
    assert server.request("POST", "/api/ping", big, JSON_TYPE).status == 200
    (first,) = helpers(server)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not is_alive(first.pid), "it is gone")
    until(lambda: server.request("POST", "/api/ping", big, JSON_TYPE).status == 200, "another is there")
    (second,) = helpers(server)
    assert server.stop() == 0
    until(lambda: not is_alive(second.pid), "it has ended")


def test_it_ends_when_the_server_is_killed(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "helper").await_ready()
    assert server.request("POST", "/api/ping", b'{"worker":"w"}' + SPACES, JSON_TYPE).status == 200
    (helper,) = helpers(server)
    assert own_redis.url not in " ".join(helper.cmdline()), "the URL may hold a password"
    server.process.kill()
    until(lambda: not is_alive(helper.pid), "it has ended")


def test_a_large_call_in_flight_is_answered_by_a_server_that_ends(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "helper").await_ready()
    slow = b'{"worker":"w","x":[' + b"[]," * (MAX_BODY_BYTES // 32) + b"1]}"
    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(server.request("POST", "/api/ping", slow, JSON_TYPE).status)
    )
    thread.start()
    until(lambda: any(map(ignores_sigterm, helpers(server))), "its body has come whole, and the process is there")
    for process in [*helpers(server), psutil.Process(server.process.pid)]:
        process.send_signal(signal.SIGTERM)  # as systemd does
    assert server.wait() == 0
    thread.join(20)
    assert statuses == [200]

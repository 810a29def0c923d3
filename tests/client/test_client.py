"""RemoteScheduler: what goes over the wire, what is tried again, and what never shows."""

from __future__ import annotations

import json
import logging
import os
import pickle
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner

from broker_sched import (
    InvalidArgument,
    LoginRefused,
    Refused,
    RemoteScheduler,
    RPCError,
    Scheduler,
    UnknownMethod,
)
from broker_sched.client.transport import form_value
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.errors import ConfigurationError
from bsched.main import cli
from tests.client.script import Script
from tests.harness import RedisProcess, ServerProcess

OK = (200, b'{"response": {"rpc_messages": []}}')


def client(at: Script, login: str = "", path: str = "", **options: Any) -> RemoteScheduler:
    return RemoteScheduler(f"http://{login}127.0.0.1:{at.port}{path}", **{"wait_seconds": 0.01, **options})


def test_a_call_is_a_form_with_json_in_data(script: Callable[..., Script]) -> None:
    server = script(OK)
    assert client(server).ping(worker="w") == {"rpc_messages": []}
    path, headers, data = server.seen[0]
    assert (path, data) == ("/api/ping", {"worker": "w"})
    assert headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_method_of_ours_is_called_with_json_as_it_is(script: Callable[..., Script]) -> None:
    """A luigid, which knows forms only, has no such method anyway."""
    server = script((200, b'{"response": {"superseded": {}, "work": []}}'))
    client(server).exchange(worker="w %", wanted=2)
    path, headers, data = server.seen[0]
    assert (path, data) == ("/api/exchange", {"worker": "w %", "wanted": 2})
    assert headers["content-type"] == "application/json"


def test_a_form_is_encoded_as_the_standard_library_does() -> None:
    every = "".join(map(chr, range(32, 128))) * 2 + json.dumps("ä\n%41+&=")
    assert form_value(every) == quote_plus(every)


def test_a_path_prefix_and_a_final_slash_are_kept_right(script: Callable[..., Script]) -> None:
    server = script(OK)
    client(server, path="/luigi/").ping(worker="w")
    assert server.seen[0][0] == "/luigi/api/ping"


def test_the_login_goes_as_basic_and_shows_nowhere(
    script: Callable[..., Script], caplog: pytest.LogCaptureFixture
) -> None:
    server = script((500, b"broken"))
    remote = client(server, "etl:s3cr%40t@")
    with caplog.at_level(logging.DEBUG), pytest.raises(RPCError) as raised:
        remote.is_paused()
    assert server.seen[0][1]["authorization"] == "Basic ZXRsOnMzY3JAdA=="
    assert "s3cr" not in caplog.text + str(raised.value) + repr(remote)


@pytest.mark.parametrize("failure", [(503, b"later"), (502, b"<html>"), None, (200, b"not JSON"), (200, b"{}")])
def test_what_may_pass_is_tried_again_and_logged(
    script: Callable[..., Script], failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = script(failure, failure, (200, b'{"response": {"paused": true}}'))
    assert client(server).is_paused() == {"paused": True}
    assert len(server.seen) == 3
    assert "attempt 1 of 3" in caplog.text and "attempt 2 of 3" in caplog.text


def test_after_the_last_attempt_the_error_says_what_and_why(script: Callable[..., Script]) -> None:
    server = script((503, b'{"error": {"type": "RedisUnavailable", "message": "Redis is away"}}'))
    with pytest.raises(RPCError, match=r"is_paused failed after 2 attempt.*Redis is away") as raised:
        client(server, attempts=2).is_paused()
    assert len(server.seen) == 2
    assert raised.value.__cause__ is not None


def test_nobody_listening_is_told_so() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(RPCError, match="refused"):
        RemoteScheduler(f"http://127.0.0.1:{port}", attempts=1).is_paused()


def test_a_ping_is_tried_once(script: Callable[..., Script]) -> None:
    server = script((503, b"later"))
    with pytest.raises(RPCError):
        client(server).ping(worker="w")
    assert len(server.seen) == 1


def test_work_is_never_null(script: Callable[..., Script]) -> None:
    server = script((200, b'{"response": null}'))
    with pytest.raises(RPCError, match="null"):
        client(server).get_work(worker="w")
    assert len(server.seen) == 3


def test_other_methods_may_answer_null(script: Callable[..., Script]) -> None:
    assert client(script((200, b'{"response": null}'))).pause() is None


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((400, b'{"error": {"message": "worker: is empty", "field": "worker"}}'), InvalidArgument, "worker: is empty"),
        ((400, b"<html>Bad Request</html>"), Refused, "Bad Request"),
        ((401, b""), LoginRefused, "login"),
        ((403, b'{"error": {"message": "not from there"}}'), LoginRefused, "not from there"),
        ((404, b"404 page not found"), Refused, "no scheduler at .* Look at the URL"),
        ((301, b""), Refused, "redirects to elsewhere .*Look at the URL"),
        ((405, b""), Refused, "it does not say why"),
        ((413, b"<html>Request Entity Too Large</html>"), Refused, "Too Large"),
        ((415, b'{"error": {"message": "no form"}}'), Refused, "no form"),
    ],
)
def test_what_the_server_refuses_is_tried_once(
    script: Callable[..., Script], answer: Any, error: type[Exception], message: str
) -> None:
    server = script(answer)
    with pytest.raises(error, match=message):
        client(server).is_paused()
    assert len(server.seen) == 1


def test_a_scheduler_without_a_method_of_ours_says_so_at_once(script: Callable[..., Script]) -> None:
    server = script((404, b"<html>Not Found</html>"), (200, b'{"response": {}}'), (404, b"<html>Not Found</html>"))
    remote = client(server)
    for _ in range(2):
        with pytest.raises(UnknownMethod, match=r"The server at http.* has no method 'add_tasks': it is a luigid"):
            remote.add_tasks(worker="w", tasks=[])
    assert [path for path, _, _ in server.seen] == ["/api/add_tasks", "/api/is_paused", "/api/add_tasks"]


def test_work_is_resumed_at_a_luigid_which_pauses_no_families(script: Callable[..., Script]) -> None:
    replies = (b'{"response": {"enabled": true}}', b'{"response": null}', b'{"response": {"paused": false}}')
    server = script(*((200, reply) for reply in replies), (404, b"<html>Not Found</html>"), (200, b'{"response": {}}'))
    shown = CliRunner().invoke(cli, ["resume", "--scheduler-url", f"http://127.0.0.1:{server.port}"])
    assert (shown.exit_code, shown.stdout) == (0, "Work is handed out again.\n"), shown.output
    assert [path for path, _, _ in server.seen][:4] == [
        "/api/is_pause_enabled",
        "/api/unpause",
        "/api/is_paused",
        "/api/overview",
    ]


def test_a_url_without_any_method_is_not_taken_for_an_old_scheduler(script: Callable[..., Script]) -> None:
    server = script((404, b"<html>Not Found</html>"))
    with pytest.raises(Refused, match="There is no scheduler at"):
        client(server).add_tasks(worker="w", tasks=[])


@pytest.mark.parametrize("away", [(404, b"404 page not found"), (302, b"")])
def test_a_proxy_whose_server_is_away_is_tried_again(script: Callable[..., Script], away: tuple[int, bytes]) -> None:
    """It may say 404 to anything, once there was a scheduler."""
    there = (200, b'{"response": {"paused": false}}')
    remote = client(script(there, away, there))
    assert [remote.is_paused() for _ in range(2)] == [{"paused": False}] * 2


def test_what_is_nested_too_deeply_to_be_sent_is_refused_by_name(script: Callable[..., Script]) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidArgument, match="response"):
        client(script(OK)).add_scheduler_message_response(task_id="t", message_id="m", response=deep)


def test_defaults_are_not_sent(script: Callable[..., Script]) -> None:
    server = script((200, b'{"response": null}'))
    client(server).add_task(worker="w", task_id="t", status="PENDING", priority=0, runnable=True, expl=None)
    assert server.seen[0][2] == {"worker": "w", "task_id": "t"}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda remote: remote.add_task(worker="w"), "task_id"),
        (lambda remote: remote.add_task(worker="w", task_id="t", params={"x": object()}), "params"),
        (lambda remote: remote.is_paused(colour="red"), "colour"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(
    script: Callable[..., Script], call: Callable[[RemoteScheduler], Any], field: str
) -> None:
    server = script(OK)
    with pytest.raises(InvalidArgument, match=field):
        call(client(server))
    assert server.seen == []


@pytest.mark.parametrize("url", ["localhost:8082", "ftp://x/", "http://", "http://host:port/"])
def test_a_url_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError):
        RemoteScheduler(url)


def test_it_can_be_pickled_and_used_by_many_threads(server: ServerProcess) -> None:
    remote = pickle.loads(pickle.dumps(RemoteScheduler(server.url, wait_seconds=0.1)))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(remote.is_paused())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"paused": False}] * 8


def test_a_fork_has_connections_of_its_own(server: ServerProcess) -> None:
    remote = RemoteScheduler(server.url)
    remote.is_paused()
    child = os.fork()
    if child == 0:
        try:
            answers = [remote.is_paused() for _ in range(20)]
            os._exit(0 if answers == [{"paused": False}] * 20 else 1)
        finally:  # an exception must not make it a second runner of the tests
            os._exit(2)
    assert [remote.is_paused() for _ in range(20)] == [{"paused": False}] * 20
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_unix_socket_is_reached(
    start_server: Callable[..., ServerProcess], own_redis: RedisProcess, tmp_path: Path
) -> None:
    path = str(tmp_path / "s.sock")
    start_server("--redis", own_redis.url, "--unix-socket", path).await_ready()
    assert RemoteScheduler(f"http+unix://{quote(path, safe='')}/").is_paused() == {"paused": False}


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("add_worker", {"worker": "w", "info": [("workers", 2)]}),
    ("add_task_batcher", {"worker": "w", "task_family": "F", "batched_args": ["x"]}),
    ("update_resources", {"db": 2}),
    ("update_resource", {"resource": "db", "amount": 3}),
    ("add_task", {"worker": "w", "task_id": "a", "family": "F", "params": {"x": "ü"}, "resources": {"db": 1}}),
    ("add_task", {"worker": "w", "task_id": "b", "deps": ["a"], "priority": 2.5}),
    ("count_pending", {"worker": "w"}),
    ("get_work", {"worker": "w", "current_tasks": []}),
    ("set_task_status_message", {"task_id": "a", "status_message": "half"}),
    ("get_task_status_message", {"task_id": "a"}),
    ("set_task_progress_percentage", {"task_id": "a", "progress_percentage": 50}),
    ("get_task_progress_percentage", {"task_id": "a"}),
    ("get_running_task_resources", {"task_id": "a"}),
    ("decrease_running_task_resources", {"task_id": "a", "decrease_resources": {"db": 1}}),
    ("add_task", {"worker": "w", "task_id": "a", "status": "FAILED", "expl": "why"}),
    ("fetch_error", {"task_id": "a"}),
    ("forgive_failures", {"task_id": "a"}),
    ("mark_as_done", {"task_id": "a"}),
    ("re_enable_task", {"task_id": "a"}),
    ("task_search", {"task_str": "nothing"}),
    ("set_worker_processes", {"worker": "w", "n": 3}),
    ("ping", {"worker": "w"}),
    ("get_scheduler_message_response", {"task_id": "a", "message_id": "m"}),
    ("add_scheduler_message_response", {"task_id": "a", "message_id": "m", "response": "r"}),
    ("announce_scheduling_failure", {"task_name": "a", "family": "F", "params": {}, "expl": "", "owners": []}),
    ("report_task_statistics", {"task_id": "a", "statistics": {}}),
    ("disable_worker", {"worker": "w"}),
    ("pause", {}),
    ("is_paused", {}),
    ("unpause", {}),
    ("is_pause_enabled", {}),
    ("has_task_history", {}),
    ("prune", {}),
    ("add_task", {"worker": "w", "task_id": "logged"}),
    ("set_task_log", {"task_id": "logged", "log": "line\n", "size": 9}),
    ("task_log", {"task_id": "logged"}),
    ("task_log", {"task_id": "unknown"}),
    ("submission", {"submission": "unknown"}),
    ("submission_list", {}),
    ("cancel_submission", {"submission": "unknown"}),
]


def test_every_call_gives_what_the_scheduler_itself_gives(server: ServerProcess, own_redis: RedisProcess) -> None:
    own_redis.client.flushall()
    remote, direct = RemoteScheduler(server.url), Scheduler(own_redis.url, "direct", prune_interval_seconds=None)
    for name, arguments in CALLS:
        replies = [getattr(each, name)(**arguments) for each in (remote, direct)]
        if name == "get_work":  # numbers of hand-outs grow with the time
            assert all(reply.pop("attempt") for reply in replies)
        assert replies[0] == replies[1], name
    assert {name for name, _ in CALLS} <= set(METHODS)


@pytest.mark.parametrize(
    "url",
    ["http://user:geheim#x@host:8082/", "http://user:geheim/x@host/", "http://user:geheim@ho\u2100st/", "http://[::1/"],
)
def test_a_url_that_cannot_be_read_is_explained_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RemoteScheduler(url)
    assert "geheim" not in str(caught.value)
    assert "%2F" in str(caught.value)


def test_a_kept_connection_that_the_server_has_closed_is_replaced() -> None:
    class Closing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 0.2  # idle

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"response": null}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    closed = threading.Semaphore(0)

    class Server(ThreadingHTTPServer):
        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request)
            closed.release()

    server = Server(("127.0.0.1", 0), Closing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    remote = RemoteScheduler(f"http://127.0.0.1:{server.server_port}", attempts=1)
    for _ in range(2):
        remote.pause()
        assert closed.acquire(timeout=20)
    server.shutdown()
    server.server_close()

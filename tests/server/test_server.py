"""A real server: starting, stopping, and what it does while Redis comes and goes."""

from __future__ import annotations

import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import RedisProcess, ServerProcess
from tests.servers import until

Start = Callable[..., ServerProcess]


def test_ready_line_names_address_namespace_and_redis(server: ServerProcess, own_redis: RedisProcess) -> None:
    assert server.ready_line.startswith("bsched server: listening on http://127.0.0.1:")
    assert "namespace shared, Redis " in server.ready_line
    assert str(own_redis.port) in server.ready_line
    assert not server.url.endswith(":0")


def test_healthy_server_is_alive_and_ready(server: ServerProcess) -> None:
    assert server.request("GET", "/healthz").status == 200
    reply = server.request("GET", "/readyz")
    assert (reply.status, reply.json()) == (200, {"ready": True})


def test_two_servers_on_one_redis_are_one_scheduler(own_redis: RedisProcess, start_server: Start) -> None:
    first = start_server("--redis", own_redis.url, "--namespace", "two").await_ready()
    second = start_server("--redis", own_redis.url, "--namespace", "two").await_ready()
    first.call("add_task", worker="w1", task_id="t1", family="T")
    assert second.call("get_work", worker="w1")["task_id"] == "t1"
    assert first.call("get_work", worker="w1")["task_id"] is None


def test_namespaces_on_one_redis_never_meet(own_redis: RedisProcess, start_server: Start) -> None:
    other = start_server("--redis", own_redis.url, "--namespace", "other").await_ready()
    other.call("add_task", worker="w1", task_id="t1", family="T")
    third = start_server("--redis", own_redis.url, "--namespace", "third").await_ready()
    assert third.call("task_list") == {}


def test_options_come_from_the_command_line_and_the_environment(own_redis: RedisProcess, start_server: Start) -> None:
    start_server(
        *("--redis", own_redis.url, "--namespace", "options", "--set", "retry_delay=5"),
        *("--set", "resources.db=3", "--set", "resources.gpu=0.5"),
        environment={"BSCHED_RETRY_DELAY": "7", "BSCHED_REMOVE_DELAY": "8", "BSCHED_PAUSE_ENABLED": "no"},
    ).await_ready()
    config = own_redis.client.hgetall("bsched:{options}:config")
    assert {name: config[name] for name in ("retry_delay", "remove_delay", "pause_enabled")} == {
        "retry_delay": "5.0",
        "remove_delay": "8.0",
        "pause_enabled": "0",
    }
    assert own_redis.client.hgetall("bsched:{options}:resources") == {"db": "3", "gpu": "0.5"}


def test_silent_worker_is_pruned_without_any_call(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server(
        "--redis", own_redis.url, "--namespace", "pruning", "--set", "worker_disconnect_delay=0.1"
    ).await_ready()
    server.call("add_task", worker="w1", task_id="t1", family="T")
    server.call("get_work", worker="w1")
    until(lambda: own_redis.client.zcard("bsched:{pruning}:tasks:FAILED:T") == 1, "the dead worker's task failed")


def test_sigterm_finishes_the_request_in_flight(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "sigterm").await_ready()
    port = int(server.url.rpartition(":")[2])
    body = b'{"worker": "w1"}'
    with socket.create_connection(("127.0.0.1", port), timeout=20) as half:
        half.sendall(
            b"POST /api/ping HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        assert half.recv(1000).startswith(b"HTTP/1.1 100")  # so the server has the request in its hands
        server.process.terminate()
        until(lambda: not _accepts(port), "the server accepts nothing new")
        half.sendall(body)
        reply = b""
        while not reply.endswith(b'{"response":{"rpc_messages":[]}}'):
            received = half.recv(1000)
            assert received, reply
            reply += received
    assert server.wait() == 0


def test_two_signals_at_once_wait_for_nobody(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "urgent").await_ready()
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as half:
        half.sendall(b"POST /api/ping HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert half.recv(1000).startswith(b"HTTP/1.1 100")
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0  # which waits less than the 30 s that one signal leaves for the rest


def test_sigint_ends_an_idle_server_with_exit_code_0(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "sigint").await_ready()
    server.process.send_signal(2)
    assert server.wait() == 0
    assert server.said == []


def test_killed_redis_gives_503_and_recovery_needs_no_restart(mortal_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", mortal_redis.url, "--set", "retry_delay=5").await_ready()
    server.call("add_task", worker="w1", task_id="t1", family="T")
    mortal_redis.kill()
    reply = server.post("ping", '{"worker": "w1"}')
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert reply.json()["error"]["type"] == "RedisUnavailable"
    assert server.request("GET", "/healthz").status == 200
    assert server.request("GET", "/readyz").status == 503
    mortal_redis.start()  # empty
    server.call("add_task", worker="w1", task_id="t2", family="T")
    assert server.call("get_work", worker="w1")["task_id"] == "t2"
    assert mortal_redis.client.hget("bsched:{default}:config", "retry_delay") == "5.0"
    assert server.request("GET", "/readyz").status == 200


def test_short_absence_of_redis_is_not_noticed(mortal_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", mortal_redis.url).await_ready()
    server.call("ping", worker="w1")
    mortal_redis.kill()
    mortal_redis.start()
    assert server.call("ping", worker="w1") == {"rpc_messages": []}


def test_server_starts_without_redis_and_serves_once_it_is_there(
    mortal_redis: RedisProcess, start_server: Start
) -> None:
    mortal_redis.kill()
    server = start_server("--redis", mortal_redis.url).await_ready()
    assert server.request("GET", "/readyz").status == 503
    assert any("503 until Redis" in line for line in server.said)
    mortal_redis.start()
    assert server.call("ping", worker="w1") == {"rpc_messages": []}
    assert server.request("GET", "/readyz").status == 200


def test_lasting_failure_to_prune_is_logged_once(mortal_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", mortal_redis.url).await_ready()
    mortal_redis.kill()
    until(lambda: _told(server, "Pruning failed"), "the failure is logged")
    assert server.post("ping", '{"worker": "w1"}').status == 503  # takes as long as the timer's own next try
    assert server.post("ping", '{"worker": "w1"}').status == 503
    mortal_redis.start()
    until(lambda: _told(server, "Pruning works again"), "the recovery is logged")
    assert len([line for line in server.said if "Prun" in line]) == 2


def test_script_flush_is_not_noticed(server: ServerProcess, own_redis: RedisProcess) -> None:
    own_redis.client.script_flush()
    assert server.call("ping", worker="w1") == {"rpc_messages": []}


def test_flushall_starts_the_namespace_anew(mortal_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", mortal_redis.url).await_ready()
    server.call("add_task", worker="w1", task_id="t1", family="T")
    mortal_redis.client.flushall()
    assert server.call("task_list") == {}
    server.call("add_task", worker="w1", task_id="t1", family="T")
    assert list(server.call("task_list")) == ["t1"]


def test_another_schema_version_refuses_to_start(own_redis: RedisProcess, start_server: Start) -> None:
    own_redis.client.hset("bsched:{newer}:config", "schema", "99")
    server = start_server("--redis", own_redis.url, "--namespace", "newer")
    assert server.wait() == 1
    assert len(server.said) == 1
    assert "schema version 99" in server.said[0]


def test_schema_that_changes_under_the_server_is_503(own_redis: RedisProcess, start_server: Start) -> None:
    server = start_server("--redis", own_redis.url, "--namespace", "changing").await_ready()
    own_redis.client.hset("bsched:{changing}:config", "schema", "99")
    reply = server.post("ping", '{"worker": "w1"}')
    assert (reply.status, reply.json()["error"]["type"]) == (503, "SchemaMismatch")
    reply = server.request("GET", "/readyz")
    assert (reply.status, "schema version 99" in reply.json()["reason"]) == (503, True)


def test_unix_socket_serves_its_group_and_goes_with_the_server(
    own_redis: RedisProcess, start_server: Start, tmp_path: Path
) -> None:
    path = tmp_path / "bsched.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))  # as a killed server leaves it
    server = start_server("--redis", own_redis.url, "--unix-socket", str(path)).await_ready()
    assert server.call("ping", worker="w1") == {"rpc_messages": []}
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert server.stop() == 0
    assert not path.exists()


def test_unix_socket_in_use_is_left_alone(own_redis: RedisProcess, start_server: Start, tmp_path: Path) -> None:
    path = tmp_path / "bsched.sock"
    first = start_server("--redis", own_redis.url, "--unix-socket", str(path)).await_ready()
    second = start_server("--redis", own_redis.url, "--unix-socket", str(path))
    assert second.wait() == 2
    assert "Another process listens" in second.said[0]
    assert first.call("ping", worker="w1") == {"rpc_messages": []}


def test_file_that_is_no_socket_is_left_alone(own_redis: RedisProcess, start_server: Start, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    server = start_server("--redis", own_redis.url, "--unix-socket", str(path))
    assert server.wait() == 2
    assert path.read_text() == "data"


def test_port_in_use_is_one_clear_line(server: ServerProcess, own_redis: RedisProcess, start_server: Start) -> None:
    port = server.url.rpartition(":")[2]
    second = start_server("--redis", own_redis.url, "--port", port)
    assert second.wait() == 2
    assert second.said == [f"Error: Port {port} on 127.0.0.1 is in use. Choose another with --port."]


def test_no_password_and_no_data_is_logged(start_server: Start, tmp_path: Path) -> None:
    redis = RedisProcess(tmp_path, password="geheim123")
    try:
        server = start_server("--redis", redis.url, "--log-level", "debug").await_ready()
        server.call("add_task", worker="w1", task_id="t1", params={"token": "secret456"})
        server.request("GET", '/api/ping?data={"worker":"secret456"}')
        server.request("GET", "/api/ping", headers={"Authorization": "Basic secret456"})
        redis.kill()
        assert server.post("ping", '{"worker": "secret456"}').status == 503
        until(lambda: _told(server, "Pruning failed"), "the failure is logged")
        assert server.stop() == 0
        said = "\n".join([server.ready_line, *server.said])
        assert "POST /api/add_task 200" in said
        assert "geheim123" not in said
        assert "secret456" not in said
    finally:
        redis.kill()


def test_wrong_password_is_told_without_it(start_server: Start, tmp_path: Path) -> None:
    redis = RedisProcess(tmp_path, password="geheim123")
    try:
        server = start_server("--redis", f"redis://:falsch99@127.0.0.1:{redis.port}").await_ready()
        reply = server.request("GET", "/readyz")
        assert reply.status == 503
        assert "refuses" in reply.json()["reason"]
        assert "falsch99" not in "".join(server.said)
    finally:
        redis.kill()


def test_listings_have_a_connection_of_their_own(server: ServerProcess, own_redis: RedisProcess) -> None:
    server.call("task_list")

    def ours() -> tuple[int, int]:
        names = [client["name"] for client in own_redis.client.client_list()]
        return names.count("bsched-calls"), names.count("bsched-views")

    until(lambda: ours() == (1, 1), "each has one, and those of servers that have ended are gone")


@pytest.mark.parametrize("arguments", [["--set", "nonsense=1"], ["--set", "retry_delay"], ["--namespace", "a b"]])
def test_wrong_options_are_usage_errors(start_server: Start, arguments: list[str]) -> None:
    server = start_server("--redis", "memory:", *arguments)
    assert server.wait() == 2
    assert "Traceback" not in "".join(server.said)


def test_memory_serves_in_process(start_server: Start) -> None:
    server = start_server("--redis", "memory:").await_ready()
    server.call("add_task", worker="w1", task_id="t1", family="T")
    assert server.call("get_work", worker="w1")["task_id"] == "t1"
    assert list(server.call("task_list", status="RUNNING")) == ["t1"]
    assert server.request("GET", "/readyz").status == 200


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _told(server: ServerProcess, text: str) -> bool:
    return any(text in line for line in server.said)

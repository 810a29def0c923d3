"""A request has an id, by which the client's log, the server's log, the answer and Redis tell of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from broker_sched import RemoteScheduler, RPCError, Scheduler
from broker_sched.contract.request_ids import NAME_HEADER, is_name
from broker_sched.log_lines import with_fields
from tests.harness import RedisProcess, Reply, ServerProcess
from tests.servers import until

ECHO = NAME_HEADER.lower()


@pytest.fixture(scope="module")
def logging_server(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    place = ("--redis", own_redis.url, "--namespace", "named")
    process = ServerProcess(*place, "--log-format", "json", "--log-level", "debug").await_ready()
    yield process
    assert process.stop() == 0


def ask(server: ServerProcess, method: str, name: str | None = None, **arguments: object) -> Reply:
    headers = {"Content-Type": "application/json", **({} if name is None else {NAME_HEADER: name})}
    return server.request("POST", f"/api/{method}", json.dumps(arguments).encode(), headers)


def slowlog(redis: RedisProcess) -> list[str]:
    return [str(each["command"]) for each in redis.client.slowlog_get(50)]


def test_the_id_that_a_client_chose_is_in_the_answer_in_the_servers_log_and_in_redis(
    logging_server: ServerProcess, own_redis: RedisProcess
) -> None:
    own_redis.client.config_set("slowlog-log-slower-than", 0)
    reply = ask(logging_server, "add_task", "my-request/1", worker="w", task_id="a", params={"p": "secret"})
    assert (reply.status, reply.headers[ECHO]) == (200, "my-request/1")
    assert any("bsched:{named}:nothing:my-request/1" in each for each in slowlog(own_redis))

    def logged() -> list[str]:
        return [each for each in logging_server.said if json.loads(each).get("request_id") == "my-request/1"]

    until(logged, "the server's line about it")
    assert "secret" not in "".join(logging_server.said)


def test_a_call_that_works_and_was_not_named_gets_no_id(logging_server: ServerProcess, own_redis: RedisProcess) -> None:
    own_redis.client.config_set("slowlog-log-slower-than", 0)
    own_redis.client.slowlog_reset()
    assert ECHO not in ask(logging_server, "add_task", worker="w", task_id="b").headers
    assert any("EVALSHA" in each for each in slowlog(own_redis))
    assert not any("nothing:" in each for each in slowlog(own_redis))


@pytest.mark.parametrize("name", [None, "", "x" * 129, "a b", "a\tb", "ä", '"', "{other}"])
def test_a_call_that_fails_gets_one_also_in_place_of_one_that_no_log_can_have(
    logging_server: ServerProcess, name: str | None
) -> None:
    reply = ask(logging_server, "add_task", name, worker=1)
    assert reply.status == 400
    assert is_name(reply.headers[ECHO])
    assert reply.headers[ECHO] != name


@pytest.mark.parametrize("path", ["/api/no_such_method", "/nowhere"])
def test_an_error_names_the_request_as_its_client_did(logging_server: ServerProcess, path: str) -> None:
    assert logging_server.request("GET", path, headers={NAME_HEADER: "mine"}).headers[ECHO] == "mine"


def test_a_large_call_keeps_its_id_in_the_process_that_carries_it_out(logging_server: ServerProcess) -> None:
    reply = ask(logging_server, "add_task", "large", worker="w", task_id="c", params={"p": "x" * 600_000})
    assert (reply.status, reply.headers[ECHO]) == (200, "large")


def test_our_client_names_what_its_log_names_and_its_errors_name_what_the_server_logged(
    logging_server: ServerProcess, own_redis: RedisProcess, mortal_redis: RedisProcess
) -> None:
    own_redis.client.config_set("slowlog-log-slower-than", 0)
    with RemoteScheduler(logging_server.url, attempts=1) as remote, with_fields(request_id="from-the-client"):
        remote.add_task(worker="w", task_id="d")
    assert any("nothing:from-the-client" in each for each in slowlog(own_redis))
    other = ServerProcess("--redis", mortal_redis.url, "--namespace", "named").await_ready()
    mortal_redis.kill()
    try:
        remote = RemoteScheduler(other.url, attempts=1)
        with remote, pytest.raises(RPCError, match=r"503 to request [0-9a-f.]+:\d+") as raised:
            remote.add_task(worker="w", task_id="e")
        assert remote._ids.client in str(raised.value), "the id that repetitions share"
    finally:
        other.stop()


def test_a_direct_call_is_named_likewise_in_redis(own_redis: RedisProcess) -> None:
    own_redis.client.config_set("slowlog-log-slower-than", 0)
    scheduler = Scheduler(own_redis.url, "named")
    with with_fields(request_id="direct:1"):
        scheduler.add_task(worker="w", task_id="f")
    with with_fields(request_id="no {name}"):
        scheduler.add_task(worker="w", task_id="g")
    assert any("nothing:direct:1" in each for each in slowlog(own_redis))
    assert not any("no {name}" in each for each in slowlog(own_redis))
    assert scheduler.verify() == []

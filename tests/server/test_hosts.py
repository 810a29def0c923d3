"""Under which names a server lets itself be asked: a page that has rebound its own name in DNS gets nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from broker_sched import RemoteScheduler
from broker_sched.errors import ConfigurationError
from broker_sched.server.hosts import HostRule, rule_for
from tests.harness import RedisProcess, ServerProcess
from tests.server.raw import CLOSE, conversation

Start = Callable[..., ServerProcess]
EVIL = ["evil.example", "evil.example:8082", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", "[::2]"]
EVIL += ["evil.example:127.0.0.1", "", "127.0.0.1@evil.example", "notlocalhost", "localhost[31m"]
OWN = ["localhost", "localhost:8082", "LOCALHOST", "localhost.", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:8082"]
OWN += ["here.localhost:8082", "0.0.0.0:8082", "[::ffff:127.0.0.1]"]


def scope(*hosts: bytes, version: str = "1.1", server: str = "127.0.0.1") -> dict[str, object]:
    return {"headers": [(b"host", host) for host in hosts], "http_version": version, "server": (server, 8082)}


@pytest.mark.parametrize("path", ["/", "/api/is_paused", "/api/pause", "/readyz", "/nowhere"])
@pytest.mark.parametrize("host", EVIL)
def test_a_foreign_name_gets_nothing_from_a_server_on_loopback(server: ServerProcess, host: str, path: str) -> None:
    reply = server.request("GET", path, headers={"Host": host})
    assert (reply.status, reply.json()["error"]["type"]) == (403, "WrongHost")
    assert b"--allow-host" in reply.body


@pytest.mark.parametrize("host", [*OWN, "scheduler.example", "Scheduler.Example:8082"])
def test_loopbacks_names_and_those_that_are_allowed_are_served(server: ServerProcess, host: str) -> None:
    assert server.request("GET", "/api/is_paused", headers={"Host": host}).status == 200


@pytest.mark.parametrize("path", [b"/healthz", b"/api/is_paused"])
def test_one_host_is_needed_and_no_more(server: ServerProcess, path: bytes) -> None:
    two = b"Host: localhost\r\nHost: localhost\r\n"
    for headers, status in ((b"", 400), (two, 400), (two.replace(b"\nHost: l", b"\nhost: L"), 400)):
        (said,) = conversation(server, b"GET " + path + b" HTTP/1.1\r\n" + headers + CLOSE + b"\r\n")
        assert said.status == status
    assert conversation(server, b"GET " + path + b" HTTP/1.0\r\n\r\n")[0].status == 200


def test_a_server_for_other_machines_takes_any_name_until_one_is_given(
    own_redis: RedisProcess, start_server: Start
) -> None:
    where = ("--redis", own_redis.url, "--host", "0.0.0.0", "--insecure")
    free = start_server(*where).await_ready()
    assert free.request("GET", "/healthz", headers={"Host": "any.example"}).status == 200
    strict = start_server(*where, environment={"BSCHED_ALLOW_HOST": "one.example two.example"}).await_ready()
    for host, status in (("one.example", 200), ("two.example:80", 200), ("10.1.2.3", 200), ("any.example", 403)):
        assert strict.request("GET", "/healthz", headers={"Host": host}).status == status


def test_a_unix_socket_is_asked_under_any_name(own_redis: RedisProcess, start_server: Start, tmp_path: Path) -> None:
    path = tmp_path / "bsched.sock"
    server = start_server("--redis", own_redis.url, "--unix-socket", str(path)).await_ready()
    assert server.request("GET", "/healthz", headers={"Host": "behind.a.proxy"}).status == 200
    with RemoteScheduler(f"http+unix://{str(path).replace('/', '%2F')}/") as scheduler:
        assert scheduler.is_paused() == {"paused": False}


def test_any_name_is_allowed_by_an_asterisk() -> None:
    assert rule_for("127.0.0.1", ["*"]).refusal(scope(b"evil.example")) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("host", EVIL)
def test_an_application_that_does_not_know_where_it_listens_checks_what_comes_in_at_loopback(host: str) -> None:
    rule = HostRule(["own.example"])
    for server in ("127.0.0.1", "::1"):
        assert rule.refusal(scope(host.encode(), server=server)) is not None  # type: ignore[arg-type]
        assert rule.refusal(scope(b"own.example", server=server)) is None  # type: ignore[arg-type]
    assert rule.refusal(scope(host.encode(), server="10.1.1.1")) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a b", "http://x", "x:80", "", "é"])
def test_a_name_that_no_host_header_can_say_is_refused(name: str, start_server: Start) -> None:
    with pytest.raises(ConfigurationError, match="--allow-host"):
        HostRule([name])

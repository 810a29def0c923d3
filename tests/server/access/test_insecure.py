"""A server that others can reach does not start before somebody has said who may ask, or that all may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from broker_sched.errors import ConfigurationError
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.serve import ServerConfig, _may_be_open
from tests.harness import RedisProcess, ServerProcess
from tests.server.access.asgi import basic, user_line

Start = Callable[..., ServerProcess]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_for_other_machines_refuses_to_start_and_says_what_to_do(start_server: Start, host: str) -> None:
    server = start_server("--host", host)
    assert server.wait() == 2
    told = " ".join(server.said)
    for word in ("everything", "bsched user add", "--users-file", "--insecure", "127.0.0.1"):
        assert word in told


@pytest.mark.parametrize("words", [("--insecure",), ()])
def test_one_that_is_told_so_starts(own_redis: RedisProcess, start_server: Start, words: tuple[str, ...]) -> None:
    environment = {} if words else {"BSCHED_INSECURE": "1"}
    server = start_server("--redis", own_redis.url, "--host", "0.0.0.0", *words, environment=environment).await_ready()
    assert server.request("GET", "/api/is_paused").status == 200


def test_with_users_it_starts_and_wants_a_login(own_redis: RedisProcess, start_server: Start, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(user_line("ann", "1", "viewer@*"))
    users.chmod(0o600)
    where = ("--redis", own_redis.url, "--host", "0.0.0.0", "--users-file", str(users))
    server = start_server(*where).await_ready()
    assert server.request("GET", "/api/is_paused").status == 401
    assert server.request("GET", "/api/is_paused", headers=basic("ann", "1")).status == 200


def test_a_broken_users_file_is_refused_at_the_start(start_server: Start, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("ann:1234:viewer@*\n")
    server = start_server("--users-file", str(tmp_path / "users"))
    assert server.wait() == 2
    assert "line 1: hash: that of ann" in " ".join(server.said) and "1234" not in " ".join(server.said)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", None])
def test_loopback_and_unix_sockets_need_no_users(address: str | None) -> None:
    assert _may_be_open(ServerConfig(), address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])
def test_any_other_address_does(address: str) -> None:
    with pytest.raises(ConfigurationError, match="--insecure"):
        _may_be_open(ServerConfig(), address)
    assert _may_be_open(ServerConfig(is_insecure=True), address)


def test_the_environment_says_it_for_other_asgi_servers(tmp_path: Path) -> None:
    given = {"BSCHED_USERS_FILE": "/users", "BSCHED_REQUIRE_LOGIN": "1", "BSCHED_INSECURE": "yes"}
    wanted = AccessConfig("/users", wants_login=True, is_open_to_all=True, viewer_sees="names")
    assert AccessConfig.from_environment({**given, "BSCHED_VIEWER_SEES": "names"}) == wanted
    assert AccessConfig.from_environment({}) == AccessConfig()
    for name in ("BSCHED_VIEWER_SEES", "BSCHED_INSECURE"):
        with pytest.raises(ConfigurationError, match=name):
            AccessConfig.from_environment({name: "perhaps"})

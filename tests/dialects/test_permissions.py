"""A user of Redis who may not run all that is needed is told what is missing, before a script breaks off half-way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from broker_sched import RedisUnavailable, Scheduler
from broker_sched.scheduler.redis_users import user_name
from tests.conftest import DEFAULT_KIND, REAL
from tests.harness import ServerProcess
from tests.nightly import by_night
from tests.redis_users import make_user
from tests.servers import RunningRedis, embedded_servers, free_port, until

USER = user_name("server", "default")
SAMPLE = ("TIME", "XADD", "HSET", "ZADD", "SET", "DEL", "SRANDMEMBER")


class Restricted(NamedTuple):
    """A Redis of the test's own, and a URL that logs in as the user of a server."""

    server: RunningRedis
    url: str

    def change(self, *rules: str) -> None:
        """What the user may do."""
        with self.server.client() as client:
            client.execute_command("ACL", "SETUSER", USER, *rules)

    def content(self) -> list[str]:
        with self.server.client() as client:
            return sorted(client.keys())


@pytest.fixture
def restricted(real_redis_kind: str, tmp_path: Path) -> Iterator[Restricted]:
    server = RunningRedis(embedded_servers()[real_redis_kind], tmp_path / "redis", free_port())
    yield Restricted(server, make_user(server.url, "server", "default"))
    server.kill()


@pytest.mark.parametrize("command", SAMPLE)
def test_a_scheduler_without_a_command_names_it_and_writes_nothing(restricted: Restricted, command: str) -> None:
    restricted.change(f"-{command.lower()}")
    with pytest.raises(RedisUnavailable, match=rf"Redis user {USER} may not run {command}\b.*\+{command.lower()}\b"):
        Scheduler(restricted.url)
    assert restricted.content() == []
    restricted.change(f"+{command.lower()}")
    Scheduler(restricted.url).close()


def test_who_may_load_no_script_is_refused_at_the_start_though_this_one_is_there(restricted: Restricted) -> None:
    Scheduler(restricted.url).close()
    restricted.change("-script")
    with pytest.raises(RedisUnavailable, match=rf"Redis user {USER} may not run SCRIPT(\|LOAD)?; .*bsched redis acl"):
        Scheduler(restricted.url)


def test_all_that_is_missing_is_named_at_once(restricted: Restricted) -> None:
    restricted.change("-time", "-zadd", "-xadd")
    with pytest.raises(RedisUnavailable, match=rf"{USER} may not run TIME, XADD, ZADD, .* \+time \+xadd \+zadd;"):
        Scheduler(restricted.url)


def test_a_server_without_a_command_is_not_ready_and_begins_no_call(restricted: Restricted) -> None:
    restricted.change("-xadd")
    server = ServerProcess("--redis", restricted.url).await_ready()
    try:
        reply = server.request("GET", "/readyz")
        assert reply.status == 503
        assert "may not run XADD" in reply.json()["reason"]
        refused = server.post("add_task", '{"worker": "w", "task_id": "a"}')
        assert refused.status == 503
        assert "may not run XADD" in refused.json()["error"]["message"]
        assert not [key for key in restricted.content() if "task" in key]
        restricted.change("+xadd")
        server.call("add_task", worker="w", task_id="a")
        assert server.request("GET", "/readyz").status == 200
    finally:
        server.stop()


def test_a_server_that_may_load_no_script_is_not_ready(restricted: Restricted) -> None:
    Scheduler(restricted.url).close()
    restricted.change("-script")
    server = ServerProcess("--redis", restricted.url).await_ready()
    try:
        reply = server.request("GET", "/readyz")
        assert reply.status == 503
        assert "may not run SCRIPT" in reply.json()["reason"]
    finally:
        server.stop()


@pytest.mark.parametrize("real_redis_kind", by_night(REAL, [DEFAULT_KIND]))  # each waits for ten seconds
def test_a_command_that_is_withdrawn_later_is_found_out_by_readyz(restricted: Restricted) -> None:
    server = ServerProcess("--redis", restricted.url).await_ready()
    try:
        assert server.request("GET", "/readyz").status == 200
        restricted.change("-srandmember")
        until(lambda: server.request("GET", "/readyz").status == 503, "it is found out", seconds=30)
        assert server.post("ping", '{"worker": "w"}').status == 503
    finally:
        server.stop()


def test_after_a_refusal_no_other_call_is_begun(restricted: Restricted) -> None:
    scheduler = Scheduler(restricted.url, prune_interval_seconds=None)
    restricted.change("-zadd")
    with pytest.raises(RedisUnavailable, match="NOPERM"):
        scheduler.add_task(worker="w", task_id="a")
    before = restricted.content()
    with pytest.raises(RedisUnavailable, match="may not run ZADD"):
        scheduler.add_task(worker="w", task_id="b")
    assert restricted.content() == before
    restricted.change("+zadd")
    scheduler.add_task(worker="w", task_id="b")


def test_without_the_keys_of_a_namespace_it_is_told(restricted: Restricted) -> None:
    restricted.change("resetkeys", "~bsched:{mine}:*")
    Scheduler(restricted.url, "mine").close()
    with pytest.raises(RedisUnavailable, match="NOPERM"):
        Scheduler(restricted.url, "other")

"""A user of Redis who may not run all that is needed is told what is missing, before a script breaks off half-way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from broker_sched import RedisUnavailable, Scheduler
from broker_sched.lua.loader import load, sources
from tests.conftest import DEFAULT_KIND, REAL
from tests.documents import ROOT
from tests.harness import ServerProcess
from tests.nightly import by_night
from tests.servers import RunningRedis, embedded_servers, free_port, until

# What we send outside scripts, and what for.
PLAIN = {
    "BLPOP": "a worker waits for work",
    "CLIENT|SETINFO": "redis-py names itself; not needed",
    "CLIENT|SETNAME": "a server names its connections; not needed",
    "EVALSHA": "every call",
    "INFO": "overview shows Redis's memory and persistence; not needed",
    "PING": "the embedded server is asked whether it answers",
    "ROLE": "whether this is the primary",
    "SCAN": "verify, and which namespaces there are",
    "SCRIPT|EXISTS": "/readyz",
    "SCRIPT|LOAD": "a script that Redis does not have yet",
    "SELECT": "a URL with a database number",
    "TYPE": "verify",
    "UNLINK": "bsched namespace delete; not needed by others",
    "XLEN": "verify",
    "XRANGE": "events",
    "XREVRANGE": "events and failures",
    "ZCOUNT": "how many tasks a listing has to look at",
}
NO_SCRIPT_CALLS = {
    "CLIENT|SETINFO",
    "CLIENT|SETNAME",
    "EVALSHA",
    "INFO",
    "PING",
    "ROLE",
    "SCRIPT|EXISTS",
    "SCRIPT|LOAD",
    "SELECT",
    "UNLINK",
}
SAMPLE = ("TIME", "XADD", "HSET", "ZADD", "SET", "DEL", "SRANDMEMBER")


def needed() -> list[str]:
    """Every command, those of the scripts as their sources have them."""
    called = {name for source in sources() for name in re.findall(r"\bcall\(\s*'([A-Z]+)'", source)}
    return sorted(called | set(PLAIN))


def rule() -> str:
    """The ACL rule for a user that may do what is needed and no more."""
    granted = " ".join(f"+{name.lower()}" for name in needed())
    return f"ACL SETUSER bsched on >PASSWORD resetkeys ~bsched:* resetchannels -@all {granted}"


class Restricted(NamedTuple):
    """A Redis of the test's own, and a URL that logs in as the user of the documentation."""

    server: RunningRedis
    url: str

    def change(self, *rules: str) -> None:
        """What the user may do."""
        with self.server.client() as client:
            client.execute_command("ACL", "SETUSER", "bsched", *rules)

    def content(self) -> list[str]:
        with self.server.client() as client:
            return sorted(client.keys())

    def refused(self) -> Any:
        """What Redis has refused this user so far."""
        with self.server.client() as client:
            return client.execute_command("ACL", "LOG")


@pytest.fixture
def restricted(real_redis_kind: str, tmp_path: Path) -> Iterator[Restricted]:
    server = RunningRedis(embedded_servers()[real_redis_kind], tmp_path / "redis", free_port())
    with server.client() as client:
        client.execute_command(*rule().split())
    yield Restricted(server, f"redis://bsched:PASSWORD@127.0.0.1:{server.port}")
    server.kill()


def test_every_command_of_the_scripts_is_tried() -> None:
    tried = set(re.findall(r"^  \{ '([A-Z]+)'", load("check_permissions").source, re.M)) | {"DEL"}
    called = set(needed()) - NO_SCRIPT_CALLS
    assert tried == called, f"lua/check_permissions.lua must try {called - tried}, and not {tried - called}"
    assert set(PLAIN) > NO_SCRIPT_CALLS


def test_the_rule_in_the_documentation_is_the_one_that_is_needed() -> None:
    said = (ROOT / "docs" / "operations.md").read_text()
    assert f"    {rule()}\n" in said, f"the rule there must be: {rule()}"


def use(scheduler: Any) -> None:
    """Calls of every kind, with all that they leave behind."""
    scheduler.update_resources(db=1)
    scheduler.add_worker("w", {"workers": 2})
    scheduler.add_task_batcher(worker="w", task_family="B", batched_args=["n"])
    for number in range(3):
        scheduler.add_task(worker="w", task_id=f"b{number}", family="B", params={"n": str(number)}, batchable=True)
    batch = scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="b", status="RUNNING", batch_id=batch["batch_id"])
    scheduler.add_task(worker="w", task_id="b", status="FAILED", expl="no")
    scheduler.add_task(worker="w", task_id="a", family="A", deps=["c", "d"], resources={"db": 1}, priority=3)
    scheduler.add_tasks(worker="w", tasks=[{"task_id": "c", "family": "C"}, {"task_id": "d", "status": "DONE"}])
    scheduler.add_task(worker="w", task_id="c", status="DONE")
    assert scheduler.get_work(worker="w", host="h", current_tasks=[])["task_id"] == "a"
    scheduler.set_task_status_message("a", "half")
    scheduler.set_task_progress_percentage("a", 50)
    scheduler.decrease_running_task_resources("a", {"db": 1})
    scheduler.send_scheduler_message("w", "a", "hello")
    scheduler.ping(worker="w")
    scheduler.add_task(worker="w", task_id="a", new_deps=["e"], status="PENDING")
    scheduler.add_task(worker="w", task_id="f", status="FAILED", retry_policy_dict={"retry_count": 1})
    scheduler.re_enable_task("f")
    scheduler.add_submission("w", ["a", "c"])
    scheduler.submission("w")
    scheduler.submission_list()
    scheduler.cancel_submission("w")
    scheduler.await_work(worker="x", assistant=True, seconds=0.1)
    scheduler.disable_worker("x")
    for view in ("graph", "task_list", "worker_list", "resource_list", "prune"):
        getattr(scheduler, view)()
    scheduler.task_search("a")
    scheduler.fetch_error("f")
    for look in ("overview", "families", "tasks", "failures", "workers"):
        getattr(scheduler, look)()
    scheduler.tasks(failed_since=1, updated_since=1)
    scheduler.task_details("a")
    scheduler.worker_details("w")
    scheduler.events(after=scheduler.events()["events"][0]["id"])


def test_the_user_of_the_documentation_may_do_all_that_is_done(restricted: Restricted) -> None:
    scheduler = Scheduler(restricted.url, remove_delay=0.01)
    use(scheduler)
    assert scheduler.verify() == []
    scheduler.close()
    server = ServerProcess("--redis", restricted.url, "--namespace", "served").await_ready()
    try:
        assert server.request("GET", "/readyz").status == 200
        server.call("add_task", worker="w", task_id="a")
        assert server.call("get_work", worker="w")["task_id"] == "a"
        server.call("await_work", worker="w", seconds=0.1)
        server.call("task_list")
    finally:
        server.stop()
    assert restricted.refused() == []


@pytest.mark.parametrize("command", SAMPLE)
def test_a_scheduler_without_a_command_names_it_and_writes_nothing(restricted: Restricted, command: str) -> None:
    restricted.change(f"-{command.lower()}")
    with pytest.raises(RedisUnavailable, match=rf"may not run {command}\b.*\+{command.lower()}\b"):
        Scheduler(restricted.url)
    assert restricted.content() == []
    restricted.change(f"+{command.lower()}")
    Scheduler(restricted.url).close()


def test_all_that_is_missing_is_named_at_once(restricted: Restricted) -> None:
    restricted.change("-time", "-zadd", "-xadd")
    with pytest.raises(RedisUnavailable, match=r"may not run TIME, XADD, ZADD, .* \+time \+xadd \+zadd;"):
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

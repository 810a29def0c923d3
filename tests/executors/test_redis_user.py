"""The user of Redis that `bsched redis acl --for rq` makes: enough for rq workers and their supervisors, and no more.

By night all tests of this folder run so: see tests/redis_users.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from broker_sched.scheduler.redis_users import rq_commands, rq_user_name
from tests.cli.commands import Bsched
from tests.dialects.test_redis_users import FOR_ALL, with_arguments
from tests.executors.conftest import RqFleet
from tests.executors.tasks import InDirectory, Waiting
from tests.redis_users import refused
from tests.servers import until


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[RqFleet]:
    """All that rq workers and supervisors do in RQ's Redis, they do as the user."""
    made = RqFleet(tmp_path, as_user=True)
    yield made
    made.end()


@pytest.mark.timeout(90)
def test_tasks_are_run_and_stopped_as_the_user(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = InDirectory(directory=str(tmp_path), name="one")
    assert small_fleet.run(task)
    assert small_fleet.status(task) == "DONE"
    waiting = Waiting(directory=str(tmp_path), name="waits")
    with small_fleet.while_running(waiting):
        until(lambda: small_fleet.status(waiting) == "RUNNING", "it runs")
        small_fleet.scheduler.stop_task(waiting.task_id)
        until(lambda: small_fleet.status(waiting) in ("FAILED", "DISABLED"), "it is stopped")
    mine = rq_user_name(small_fleet.namespace)
    assert [each for each in refused(small_fleet.url) if each.startswith(f"{mine}:")] == []


def test_the_user_reaches_no_scheduler(fleet: RqFleet) -> None:
    fleet.scheduler.ping(worker="w")
    with redis.Redis.from_url(fleet.rq_url) as client:
        client.exists("rq:queues")
        for key in (fleet.scheduler.namespace.key("config"), "anything"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.exists(key)
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.publish("rq:pubsub:x", "stop")  # which RQ itself does not survive, see docs/rq.md


def test_the_user_may_send_nothing_else(fleet: RqFleet) -> None:
    found = {}
    for name, about in fleet.client.command().items():
        inner = about.get("subcommands") or []
        named = {each[0].decode(): {"arity": each[1]} for each in inner}
        found.update(named or {name: about})
    granted, allowed = set(rq_commands()) | FOR_ALL, []
    for words in with_arguments(found):
        if words[0] in granted or "|".join(words[:2]) in granted:
            continue
        with redis.Redis.from_url(fleet.rq_url) as client:
            try:
                client.execute_command(words[0], *words[1:])
            except redis.exceptions.RedisError as error:
                if "NOPERM" in str(error) or "permission" in str(error) or "command not allowed" in str(error):
                    continue
            allowed.append(words)
    assert allowed == []


def test_it_is_printed_when_it_is_asked_for() -> None:
    on = Bsched()
    (told,) = on.json("redis", "acl", "--for", "rq", "--namespace", "etl")
    assert (told["for"], told["user"]) == ("rq", "bsched-etl-rq")
    assert told["command"].startswith("ACL SETUSER bsched-etl-rq reset on >PASSWORD ~rq:* resetchannels ")
    assert "rq" not in [each["for"] for each in on.json("redis", "acl")]

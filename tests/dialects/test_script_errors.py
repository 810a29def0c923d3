"""Each kind wraps what a script says in other words: it is understood all the same, and told with file and line."""

from __future__ import annotations

import re

import pytest

from broker_sched import Scheduler
from broker_sched.errors import SchemaMismatch, ScriptError
from tests.conftest import FakeClock, SchedulerFactory


def test_a_command_that_fails_is_told_with_the_script_and_by_real_servers_with_file_and_line(
    scheduler: Scheduler, redis_kind: str
) -> None:
    scheduler.add_task(worker="w", task_id="a")
    free = scheduler.namespace.key("resources")
    scheduler._client.set(free, "no hash")
    with pytest.raises(ScriptError, match=r"WRONGTYPE|wrong kind of value") as caught:
        scheduler.add_task(worker="w", task_id="b", resources={"db": 1})
        scheduler.get_work(worker="w")
    assert "A script failed in get_work.lua" in str(caught.value)
    assert redis_kind == "fakeredis" or re.search(r"lib/\w+/\w+\.lua:\d+", str(caught.value))
    scheduler._client.delete(free)


def test_a_deferred_step_that_fails_is_set_aside_with_its_error_and_stops_nobody(scheduler: Scheduler) -> None:
    scheduler._client.rpush(scheduler.namespace.key("deferred_steps"), "nonsense 1 2")
    scheduler.add_task(worker="w", task_id="a")
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    (difference,) = scheduler.verify(repair=True)
    assert difference.key == "failed_deferred_steps"
    assert "nonsense 1 2" in str(difference)


def test_another_schema_is_told_as_such(scheduler: Scheduler) -> None:
    scheduler._client.hset(scheduler.namespace.key("config"), "schema", "99")
    with pytest.raises(SchemaMismatch, match="99"):
        scheduler.add_task(worker="w", task_id="a")
    scheduler._client.delete(scheduler.namespace.key("config"))


def test_flushed_scripts_are_loaded_again(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler._client.script_flush()
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_namespace_that_was_removed_is_configured_anew(scheduler_factory: SchedulerFactory, clock: FakeClock) -> None:
    scheduler = scheduler_factory(retry_delay=7)
    client = scheduler._client
    client.delete(*client.scan_iter(match=f"{scheduler.namespace.prefix}*"))
    scheduler.add_task(worker="w", task_id="a")
    assert scheduler.config().retry_delay == 7

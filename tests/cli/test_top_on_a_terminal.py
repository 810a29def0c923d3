"""`bsched top` on a real terminal, of a real server and its tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from broker_sched import Scheduler
from tests.cli.top import Screen
from tests.harness import RedisProcess, ServerProcess
from tests.servers import until
from tests.terminals import on_terminal


@pytest.fixture
def scheduler(own_redis: RedisProcess) -> Iterator[Scheduler]:
    """A task that has failed, and one that waits for it."""
    own_redis.client.flushall()
    opened = Scheduler(own_redis.url, "top", prune_interval_seconds=None)
    opened.add_worker(worker="w1", info={"workers": 2})
    opened.add_task(worker="w1", task_id="Load_1", family="Load")
    opened.add_task(worker="w1", task_id="Report_1", family="Report", deps=["Load_1"])
    opened.get_work(worker="w1")
    opened.add_task(worker="w1", task_id="Load_1", status="FAILED", expl=json.dumps("Trace\nValueError: no"))
    yield opened
    opened.close()


def test_a_failure_is_retried_and_its_success_is_seen(scheduler: Scheduler, own_redis: RedisProcess) -> None:
    server = ServerProcess("--redis", own_redis.url, "--namespace", "top").await_ready()
    with on_terminal("top", "--scheduler-url", server.url, columns=120, lines=24) as child:
        screen = Screen(child)
        screen.await_words("top at http://", "Report")
        screen.press("5")
        screen.await_words("within the hour: 1", "ValueError: no")
        screen.press("r")  # all that failed so
        screen.await_words("Retry Load_1?")
        screen.press("y")
        until(lambda: scheduler.task_statuses(["Load_1"])["Load_1"]["status"] == "PENDING", "it is retried")
        screen.press("6")
        screen.await_words("RUNNING", "PENDING")
        assert scheduler.get_work(worker="w1")["task_id"] == "Load_1"
        scheduler.add_task(worker="w1", task_id="Load_1", status="DONE")
        screen.await_words("DONE 1")  # in the summary, without a key
        assert server.stop() == 0
        screen.await_words("Not reached, what is shown is old.")
        screen.press("q")
        assert screen.exit_code() == 0


def test_why_a_task_waits_is_told_straight_from_redis(scheduler: Scheduler, own_redis: RedisProcess) -> None:
    with on_terminal("top", "--redis", own_redis.url, "--namespace", "top", columns=120, lines=24) as child:
        screen = Screen(child)
        screen.await_words("top at Redis", "Report")
        screen.press("2/waiting\r")
        screen.await_words("1 shown, newest first", "Report()")
        screen.press("w")
        screen.await_words("esc closes", "Load_1")
        screen.press("q")
        screen.await_no("esc closes")
        screen.press("q")
        assert screen.exit_code() == 0

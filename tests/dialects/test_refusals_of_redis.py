"""A Redis that answers, and refuses, says so in the words of its kind: a call names the reason, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched import RedisUnavailable, Scheduler
from broker_sched.redis_backend.recovery import DIRECT
from broker_sched.scheduler import scheduler as module
from tests.refusing_redis import REFUSING
from tests.servers import RunningRedis, embedded_servers, free_port, until


@pytest.fixture
def own(real_redis_kind: str, tmp_path: Path) -> Iterator[RunningRedis]:
    """A server of the test's own that a test may make refuse."""
    server = RunningRedis(embedded_servers()[real_redis_kind], tmp_path / "redis", free_port())
    yield server
    server.kill()


CALLS: dict[str, Callable[[Any], Any]] = {
    "get_work": lambda scheduler: scheduler.get_work(worker="w"),
    "add_task": lambda scheduler: scheduler.add_task(worker="w", task_id="b"),
    "await_work": lambda scheduler: scheduler.await_work(worker="w", seconds=0.2),
    "ping": lambda scheduler: scheduler.ping(worker="w"),
}


@pytest.mark.parametrize("kind", REFUSING)
def test_an_answer_that_refuses_is_an_outage_with_its_name_and_then_all_goes_on(
    own: RunningRedis, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DIRECT", DIRECT._replace(first_wait_seconds=0.01))
    scheduler = Scheduler(own.url)
    scheduler.add_task(worker="w", task_id="a")
    accept = REFUSING[kind](own.client())
    for name, call in CALLS.items():
        scheduler._next_prune = 0.0  # so that get_work begins with a plain command
        with pytest.raises(RedisUnavailable, match=kind):
            call(scheduler)
            pytest.fail(f"{name} was served")
    accept()
    until(lambda: own.client().ping(), "it serves again")
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    assert scheduler.verify() == []
    scheduler.close()

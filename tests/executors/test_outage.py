"""RQ's Redis goes away while a task runs, and comes back with what it held."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from broker_sched.errors import EngineUnavailable
from broker_sched.worker.executors.rq import job
from broker_sched.worker.executors.rq.engine import RqEngine
from tests.conftest import running
from tests.executors.conftest import RqFleet
from tests.executors.tasks import InDirectory, Waiting, runs_of
from tests.servers import RunningRedis, binaries, until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def rqs_redis(tmp_path: Path) -> Iterator[RunningRedis]:
    """Of RQ alone: the scheduler has another. It keeps everything."""
    users = tmp_path / "users.acl"
    users.touch()
    arguments = ("--appendonly", "yes", "--appendfsync", "always", "--aclfile", str(users))
    server = RunningRedis(binaries()["redis8"], tmp_path / "redis", arguments=arguments)
    yield server
    server.kill()


@pytest.fixture
def fleet(tmp_path: Path, rqs_redis: RunningRedis) -> Iterator[RqFleet]:
    """On that one."""
    made = RqFleet(tmp_path, url=rqs_redis.url)
    yield made
    made.end()


def test_a_run_goes_on_while_rqs_redis_is_away_and_its_result_arrives(
    small_fleet: RqFleet, rqs_redis: RunningRedis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = Waiting(directory=str(tmp_path), name="one")
    with small_fleet.while_running(task):
        until(lambda: runs_of(task), "the task runs")
        rqs_redis.kill()
        until(lambda: "What runs rq workers can't be used" in caplog.text, "the supervisor notices")
        (tmp_path / "go").touch()
        until(lambda: task.complete(), "the task is through")
        rqs_redis.start()
    assert small_fleet.status(task) == "DONE" and len(runs_of(task)) == 1


def test_a_supervisor_can_leave_while_rqs_redis_is_away(small_fleet: RqFleet, rqs_redis: RunningRedis) -> None:
    task = Waiting(directory=str(small_fleet.directory), name="one")
    where = ("--redis", running("redis8").url, "--rq-redis", small_fleet.url, "--set", "kill_after=1")
    supervisor = small_fleet.supervisor(*where, "--drain-timeout", "0")
    small_fleet.submit(task)
    until(lambda: runs_of(task), "the task runs")
    rqs_redis.kill()
    supervisor.terminate()
    assert supervisor.wait(30) == 0
    until(lambda: small_fleet.status(task) == "PENDING", "its job gives it back")
    assert not small_fleet.reason(task), "that was no failure"


def test_a_task_handed_out_while_rqs_redis_is_away_is_run_afterwards(
    small_fleet: RqFleet, rqs_redis: RunningRedis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Waiting(directory=str(tmp_path), name="first"), InDirectory(directory=str(tmp_path), name="second")
    fixed = {"worker_processes": 2, "executor_options": {"follows_engine": False}}
    with small_fleet.while_running(first, assistant=True, **fixed):
        until(lambda: runs_of(first), "the first one runs")
        rqs_redis.kill()
        small_fleet.submit(second)
        until(lambda: small_fleet.status(second) == "RUNNING", "the second one is handed out")
        until(lambda: "What runs rq workers can't be used" in caplog.text, "the supervisor notices")
        rqs_redis.start()
        (tmp_path / "go").touch()
    assert (small_fleet.status(first), small_fleet.status(second)) == ("DONE", "DONE")
    assert (len(runs_of(first)), len(runs_of(second))) == (1, 1)


def test_the_end_of_a_job_whose_submission_had_no_answer_is_heard_once(
    fleet: RqFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = RqEngine(fleet.url, fleet.queue, look_seconds=0.02)
    enqueue_job = Queue.enqueue_job

    def enqueue_without_an_answer(*arguments: Any, **named: Any) -> None:
        enqueue_job(*arguments, **named)
        raise redis.ConnectionError("the reply was lost")

    monkeypatch.setattr(Queue, "enqueue_job", enqueue_without_an_answer)
    with pytest.raises(EngineUnavailable):
        engine.submit("lost", {"task_id": "one"})
    assert fleet.queued() == ["lost"]
    Queue(fleet.queue, connection=fleet.client, serializer=JSONSerializer).empty()
    [end] = until(lambda: engine.wait_for_ends(0.5), "it is missed")
    assert (end.job_id, end.may_live) == ("lost", True) and "was deleted" in end.why
    assert engine.wait_for_ends(0.2) == []
    engine.close()


@pytest.mark.parametrize("error", [redis.ConnectionError, redis.TimeoutError])
def test_a_job_returns_when_rqs_redis_is_there(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    connection = MagicMock()
    connection.exists.side_effect = [error("away"), 1]
    monkeypatch.setattr(job, "get_current_job", lambda: MagicMock(connection=connection))
    monkeypatch.setattr(job.jobs, "run_job", lambda spec, place: {"status": "DONE"})
    monkeypatch.setattr(job, "LONGEST_WAIT_SECONDS", 0.0)
    assert job.run_job({}) == {"status": "DONE"} and connection.exists.call_count == 2

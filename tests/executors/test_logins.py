"""Jobs reach the scheduler by Redis or by HTTP, with credentials of their own: none is in RQ's Redis."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched import RemoteScheduler, Scheduler
from broker_sched.contract.roles import Role
from broker_sched.scheduler.operations.tokens import create_token
from tests.conftest import running
from tests.executors.conftest import RqFleet
from tests.executors.tasks import InDirectory, Waiting, runs_of
from tests.harness import ServerProcess
from tests.servers import RunningRedis, binaries, until

pytestmark = pytest.mark.timeout(90)
PASSWORD = "open-sesame-1234"


@pytest.fixture
def locked_redis(tmp_path: Path) -> Iterator[RunningRedis]:
    """The scheduler's, with a password. RQ has another."""
    server = RunningRedis(binaries()["redis8"], tmp_path / "locked", arguments=("--requirepass", PASSWORD))
    yield server
    server.kill()


def found_in(client: Any, secret: str) -> list[str]:
    """The keys of this Redis that hold the text, packed or not."""
    told = []
    for key in client.keys("*"):
        raw = client.dump(key) or b""
        packed = client.hget(key, "data") if client.type(key) == b"hash" else None
        if secret.encode() in raw + (zlib.decompress(packed) if packed else b""):
            told.append(key.decode())
    return told


def test_jobs_log_in_to_the_schedulers_redis_by_their_environment(
    fleet: RqFleet, locked_redis: RunningRedis, tmp_path: Path
) -> None:
    url = f"unix://:{PASSWORD}@{locked_redis.socket_path}"
    with contextlib.closing(Scheduler(url, fleet.namespace)) as scheduler:
        task = InDirectory(directory=str(tmp_path), name="one")
        without = fleet.rq_worker()
        fleet.listens(1)
        assert fleet.run(task, scheduler=scheduler), "it is no failure of the task"
        assert not runs_of(task) and "set BSCHED_REDIS there" in str(scheduler.fetch_error(task.task_id)["error"])
        without.kill()
        without.wait()
        fleet.rq_worker(BSCHED_REDIS=url)
        assert fleet.run(task, scheduler=scheduler)
        assert scheduler.task_statuses([task.task_id])[task.task_id]["status"] == "DONE"
    assert found_in(fleet.client, fleet.namespace), "the test looks where jobs are"
    assert found_in(fleet.client, PASSWORD) == []


def test_jobs_log_in_to_a_server_by_their_environment(fleet: RqFleet, tmp_path: Path) -> None:
    namespace = fleet.scheduler.namespace
    made = create_token(namespace, name="jobs", role=Role.WORKER, by="", seconds=None)
    token = fleet.scheduler.drive(made)[0]
    where = ("--redis", running("redis8").url, "--namespace", fleet.namespace, "--require-login")
    server = ServerProcess(*where).await_ready()
    try:
        scheduler = RemoteScheduler(server.url, token=token)
        task = InDirectory(directory=str(tmp_path), name="one")
        without = fleet.rq_worker()
        fleet.listens(1)
        assert fleet.run(task, scheduler=scheduler), "it is no failure of the task"
        assert not runs_of(task) and "BSCHED_TOKEN for a server" in fleet.reason(task)
        without.kill()
        without.wait()
        fleet.rq_worker(BSCHED_TOKEN=token)
        waiting = Waiting(directory=str(tmp_path), name="waiting")
        with fleet.while_running(task, waiting, scheduler=scheduler):
            until(lambda: runs_of(waiting), "it runs")
            scheduler.stop_task(waiting.task_id)
        assert fleet.status(task) == "DONE"
        assert fleet.status(waiting) == "FAILED" and "stopped by stop_task" in fleet.reason(waiting)
    finally:
        server.stop()
    assert found_in(fleet.client, server.url), "the test looks where jobs are"
    assert found_in(fleet.client, token) == []

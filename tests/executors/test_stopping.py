"""A stop ends the run that it is meant for, at any moment, and nobody else."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.executors.conftest import RqFleet
from tests.executors.tasks import InDirectory, LockHolding, Waiting, runs_of
from tests.nightly import by_night
from tests.servers import is_alive, until

pytestmark = pytest.mark.timeout(180)
STOPS = by_night(50, 15)
BESIDE = ("-c", "tests.executors.beside")  # of an rq worker in whose process group another program runs


def pid_beside(fleet: RqFleet) -> int:
    """Of that program."""
    return int((fleet.directory / "beside.pid").read_text())


@contextlib.contextmanager
def commands(fleet: RqFleet) -> Iterator[list[Any]]:
    """What was published meanwhile for rq workers, once the context has ended."""
    said: list[Any] = []
    with fleet.client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe("rq:pubsub:*")
        channel.get_message(timeout=5)  # the answer
        yield said
        while (message := channel.get_message(timeout=0.2)) is not None:
            said.append(message)


def test_stops_at_any_moment_end_neither_the_rq_worker_nor_what_is_beside_it(fleet: RqFleet, tmp_path: Path) -> None:
    rq_worker = fleet.rq_worker(*BESIDE, "--worker-class", "tests.executors.beside.Late")
    fleet.listens(1)
    moments = random.Random(1)
    tasks = [Waiting(directory=str(tmp_path), name=f"w{number}") for number in range(STOPS)]
    with fleet.while_running(*tasks, worker_processes=1, executor_options={"follows_engine": False}):
        for number in range(STOPS):
            task = until(
                lambda: next((each for each in tasks if fleet.status(each) == "RUNNING"), None), "one is begun"
            )
            if number % 2:  # else while the job is being taken, begun, or still in the queue
                until(lambda task=task: runs_of(task), "it runs")  # type: ignore[misc]  # bound now
            time.sleep(moments.uniform(0, 0.1))
            fleet.scheduler.stop_task(task.task_id)
            until(lambda task=task: fleet.status(task) == "FAILED", "it has ended")  # type: ignore[misc]  # likewise
            assert "was ended: it was stopped" in fleet.reason(task)
            assert rq_worker.poll() is None and is_alive(pid_beside(fleet)), f"after stop {number}"
    after = InDirectory(directory=str(tmp_path), name="after")
    assert fleet.run(after) and runs_of(after)[0].rq_worker == rq_worker.pid


def test_no_rq_worker_gets_a_command_when_its_task_is_stopped(small_fleet: RqFleet, tmp_path: Path) -> None:
    """The rq worker that hears RQ's stop-job between two work-horses kills its own process group."""
    task = Waiting(directory=str(tmp_path), name="endless")
    with commands(small_fleet) as said, small_fleet.while_running(task):
        until(lambda: runs_of(task), "it runs")
        small_fleet.scheduler.stop_task(task.task_id)
    assert said == []
    assert "was ended: it was stopped by stop_task" in small_fleet.reason(task)


def test_a_task_that_holds_pythons_lock_is_stopped(small_fleet: RqFleet, tmp_path: Path) -> None:
    task, after = LockHolding(directory=str(tmp_path), name="held"), InDirectory(directory=str(tmp_path), name="after")
    with small_fleet.while_running(task):
        [run] = until(lambda: runs_of(task), "it runs")
        small_fleet.scheduler.stop_task(task.task_id)
    assert "was ended: it was stopped by stop_task" in small_fleet.reason(task)
    until(lambda: not is_alive(run.task_process), "its process is gone")
    assert small_fleet.run(after), "the rq worker is free again"


def test_a_task_that_an_rq_worker_runs_in_its_own_process_is_stopped(fleet: RqFleet, tmp_path: Path) -> None:
    """RQ's SimpleWorker: the job is there, and the task in a process of its own all the same."""
    rq_worker = fleet.rq_worker("--worker-class", "rq.worker.SimpleWorker")
    fleet.listens(1)
    task, after = Waiting(directory=str(tmp_path), name="endless"), InDirectory(directory=str(tmp_path), name="after")
    with fleet.while_running(task):
        [run] = until(lambda: runs_of(task), "it runs")
        assert run.work_horse == rq_worker.pid
        fleet.scheduler.stop_task(task.task_id)
    assert "was ended: it was stopped by stop_task" in fleet.reason(task)
    assert rq_worker.poll() is None and fleet.run(after), "the rq worker is free again"


def test_a_work_horse_in_the_group_of_its_rq_worker_is_stopped_alone(fleet: RqFleet, tmp_path: Path) -> None:
    """As a worker class of somebody's may leave it."""
    rq_worker = fleet.rq_worker(*BESIDE, "--worker-class", "tests.executors.beside.Ungrouped")
    fleet.listens(1)
    task, after = Waiting(directory=str(tmp_path), name="endless"), InDirectory(directory=str(tmp_path), name="after")
    with fleet.while_running(task):
        until(lambda: runs_of(task), "it runs")
        fleet.scheduler.stop_task(task.task_id)
    assert "was ended: it was stopped by stop_task" in fleet.reason(task)
    assert rq_worker.poll() is None and is_alive(pid_beside(fleet))
    assert fleet.run(after), "the rq worker is free again"

"""A stop ends the run that it is meant for, at any moment, and nobody else."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from broker_sched.worker.executors.rq.process_guard import WorkHorse
from broker_sched.worker.executors.rq.run_records import RunRecords
from broker_sched.worker.run_task import RunOptions
from tests.conftest import running
from tests.executors.conftest import RqFleet
from tests.executors.tasks import InDirectory, LockHolding, Waiting, runs_of
from tests.harness import ROOT
from tests.nightly import by_night
from tests.servers import die_with_parent, is_alive, until

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
    with fleet.executor(kill_after_seconds=20.0) as executor:
        for number in range(STOPS):
            task = Waiting(directory=str(tmp_path), name=f"w{number}")
            run = executor.run_of(task, RunOptions("anna"), 0)
            run.start()
            if number % 2:  # else while the job is being taken, begun, or still in the queue
                until(lambda task=task: runs_of(task), "it runs")  # type: ignore[misc]  # bound now
            time.sleep(moments.uniform(0, 0.1))
            run.end_run("it was stopped")
            until(run.poll, "it has ended", seconds=30)
            assert "was ended: it was stopped" in str(run.death)
            run.clean_up()
            assert rq_worker.poll() is None and is_alive(pid_beside(fleet)), f"after stop {number}"
    after = InDirectory(directory=str(tmp_path), name="after")
    assert fleet.run(after) and runs_of(after)[0][1] == rq_worker.pid


def test_no_rq_worker_gets_a_command_when_its_task_is_stopped(small_fleet: RqFleet, tmp_path: Path) -> None:
    """The rq worker that hears RQ's stop-job between two work-horses kills its own process group."""
    task = Waiting(directory=str(tmp_path), name="endless")
    with commands(small_fleet) as said, small_fleet.while_running(task):
        until(lambda: runs_of(task), "it runs")
        small_fleet.scheduler.stop_task(task.task_id)
    assert said == []
    assert "was ended: it was stopped by stop_task" in small_fleet.reason(task)
    assert f"{task.task_id} is ended: it was stopped." in small_fleet.log()


def test_a_task_that_holds_pythons_lock_is_stopped(small_fleet: RqFleet, tmp_path: Path) -> None:
    task, after = LockHolding(directory=str(tmp_path), name="held"), InDirectory(directory=str(tmp_path), name="after")
    with small_fleet.while_running(task):
        [(horse, _)] = until(lambda: runs_of(task), "it runs")
        small_fleet.scheduler.stop_task(task.task_id)
    assert "was ended: it was stopped by stop_task" in small_fleet.reason(task)
    until(lambda: not is_alive(horse), "the work-horse is gone")
    assert small_fleet.run(after), "the rq worker is free again"


def test_a_task_whose_guardian_was_killed_ends_itself_at_its_next_beat(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Waiting(directory=str(tmp_path), name="endless")
    with small_fleet.while_running(task):
        [(horse, _)] = until(lambda: runs_of(task), "it runs")
        [guardian] = [child for child in psutil.Process(horse).children() if os.getsid(child.pid) == child.pid]
        guardian.kill()
        until(lambda: not is_alive(guardian.pid), "it is dead")
        small_fleet.scheduler.stop_task(task.task_id)
    assert "was ended: it was stopped by stop_task" in small_fleet.reason(task)
    until(lambda: not is_alive(horse), "the work-horse is gone")


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


def test_a_process_that_leads_no_group_kills_itself_alone(tmp_path: Path) -> None:
    """A shell leads it, which says how that ended."""
    program = "from broker_sched.worker.executors.rq import job_heartbeat; job_heartbeat.end_own_group()"
    code = f"{sys.executable} -c '{program}'; echo $? > code"
    shell = subprocess.Popen(
        ["sh", "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, preexec_fn=die_with_parent
    )
    assert shell.wait(60) == 0
    assert (tmp_path / "code").read_text() == "137\n"


def test_nobody_is_of_the_group_of_a_work_horse_that_leads_none() -> None:
    own = WorkHorse(os.getpid(), os.getpgrp(), os.getsid(0))
    led_by_another = WorkHorse(own.pid + 1, own.group, own.session) if own.group == own.pid else own
    assert not led_by_another.has(os.getpid())
    with subprocess.Popen(["sleep", "600"], preexec_fn=die_with_parent) as leader:
        assert WorkHorse(leader.pid, leader.pid, leader.pid).has(leader.pid)
        assert not WorkHorse(leader.pid, leader.pid, own.session).has(leader.pid), "a later group of the same number"
        leader.kill()


@pytest.fixture
def run_records() -> Iterator[RunRecords]:
    """With a job of anna's that has begun."""
    made = RunRecords(redis.Redis.from_url(running("redis8").url), f"stop-{uuid.uuid4().hex[:8]}")
    made.register_run("task", "job", "anna")
    made.begin_run("task", "job", "host", 1, "rq-worker")
    yield made
    made.revoke_run("task", "job", "anna")
    made.client.delete(made.wake_key("anna"))
    assert made.client.keys(f"{made._prefix}*") == []
    made.client.close()


def test_a_stop_before_anybody_listens_is_heard(run_records: RunRecords) -> None:
    run_records.request_stop("task", "job", "anna")
    run_records.request_stop("task", "job", "anna")
    assert run_records.await_stop("job", 1)
    assert not run_records.await_stop("job", 1), "it is said once"
    run_records.request_stop("task", "job", "anna")
    assert run_records.await_stop("job", 1), "and again when it is asked for again: the answer may have been lost"


def test_a_stop_of_what_is_through_is_not_heard(run_records: RunRecords) -> None:
    run_records.request_stop("task", "job", "anna")
    run_records.leave_result("task", "job", "{}", "DONE", False, "")
    assert run_records.request_stop("task", "job", "anna"), "it is anna's"
    assert not run_records.await_stop("job", 1)

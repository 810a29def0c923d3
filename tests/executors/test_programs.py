"""However a run ends on an rq worker, whatever it has started is ended, in sessions of its own, too."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from broker_sched.worker.heartbeat import LONG_SECONDS
from tests.executors.conftest import RqFleet, kill
from tests.executors.tasks import InDirectory, Leaving, Overrunning, Starting, runs_of
from tests.nightly import only_by_night
from tests.servers import is_alive, until

pytestmark = pytest.mark.timeout(120)


def pids_of(task: InDirectory) -> list[int]:
    """Of all that it has started."""
    path = Path(f"{task.directory}/{task.name}.pids")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def are_gone(task: InDirectory) -> bool:
    """All of them."""
    return not any(is_alive(pid) for pid in pids_of(task))


def test_after_a_timeout_its_programs_are_ended_before_it_is_reported(quick_fleet: RqFleet, tmp_path: Path) -> None:
    task = Overrunning(directory=str(tmp_path), name="slow")
    assert not quick_fleet.run(task, kill_after=2.0)
    assert "its timeout" in quick_fleet.reason(task)
    assert len(pids_of(task)) == 6 and are_gone(task)


def test_when_a_task_is_stopped_its_programs_are_ended(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Starting(directory=str(tmp_path), name="stopped")
    with small_fleet.while_running(task, kill_after=2.0):
        until(lambda: runs_of(task), "it runs")
        small_fleet.scheduler.stop_task(task.task_id)
    assert "stopped by stop_task" in small_fleet.reason(task)
    until(lambda: are_gone(task), "its programs are gone")


def test_when_its_work_horse_is_killed_its_programs_are_ended(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Starting(directory=str(tmp_path), name="killed")
    with small_fleet.while_running(task, kill_after=2.0):
        until(lambda: runs_of(task), "it runs")
        kill(runs_of(task)[0].work_horse)
    assert "SIGKILL" in small_fleet.reason(task)
    until(lambda: are_gone(task), "its programs are gone")


@only_by_night  # it takes long until a worker takes itself for forgotten; test_jobs.py shows a job that hears of it
def test_when_its_run_does_not_count_any_more_its_programs_are_ended(small_fleet: RqFleet, tmp_path: Path) -> None:
    """As when its job was silent for too long, and the scheduler has taken it for lost."""
    task = Starting(directory=str(tmp_path), name="lost")
    with small_fleet.while_running(task, kill_after=2.0):
        [run] = until(lambda: runs_of(task), "it runs")
        os.kill(run.work_horse, signal.SIGSTOP)
        until(lambda: small_fleet.scheduler.prune() or small_fleet.status(task) == "FAILED", "the job is missed")
        small_fleet.scheduler.forgive_failures(task.task_id)
        small_fleet.scheduler.add_worker(worker="another", info={"assistant": True})
        assert small_fleet.scheduler.get_work(worker="another", assistant=True)["task_id"] == task.task_id
        silent_since = time.monotonic()
        until(lambda: time.monotonic() > silent_since + LONG_SECONDS, "it may have been forgotten")
        os.kill(run.work_horse, signal.SIGCONT)
        until(lambda: are_gone(task), "its programs are gone", seconds=40)


def test_what_a_task_leaves_running_when_it_is_through_goes_on(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Leaving(directory=str(tmp_path), name="leaving")
    assert small_fleet.run(task)
    (pid,) = pids_of(task)
    assert is_alive(pid)
    kill(pid)

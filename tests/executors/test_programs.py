"""However a run ends on an rq worker, whatever it has started is ended, in sessions of its own, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.executors.conftest import RqFleet, kill
from tests.executors.tasks import InDirectory, Leaving, Overrunning, Starting, runs_of
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
        kill(runs_of(task)[0][0])
    assert "SIGKILL" in small_fleet.reason(task)
    until(lambda: are_gone(task), "its programs are gone")


def test_when_it_is_not_its_task_s_run_any_more_its_programs_are_ended(small_fleet: RqFleet, tmp_path: Path) -> None:
    """As when its rq worker and its supervisor were lost, and another job has taken its place."""
    task = Starting(directory=str(tmp_path), name="lost")
    with small_fleet.while_running(task, kill_after=2.0):
        until(lambda: runs_of(task), "it runs")
        kill(runs_of(task)[0][1])  # its rq worker; the work-horse goes on
        for key in small_fleet.kept("task"):
            small_fleet.client.delete(key)
        until(lambda: are_gone(task), "its programs are gone", seconds=40)
        small_fleet.rq_worker()  # without any, a supervisor waits for one


def test_what_a_task_leaves_running_when_it_is_through_goes_on(small_fleet: RqFleet, tmp_path: Path) -> None:
    task = Leaving(directory=str(tmp_path), name="leaving")
    assert small_fleet.run(task)
    (pid,) = pids_of(task)
    assert is_alive(pid)
    kill(pid)

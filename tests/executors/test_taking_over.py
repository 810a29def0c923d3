"""Supervisors that die or leave while their tasks run on rq workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executors.conftest import RqFleet, kill
from tests.executors.tasks import InDirectory, Waiting, runs_of
from tests.servers import is_alive, until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[RqFleet]:
    """Whose scheduler soon misses a worker, and soon retries."""
    made = RqFleet(tmp_path, retry_delay=0.2)
    yield made
    made.end()


def running_task(fleet: RqFleet) -> Waiting:
    """A task that a supervisor in a process of its own has begun."""
    task = Waiting(directory=str(fleet.directory), name="one")
    fleet.submit(task)
    until(lambda: runs_of(task), "the task runs")
    return task


def lose(fleet: RqFleet, task: InDirectory) -> None:
    """Kill the supervisor, and wait until the scheduler has noticed."""
    fleet.processes[-1].kill()
    fleet.processes[-1].wait()
    until(lambda: fleet.scheduler.prune() or fleet.status(task) != "RUNNING", "the supervisor is missed")


def test_a_second_supervisor_takes_over_what_runs_without_another_run(small_fleet: RqFleet) -> None:
    small_fleet.supervisor()
    task = running_task(small_fleet)
    lose(small_fleet, task)
    small_fleet.supervisor()
    until(lambda: "begun for another worker" in small_fleet.log(), "the run is taken over")
    assert small_fleet.status(task) == "RUNNING"
    (small_fleet.directory / "go").touch()
    until(lambda: small_fleet.status(task) == "DONE", "the result arrives")
    assert len(runs_of(task)) == 1


def test_a_result_that_nobody_took_is_taken_without_another_run(small_fleet: RqFleet) -> None:
    small_fleet.supervisor()
    task = running_task(small_fleet)
    small_fleet.processes[-1].kill()
    (small_fleet.directory / "go").touch()
    until(lambda: "Job OK" in small_fleet.log(), "the run ends while nobody watches")
    lose(small_fleet, task)
    Path(task.output().path).unlink()  # whoever looked there would run it again
    small_fleet.supervisor()
    until(lambda: small_fleet.status(task) == "DONE", "the result is taken")
    assert len(runs_of(task)) == 1
    until(lambda: not small_fleet.kept("task"), "it can't be taken again")


def test_a_run_that_died_while_nobody_watched_is_run_again(small_fleet: RqFleet) -> None:
    small_fleet.supervisor()
    task = running_task(small_fleet)
    small_fleet.processes[-1].kill()
    kill(runs_of(task)[0][0])
    until(lambda: "Work-horse terminated unexpectedly" in small_fleet.log(), "RQ has noticed")
    (small_fleet.directory / "go").touch()
    lose(small_fleet, task)
    small_fleet.supervisor()
    until(lambda: small_fleet.status(task) == "DONE", "another run")
    assert len(runs_of(task)) == 2


def test_a_supervisor_told_to_leave_twice_gives_its_tasks_back(small_fleet: RqFleet) -> None:
    supervisor = small_fleet.supervisor()
    task = running_task(small_fleet)
    supervisor.send_signal(signal.SIGTERM)
    until(lambda: "SIGTERM again ends it now" in small_fleet.log(), "it lets the task finish")
    assert small_fleet.status(task) == "RUNNING"
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(30) == 0
    assert small_fleet.status(task) == "PENDING" and not small_fleet.reason(task), "that was no failure"
    until(lambda: not is_alive(runs_of(task)[0][0]), "the work-horse is gone")


def test_a_draining_supervisor_waits_for_what_runs(small_fleet: RqFleet) -> None:
    supervisor = small_fleet.supervisor()
    task = running_task(small_fleet)
    supervisor.send_signal(signal.SIGTERM)
    until(lambda: "SIGTERM again ends it now" in small_fleet.log(), "it lets the task finish")
    (small_fleet.directory / "go").touch()
    assert supervisor.wait(30) == 0
    assert small_fleet.status(task) == "DONE"


def test_a_drain_timeout_gives_tasks_back(small_fleet: RqFleet) -> None:
    supervisor = small_fleet.supervisor("--drain-timeout", "0.3")
    task = running_task(small_fleet)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(30) == 0
    assert small_fleet.status(task) == "PENDING" and not small_fleet.reason(task), "that was no failure"


def test_a_supervisor_whose_run_was_taken_over_says_nothing_about_it(small_fleet: RqFleet) -> None:
    first = small_fleet.supervisor()
    task = running_task(small_fleet)
    first.send_signal(signal.SIGSTOP)
    until(lambda: small_fleet.scheduler.prune() or small_fleet.status(task) != "RUNNING", "it is missed")
    small_fleet.supervisor()
    until(lambda: "begun for another worker" in small_fleet.log(), "the run is taken over")
    first.send_signal(signal.SIGCONT)
    told = ("is not this worker's any more", "does not count any more")  # by RQ's Redis, or by the scheduler
    until(lambda: any(text in small_fleet.log() for text in told), "the first one notices")
    (small_fleet.directory / "go").touch()
    until(lambda: small_fleet.status(task) == "DONE", "the second one reports")
    assert len(runs_of(task)) == 1

"""Supervisors that die or leave while their tasks run on rq workers: what runs goes on by itself."""

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


def lose(fleet: RqFleet) -> None:
    """Kill the supervisor, and wait until the scheduler has noticed."""
    fleet.processes[-1].kill()
    fleet.processes[-1].wait()
    name = next(each["name"] for each in fleet.scheduler.worker_list() if "/" not in each["name"])
    gone = lambda: name not in {each["name"] for each in fleet.scheduler.worker_list()}  # noqa: E731
    until(lambda: fleet.scheduler.prune() or gone(), "the supervisor is missed")


def test_what_runs_outlives_its_supervisor_and_is_run_once(small_fleet: RqFleet) -> None:
    small_fleet.supervisor()
    task = running_task(small_fleet)
    lose(small_fleet)
    assert small_fleet.status(task) == "RUNNING"
    small_fleet.supervisor()
    (small_fleet.directory / "go").touch()
    until(lambda: small_fleet.status(task) == "DONE", "the job reports by itself")
    assert len(runs_of(task)) == 1


def test_a_supervisor_started_anew_under_its_name_runs_tasks_beside_what_outlived_it(small_fleet: RqFleet) -> None:
    small_fleet.supervisor("--name", "anna")
    task, after = running_task(small_fleet), InDirectory(directory=str(small_fleet.directory), name="after")
    small_fleet.processes[-1].kill()
    small_fleet.rq_worker()
    small_fleet.supervisor("--name", "anna")
    small_fleet.submit(after)
    until(lambda: small_fleet.status(after) == "DONE", "the new one's first job runs")
    assert small_fleet.status(task) == "RUNNING"
    (small_fleet.directory / "go").touch()
    until(lambda: small_fleet.status(task) == "DONE", "the old one's has ended, too")


def test_what_ends_while_nobody_watches_is_reported_all_the_same(small_fleet: RqFleet) -> None:
    small_fleet.supervisor()
    task = running_task(small_fleet)
    small_fleet.processes[-1].kill()
    (small_fleet.directory / "go").touch()
    until(lambda: small_fleet.status(task) == "DONE", "the job reports by itself")
    assert len(runs_of(task)) == 1


def test_a_job_that_begins_after_its_supervisor_was_missed_does_nothing(small_fleet: RqFleet) -> None:
    small_fleet.supervisor("--processes", "2")
    first = running_task(small_fleet)
    second = InDirectory(directory=str(small_fleet.directory), name="second")
    small_fleet.submit(second)
    until(small_fleet.queued, "its job waits for the rq worker")
    lose(small_fleet)
    until(lambda: small_fleet.status(second) != "RUNNING", "it is the lost supervisor's no more")
    (small_fleet.directory / "go").touch()
    until(lambda: not small_fleet.queued() and "Superseded" not in small_fleet.log(), "the job is through")
    until(lambda: small_fleet.log().count("Job OK") == 2, "both jobs are through")
    assert (small_fleet.status(first), runs_of(second)) == ("DONE", [])
    small_fleet.supervisor()
    until(lambda: small_fleet.status(second) == "DONE", "another job runs it")
    assert len(runs_of(second)) == 1


def test_a_run_that_died_while_nobody_watched_is_run_again(small_fleet: RqFleet) -> None:
    small_fleet.supervisor()
    task = running_task(small_fleet)
    small_fleet.processes[-1].kill()
    kill(runs_of(task)[0].work_horse)
    until(lambda: "Work-horse terminated unexpectedly" in small_fleet.log(), "RQ has noticed")
    (small_fleet.directory / "go").touch()
    small_fleet.supervisor()
    until(lambda: small_fleet.scheduler.prune() or small_fleet.status(task) == "DONE", "another run")
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
    until(lambda: not is_alive(runs_of(task)[0].task_process), "its process is gone")


def test_an_interrupted_supervisor_gives_its_tasks_back(small_fleet: RqFleet) -> None:
    supervisor = small_fleet.supervisor("--processes", "2")
    task, waiting = running_task(small_fleet), InDirectory(directory=str(small_fleet.directory), name="waiting")
    small_fleet.submit(waiting)
    until(small_fleet.queued, "another one waits for the rq worker")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(30) == 130
    assert not small_fleet.queued()
    for each in (task, waiting):
        assert small_fleet.status(each) == "PENDING" and not small_fleet.reason(each), "that was no failure"
    assert not is_alive(runs_of(task)[0].task_process) and not runs_of(waiting)


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


def test_a_supervisor_that_stood_still_says_nothing_about_what_ran_meanwhile(small_fleet: RqFleet) -> None:
    first = small_fleet.supervisor()
    task = running_task(small_fleet)
    first.send_signal(signal.SIGSTOP)
    (small_fleet.directory / "go").touch()
    until(lambda: small_fleet.status(task) == "DONE", "the job reports by itself")
    small_fleet.scheduler.forgive_failures(task.task_id)
    first.send_signal(signal.SIGCONT)
    after = InDirectory(directory=str(small_fleet.directory), name="after")
    small_fleet.submit(after)
    until(lambda: small_fleet.status(after) == "DONE", "it goes on with other tasks")
    assert (small_fleet.status(task), len(runs_of(task))) == ("DONE", 1)
    assert small_fleet.scheduler.superseded_reports()["count"] == 0

"""A job is a worker of its own, whatever engine carries it: it takes its run over, reports on it, and is stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched import Scheduler, Worker, interrupts
from broker_sched.errors import Unreachable
from broker_sched.worker.executors import jobs
from broker_sched.worker.executors.job_executor import JobExecutor
from broker_sched.worker.executors.job_run import JobRun
from broker_sched.worker.run_result import Ending, RunResult
from broker_sched.worker.wakeup_socket import WakeupSocket
from tests.conftest import running
from tests.executors.engines import ForkEngine
from tests.executors.tasks import (
    Answering,
    Asking,
    Failing,
    InDirectory,
    Limited,
    Needing,
    Stubborn,
    Waiting,
    runs_of,
)
from tests.servers import is_alive, until
from tests.worker.native_tasks import Batches

pytestmark = pytest.mark.timeout(60)
QUICK = {"wait_interval": 0.05, "wait_jitter": 0.0, "ping_interval": 0.1, "no_install_shutdown_handler": True}
JOBS = {"BSCHED_WORKER_PING_INTERVAL": "0.1"}


class Supervisor:
    """A worker in a thread, whose jobs are forked."""

    def __init__(self, scheduler: Scheduler, engine: ForkEngine) -> None:
        self.scheduler, self.engine = scheduler, engine
        self.worker: Worker | None = None
        self.succeeded: bool | None = None

    def run(self, *tasks: Any, **options: Any) -> bool:
        """Schedule and run them, to the end."""
        with (
            JobExecutor(self.engine, self.scheduler, kill_after_seconds=5.0) as executor,
            Worker(self.scheduler, "anna", executor=executor, **{**QUICK, **options}) as self.worker,
        ):
            for task in tasks:
                self.worker.add(task)
            self.succeeded = self.worker.run()
        return self.succeeded

    def start(self, *tasks: Any, **options: Any) -> threading.Thread:
        """The same in a thread, which the caller joins."""
        thread = threading.Thread(target=self.run, args=tasks, kwargs=options, daemon=True)
        thread.start()
        return thread

    def status(self, task: Any) -> str:
        """The scheduler's."""
        return str(self.scheduler.task_statuses([task.task_id]).get(task.task_id, {}).get("status", ""))

    def runner(self, task: Any) -> str | None:
        """Who runs it, or ran it last."""
        return self.scheduler.task_statuses([task.task_id])[task.task_id]["worker_running"]

    def reason(self, task: Any) -> str:
        """Why it has failed, or went back."""
        return str(self.scheduler.fetch_error(task.task_id)["error"] or "")


def ended(thread: threading.Thread) -> bool:
    """Wait for it."""
    thread.join(30)
    return not thread.is_alive()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """On a namespace of its own, whose scheduler soon misses a worker."""
    scheduler = Scheduler(
        running("redis8").url, f"jobs-{uuid.uuid4().hex[:8]}", retry_delay=60.0, worker_disconnect_delay=1.0
    )
    yield Supervisor(scheduler, ForkEngine(environment=JOBS))
    assert scheduler.verify() == []
    scheduler.close()


def test_a_job_runs_its_task_as_a_worker_of_its_own(supervisor: Supervisor, tmp_path: Path) -> None:
    task = Waiting(directory=str(tmp_path), name="one")
    thread = supervisor.start(task)
    until(lambda: runs_of(task), "it runs")
    job = str(supervisor.runner(task))
    assert job.startswith("anna/") and job.endswith("-1"), "the first of its jobs"
    running_on = {each["name"]: each["num_running"] for each in supervisor.scheduler.worker_list()}
    assert running_on == {"anna": 0, job: 1}
    told: Any = supervisor.scheduler.worker_details(job)
    assert told["info"]["supervisor"] == "anna" and told["info"]["runs_as"].startswith("a job on ")
    (tmp_path / "go").touch()
    assert ended(thread) and supervisor.succeeded
    assert supervisor.status(task) == "DONE" and len(runs_of(task)) == 1


def test_a_failure_is_reported_once_with_what_was_written(supervisor: Supervisor, tmp_path: Path) -> None:
    task = Failing(directory=str(tmp_path), name="failing")
    assert not supervisor.run(task)
    assert supervisor.status(task) == "FAILED" and "ValueError: no such customer" in supervisor.reason(task)
    assert "from a program" in str(supervisor.scheduler.task_log(task.task_id)["log"]).splitlines()
    details: Any = supervisor.scheduler.task_details(task.task_id)
    assert len(details["attempts"]) == 1 and supervisor.scheduler.superseded_reports()["count"] == 0


def test_what_a_job_asks_for_is_run_first(supervisor: Supervisor, tmp_path: Path) -> None:
    task = Asking(directory=str(tmp_path), name="asking")
    assert supervisor.run(task)
    assert supervisor.status(task) == "DONE" and len(runs_of(task)) == 2


def test_a_batch_is_one_job(supervisor: Supervisor, tmp_path: Path) -> None:
    root = Batches(str(tmp_path))
    assert supervisor.run(root)
    assert {supervisor.status(task) for task in (root, *root.deps())} == {"DONE"}
    assert len(supervisor.engine.specs) == 2, "the batch, and what wanted it"
    assert supervisor.worker is not None
    assert supervisor.worker.counts() == {"scheduled": 6, "done": 6, "running": 0, "failed": 0}


def test_what_is_missing_when_a_job_is_to_run_is_made_first(supervisor: Supervisor, tmp_path: Path) -> None:
    task = Needing(directory=str(tmp_path), name="needing")
    dep = task.requires()
    dep.write()
    supervisor.scheduler.update_options({"retry_delay": 0.1, "stable_done_cooldown_secs": 0})
    supervisor.engine.room = 0
    supervisor.engine.capacity = lambda: 1  # type: ignore[method-assign]  # a queue without a machine
    thread = supervisor.start(task, keep_alive=True)
    until(lambda: supervisor.engine.specs, "its job waits")
    Path(dep.output().path).unlink()
    supervisor.engine.room = 1
    assert ended(thread)
    assert (supervisor.status(task), supervisor.status(dep)) == ("DONE", "DONE")
    assert (len(runs_of(task)), len(runs_of(dep))) == (1, 1)


def test_a_message_to_the_task_of_a_job_is_answered(supervisor: Supervisor, tmp_path: Path) -> None:
    task = Answering(directory=str(tmp_path), name="answering")
    thread = supervisor.start(task)
    until(lambda: runs_of(task), "it runs")
    told = supervisor.scheduler.send_scheduler_message(str(supervisor.runner(task)), task.task_id, "how far?")
    asked: Any = (task.task_id, told["message_id"])
    answer = until(lambda: supervisor.scheduler.get_scheduler_message_response(*asked)["response"], "it answers")
    assert answer == "half of how far?"
    assert ended(thread) and supervisor.succeeded


@pytest.mark.parametrize(("disable", "status"), [(False, "FAILED"), (True, "DISABLED")])
def test_a_running_job_is_stopped(supervisor: Supervisor, tmp_path: Path, disable: bool, status: str) -> None:
    task = Waiting(directory=str(tmp_path), name="endless")
    thread = supervisor.start(task)
    until(lambda: runs_of(task), "it runs")
    supervisor.scheduler.stop_task(task.task_id, disable=disable)
    assert ended(thread) and not supervisor.succeeded
    assert supervisor.status(task) == status and "was ended: it was stopped by stop_task" in supervisor.reason(task)
    assert not is_alive(runs_of(task)[0].task_process)


def test_a_job_that_waits_is_stopped_and_never_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.engine.room = 0
    task = InDirectory(directory=str(tmp_path), name="one")
    thread = supervisor.start(task)
    supervisor.engine.capacity = lambda: 1  # type: ignore[method-assign]  # a queue without a machine
    until(lambda: supervisor.engine.specs, "its job waits")
    supervisor.scheduler.stop_task(task.task_id)
    assert ended(thread)
    assert supervisor.status(task) == "FAILED" and "stopped by stop_task" in supervisor.reason(task)
    assert not runs_of(task)


def test_a_job_keeps_its_timeout(supervisor: Supervisor, tmp_path: Path) -> None:
    task = Limited(directory=str(tmp_path), name="limited")
    assert not supervisor.run(task)
    assert "ran longer than 1 s, its timeout" in supervisor.reason(task)


def test_a_job_that_is_killed_fails_at_once_and_its_task_ends(supervisor: Supervisor, tmp_path: Path) -> None:
    task = Waiting(directory=str(tmp_path), name="killed")
    thread = supervisor.start(task)
    [run] = until(lambda: runs_of(task), "it runs")
    os.kill(run.work_horse, signal.SIGKILL)
    assert ended(thread) and not supervisor.succeeded
    assert supervisor.status(task) == "FAILED" and f"{task.task_id} died" in supervisor.reason(task)
    until(lambda: not is_alive(run.task_process), "its task ends with it")


def test_a_worker_that_leaves_gives_back_what_its_jobs_run(supervisor: Supervisor, tmp_path: Path) -> None:
    running_one, waiting = (Waiting(directory=str(tmp_path), name=name) for name in ("runs", "waits"))
    supervisor.engine.capacity = lambda: 2  # type: ignore[method-assign]  # and room for one
    supervisor.engine.room = 1
    thread = supervisor.start(running_one, waiting)
    until(lambda: len(supervisor.engine.specs) == 2 and (runs_of(running_one) or runs_of(waiting)), "one runs")
    assert supervisor.worker is not None
    supervisor.worker.drain(0)
    assert ended(thread)
    for task in (running_one, waiting):
        assert supervisor.status(task) == "PENDING" and not supervisor.reason(task), "that was no failure"
    assert not any(is_alive(run.task_process) for task in (running_one, waiting) for run in runs_of(task))


def test_what_a_job_gives_back_its_supervisor_runs_again(supervisor: Supervisor, tmp_path: Path) -> None:
    """Though it is handed that task, and told that there is no other, before it hears of the job's end."""
    task, engine = Waiting(directory=str(tmp_path), name="twice"), supervisor.engine
    engine.room = 3
    thread = supervisor.start(task)
    until(lambda: runs_of(task), "it runs")
    wait_for_ends, engine.wait_for_ends = engine.wait_for_ends, lambda seconds: []  # type: ignore[method-assign]
    supervisor.scheduler.drain_worker(str(supervisor.runner(task)), seconds=0.0)
    until(lambda: len(engine.specs) == 2, "there is another job")
    engine.wait_for_ends = wait_for_ends  # type: ignore[method-assign]
    until(lambda: len(runs_of(task)) == 2, "it runs again")
    (tmp_path / "go").touch()
    assert ended(thread) and supervisor.status(task) == "DONE"


def test_a_job_that_can_not_reach_the_scheduler_costs_its_task_no_failure(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.engine = ForkEngine(environment={"BSCHED_REDIS": "redis://127.0.0.1:1/0"})
    task = InDirectory(directory=str(tmp_path), name="one")
    assert supervisor.run(task)
    assert supervisor.status(task) == "PENDING" and not runs_of(task)
    assert "where the scheduler can't be used" in supervisor.reason(task)
    details: Any = supervisor.scheduler.task_details(task.task_id)
    assert [each["outcome"] for each in details["attempts"]] == ["PENDING"], "it was given back"


def test_a_frozen_job_that_was_superseded_changes_nothing(supervisor: Supervisor, tmp_path: Path) -> None:
    task = Waiting(directory=str(tmp_path), name="frozen")
    supervisor.scheduler.update_options({"retry_delay": 0.1})
    thread = supervisor.start(task, keep_alive=True)
    [first] = until(lambda: runs_of(task), "it runs")
    os.kill(first.work_horse, signal.SIGSTOP)
    until(lambda: supervisor.scheduler.prune() or len(runs_of(task)) == 2, "it is missed, and run again")
    runner = supervisor.runner(task)
    os.kill(first.work_horse, signal.SIGCONT)
    until(lambda: not is_alive(first.work_horse) or not is_alive(first.task_process), "it ends itself")
    assert (supervisor.status(task), supervisor.runner(task)) == ("RUNNING", runner)
    (tmp_path / "go").touch()
    assert ended(thread)
    assert supervisor.status(task) == "DONE" and len(runs_of(task)) == 2


def test_a_run_that_ends_twice_keeps_its_first_end_and_wakes_its_worker_once(tmp_path: Path) -> None:
    """A worker that leaves waits no longer for a job, which returns at that moment."""
    task, unseen, wakeup_socket = InDirectory(directory=str(tmp_path), name="one"), set[JobRun](), WakeupSocket()
    run = JobRun(task, "job", {}, 0.0, lambda run: None, wakeup_socket, unseen)
    run.end_run(Ending("release", "its worker was told to leave"))
    assert run.poll() and run.result is not None
    assert run.result.ended_by == "release" and "was ended: its worker" in run.result.expl
    run.clean_up()
    wakeup_socket.clear()
    run.conclude(RunResult(task.task_id, "DONE"), "DONE")
    assert (run.reported, unseen, wakeup_socket.clear()) == (None, set(), False)


def test_a_job_whose_run_is_not_its_supervisors_any_more_does_nothing(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.engine.room = 0
    task = InDirectory(directory=str(tmp_path), name="one")
    supervisor.engine.capacity = lambda: 1  # type: ignore[method-assign]  # a queue without a machine
    thread = supervisor.start(task)
    until(lambda: supervisor.engine.specs, "its job waits")
    supervisor.scheduler.mark_as_done(task.task_id)
    supervisor.engine.room = 1
    assert ended(thread)
    assert supervisor.status(task) == "DONE" and not runs_of(task)


def test_a_run_whose_handing_over_had_no_answer_is_given_back(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.engine.room = 0
    supervisor.engine.capacity = lambda: 1  # type: ignore[method-assign]  # a queue without a machine
    task = InDirectory(directory=str(tmp_path), name="one")
    thread = supervisor.start(task)
    [spec] = until(lambda: supervisor.engine.specs, "its job waits")
    transfer_task = supervisor.scheduler.transfer_task

    def transfer_without_an_answer(**arguments: Any) -> Any:
        transfer_task(**arguments)
        raise Unreachable("the reply was lost")

    monkeypatch.setattr(supervisor.scheduler, "transfer_task", transfer_without_an_answer)
    monkeypatch.setattr(jobs, "scheduler_for", lambda spec: supervisor.scheduler)
    assert jobs.run_job(spec)["is_hosts_fault"]
    monkeypatch.undo()
    assert supervisor.status(task) == "PENDING" and not runs_of(task)
    supervisor.engine.room = 1
    until(lambda: supervisor.status(task) == "DONE", "it is run after all")
    assert ended(thread) and len(runs_of(task)) == 1


def test_a_job_that_is_interrupted_twice_gives_its_task_back_after_it_has_ended(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    task = Stubborn(directory=str(tmp_path), name="stubborn")
    thread = supervisor.start(task, kill_after=30.0)
    [run] = until(lambda: runs_of(task), "it runs")
    os.kill(run.work_horse, signal.SIGINT)
    until((tmp_path / "told").exists, "its job ends it")
    at = time.monotonic()  # the first one was heard before
    until(lambda: time.monotonic() > at + interrupts.BOUNCE_SECONDS, "the next one is no echo")
    os.kill(run.work_horse, signal.SIGINT)
    until(lambda: supervisor.runner(task) is None or len(runs_of(task)) == 2, "the task goes back")
    assert not is_alive(run.task_process)
    (tmp_path / "go").touch()
    assert ended(thread)

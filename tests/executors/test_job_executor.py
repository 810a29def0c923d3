"""What a JobExecutor makes of the ends of jobs, with an engine and a scheduler that say what a test wants."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from broker_sched import Task
from broker_sched.errors import ConfigurationError, EngineUnavailable, InvalidArgument
from broker_sched.worker.executors import job_executor, jobs
from broker_sched.worker.executors.engine import JobEnd
from broker_sched.worker.executors.job_executor import JobExecutor
from broker_sched.worker.executors.job_run import JobRun
from broker_sched.worker.executors.jobs import Returned
from broker_sched.worker.run_reports import RunReports
from broker_sched.worker.run_result import Ending, RunResult
from broker_sched.worker.run_task import RunOptions
from broker_sched.worker.wakeup_socket import WakeupSocket
from broker_sched.worker.work_source import WorkSource
from tests.servers import until

pytestmark = pytest.mark.timeout(30)


class Plain(Task):
    name: str


class Crooked(Plain):
    """Has a property that fails."""

    @property
    def owner_email(self) -> str:
        raise ZeroDivisionError


class ScriptedEngine:
    """Takes jobs, and says of their ends what it is given."""

    runs_on = "machine"

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.withdrawn: list[str] = []
        self.ends = queue.SimpleQueue[JobEnd]()
        self.error: Exception | None = None
        self.submit_error: Exception | None = None
        self.is_closed = False
        self.rounds = 0

    def connect(self) -> None:
        """Nothing is to be reached."""

    def capacity(self) -> int:
        self.rounds += 1
        if self.error:
            raise self.error
        return 9

    def submit(self, job_id: str, spec: dict[str, Any]) -> None:
        if job_id not in self.submitted:
            self.submitted.append(job_id)
        if self.submit_error:
            raise self.submit_error

    def withdraw(self, job_id: str) -> bool:
        self.withdrawn.append(job_id)
        return True

    def wait_for_ends(self, seconds: float) -> list[JobEnd]:
        try:
            return [self.ends.get(timeout=0.02)]
        except queue.Empty:
            return []

    def close(self) -> None:
        self.is_closed = True


class ScriptedScheduler:
    """Knows of each task what it is given, and notes what it is told."""

    url = "http://nowhere"

    def __init__(self) -> None:
        self.standings: dict[str, tuple[str, str | None]] = {}
        self.told: list[dict[str, Any]] = []
        self.released: list[dict[str, Any]] = []
        self.questions = 0

    def task_statuses(self, task_ids: list[str]) -> dict[str, dict[str, Any]]:
        self.questions += 1
        known = {task_id: self.standings[task_id] for task_id in task_ids if task_id in self.standings}
        return {task_id: {"status": status, "worker_running": runner} for task_id, (status, runner) in known.items()}

    def add_task(self, **told: Any) -> None:
        if told.get("family") == "Refused":
            raise InvalidArgument("family", "may not be that")
        self.told.append(told)

    def release_task(self, task_id: str, worker: str, attempt: int) -> None:
        self.released.append({"task_id": task_id, "worker": worker, "attempt": attempt})


class Stage:
    """An executor at work, and what it works with."""

    def __init__(self) -> None:
        self.engine, self.scheduler = ScriptedEngine(), ScriptedScheduler()
        self.executor = JobExecutor(self.engine, self.scheduler, kill_after_seconds=5.0)  # type: ignore[arg-type]

    def begin(self, task: Any) -> JobRun:
        """Have its job submitted; it is still the supervisor's."""
        run = self.executor.run_of(task, RunOptions("anna"), 0.0)
        run.attempt = 1
        self.scheduler.standings[task.task_id] = ("RUNNING", "anna")
        run.start()
        until(lambda: run.job_id in self.engine.submitted, "its job is submitted")
        return run

    def take_over(self, run: JobRun) -> None:
        """As its job does."""
        self.scheduler.standings[run.task.task_id] = ("RUNNING", run.spec["worker"])

    def end(self, run: JobRun, returned: Returned | None = None, **more: Any) -> None:
        """Let its job end."""
        self.engine.ends.put(JobEnd(run.job_id, returned and returned.to_json(), "died on node-7", **more))

    def ended(self, run: JobRun) -> RunResult:
        """Wait for it."""
        until(lambda: run.result is not None, "the run has ended")
        assert run.result is not None
        return run.result

    def rounds(self, number: int) -> None:
        """Wait for so many."""
        goal = self.engine.rounds + number
        until(lambda: self.engine.rounds >= goal, "the executor goes on")

    def is_asked(self, times: int = 2) -> None:
        """Wait until the scheduler was asked so often more."""
        goal = self.scheduler.questions + times
        until(lambda: self.scheduler.questions >= goal, "the scheduler is asked who runs what")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """With short waits."""
    monkeypatch.setattr(job_executor, "ROUND_SECONDS", 0.05)
    monkeypatch.setattr(job_executor, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(job_executor, "END_SECONDS", 0.1)
    made = Stage()
    with made.executor:
        yield made


@pytest.mark.parametrize("name", ["Refused", "Crooked"])
def test_a_dead_job_whose_task_can_not_be_described_is_reported_without_and_holds_no_other_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind = Crooked if name == "Crooked" else Plain
    run, other = stage.begin(kind(name="one")), stage.begin(Plain(name="other"))
    if name == "Refused":
        monkeypatch.setattr(type(run.task), "task_family", "Refused")
    for each in (run, other):
        stage.take_over(each)
        stage.end(each)
    assert "died on node-7" in stage.ended(run).expl and run.reported == "FAILED"
    assert "died on node-7" in stage.ended(other).expl
    [told] = [each for each in stage.scheduler.told if each["task_id"] == run.task.task_id]
    assert (told["worker"], told["status"], told["attempt"], "family" in told) == (
        run.spec["worker"],
        "FAILED",
        1,
        False,
    )


def test_one_job_that_can_not_be_submitted_holds_no_other_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.engine.submit_error = ValueError("no such thing")
    stage.begin(Plain(name="one"))
    run = stage.executor.run_of(Plain(name="other"), RunOptions("anna"), 0.0)
    run.attempt = 1
    run.start()
    until(lambda: run.job_id in stage.engine.submitted, "the other one is")
    stage.engine.submit_error = None


def test_how_a_job_can_not_be_submitted_is_said_once_and_it_is_tried_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]

    stage.engine.submit_error = ValueError("no such thing")
    run = stage.begin(Plain(name="one"))
    stage.rounds(5)
    assert len(said()) == 1 and run.job_id in said()[0]
    stage.engine.submit_error = ValueError("another thing")
    stage.rounds(5)
    assert len(said()) == 2
    stage.engine.submit_error = None
    until(lambda: run.is_submitted, "it was tried again")


def test_a_job_whose_submission_had_no_answer_is_withdrawn_when_its_run_is_stopped(stage: Stage) -> None:
    stage.engine.submit_error = EngineUnavailable("the reply was lost")
    run = stage.begin(Plain(name="one"))
    run.end_run(Ending("stop", "it was stopped"))
    assert "was ended: it was stopped" in stage.ended(run).expl
    assert stage.engine.withdrawn == [run.job_id]


@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
def test_the_end_of_a_run_that_others_carry_on_is_no_status_of_its_own(stage: Stage, status: str) -> None:
    run = stage.begin(Plain(name="one"))
    stage.scheduler.standings[run.task.task_id] = (status, "bert" if status == "RUNNING" else None)
    stage.end(run)
    stage.ended(run)
    assert run.reported == job_executor.SUPERSEDED


def test_a_job_that_waits_for_new_deps_has_longer_to_return(stage: Stage) -> None:
    run, lost = stage.begin(Plain(name="one")), stage.begin(Plain(name="lost"))
    stage.scheduler.standings[run.task.task_id] = ("PENDING", None)
    stage.scheduler.standings[lost.task.task_id] = ("FAILED", None)
    stage.ended(lost)
    assert (lost.reported, run.result) == ("FAILED", None)
    stage.end(run, Returned("PENDING", RunResult(run.task.task_id, "PENDING", "told")))
    assert (stage.ended(run).expl, run.reported) == ("told", "PENDING")


def test_no_job_is_taken_for_lost_while_its_engine_can_not_be_reached_unless_that_lost_it(stage: Stage) -> None:
    run, lost = stage.begin(Plain(name="one")), stage.begin(Plain(name="lost"))
    stage.take_over(lost)
    stage.end(lost, may_live=True)
    stage.is_asked()
    assert lost.result is None, "it may live"
    stage.engine.error = EngineUnavailable("gone")
    stage.rounds(2)
    for each in (run, lost):
        stage.scheduler.standings[each.task.task_id] = ("DONE", None)
    stage.ended(lost)
    stage.rounds(8)  # in which a lost one would have been given up
    assert run.result is None
    stage.engine.error = None
    stage.ended(run)
    assert run.reported == "DONE"


def test_a_slot_is_free_once_the_scheduler_says_that_its_worker_runs_nothing(stage: Stage) -> None:
    first = stage.begin(Plain(name="one"))
    stage.end(first, is_hosts_fault=True, may_live=True)
    assert stage.ended(first).is_refused
    second = stage.begin(Plain(name="two"))
    assert second.spec["worker"] == first.spec["worker"]
    stage.take_over(second)
    stage.end(second, may_live=True)
    stage.is_asked()
    assert second.result is None, "it may live"
    assert stage.begin(Plain(name="three")).spec["worker"] != second.spec["worker"]
    stage.scheduler.standings[second.task.task_id] = ("FAILED", None)
    stage.ended(second)
    assert stage.begin(Plain(name="four")).spec["worker"] == second.spec["worker"]


def test_a_job_that_asks_another_scheduler_costs_its_task_no_failure_and_is_explained(stage: Stage) -> None:
    run = stage.begin(Plain(name="one"))
    stage.end(run, Returned(job_executor.SUPERSEDED, why="was not begun: see BSCHED_REDIS there"))
    result = stage.ended(run)
    assert (result.is_refused, run.reported) == (True, None) and "see BSCHED_REDIS there" in result.expl


def test_a_job_whose_run_is_anothers_by_now_is_superseded(stage: Stage) -> None:
    run = stage.begin(Plain(name="one"))
    stage.scheduler.standings[run.task.task_id] = ("RUNNING", "bert")
    stage.end(run, Returned(job_executor.SUPERSEDED, why="was not begun"))
    assert (stage.ended(run).is_refused, run.reported) == (False, job_executor.SUPERSEDED)


def test_a_run_that_was_handed_over_to_a_job_that_has_not_heard_so_is_given_back_in_its_name(stage: Stage) -> None:
    run = stage.begin(Plain(name="one"))
    stage.take_over(run)
    stage.end(run, Returned("", why="can't be run on node-7", is_hosts_fault=True))
    stage.ended(run)
    assert run.reported == "PENDING"
    assert stage.scheduler.released == [{"task_id": run.task.task_id, "worker": run.spec["worker"], "attempt": 1}]


def test_an_executor_that_can_not_begin_lets_go_of_its_engine() -> None:
    made = Stage()
    made.engine.error = EngineUnavailable("gone")
    with pytest.raises(EngineUnavailable):
        made.executor.__enter__()
    assert made.engine.is_closed


def test_refusals_of_a_family_begin_anew_once_a_job_has_run_one_of_it(stage: Stage) -> None:
    scheduler, registration = MagicMock(), MagicMock(known=None)
    work_source = WorkSource(scheduler, "anna", registration, MagicMock())
    reports = RunReports(registration, work_source, True)

    def run_and_end(name: str, returned: Returned) -> None:
        run = stage.begin(Plain(name=name))
        stage.end(run, returned)
        stage.ended(run)
        reports.note_run(run)

    unfit = Returned("", why="can't be run on node-7", is_hosts_fault=True)
    for name in ("one", "two"):
        run_and_end(name, unfit)
    run_and_end("two", Returned("DONE", RunResult("two", "DONE", json.dumps(None))))
    run_and_end("three", unfit)
    refused = [each.kwargs["seconds"] for each in scheduler.call.call_args_list if each.args == ("refuse_tasks",)]
    assert refused == [1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("allowed", "module", "said"),
    [
        ("etl.*", __name__, f"may not load tasks from {__name__}; allowed: etl.*."),
        ("json", "json", f"may not load tasks from {__name__}; allowed: json."),
        ("*", "json", "its scheduler was asked for"),
    ],
)
def test_a_job_loads_from_allowed_modules_only(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, allowed: str, module: str, said: str
) -> None:
    monkeypatch.setenv("BSCHED_WORKER_ALLOW_MODULES", allowed)
    monkeypatch.setattr(jobs, "scheduler_for", MagicMock(side_effect=ConfigurationError("its scheduler was asked for")))
    run = stage.begin(Plain(name="one"))
    returned = jobs.run_job({**run.spec, "module": module})
    assert said in returned["why"] and returned["is_unloadable"] == ("allowed" in said)
    assert "PYTHONPATH" not in returned["why"]


def test_a_run_that_ends_after_it_was_left_does_not_wake_its_worker() -> None:
    unseen, wakeup_socket = set[JobRun](), WakeupSocket()
    run = JobRun(Plain(name="one"), "job", {}, 0.0, lambda run: None, wakeup_socket, unseen)
    run.clean_up()
    run.conclude(RunResult("one", "DONE"), "DONE")
    assert (run.reported, unseen, wakeup_socket.clear()) == ("DONE", set(), False)

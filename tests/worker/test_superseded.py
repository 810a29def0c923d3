"""A run whose task was handed out anew, or has ended meanwhile, is ended, and neither fails nor succeeds its worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker_sched import LocalTarget, Task
from broker_sched.worker.executors.task_process import SchedulerCall
from broker_sched.worker.running_tasks import RunningTasks
from tests.servers import is_alive, until
from tests.worker.bodies import runs_of
from tests.worker.conftest import worker_on

pytestmark = pytest.mark.timeout(60)
OURS = pytest.mark.parametrize("scheduler", ["redis", "http"], indirect=True)


class Telling(Task):
    """Runs until it is ended, or the file `go` is there, and says how far it is all the time; then `ends`."""

    directory: str
    ends: str = "well"
    talks: bool = True

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/telling")

    def run(self) -> None:
        import os

        with Path(f"{self.directory}/telling.runs").open("a") as file:
            file.write(f"{os.getpid()}\n")
        while not Path(f"{self.directory}/go").exists():
            if self.talks:
                self.set_status_message(str(time.time()))  # type: ignore[attr-defined]  # attached for the run
            time.sleep(0.05)
        if self.ends == "badly":
            raise ValueError("the output is there already")


def runs(directory: str) -> list[int]:
    return runs_of(Path(f"{directory}/telling"))


def hand_to_another(scheduler: Any, task: Task, worker_id: str) -> int:
    """As when the worker was taken for dead, and the task retried. Returns the new attempt."""
    scheduler.add_task(worker="another", task_id=task.task_id)
    scheduler.release_task(task.task_id, worker_id)
    work = scheduler.get_work(worker="another")
    assert work["task_id"] == task.task_id
    return int(work["attempt"])


class Meanwhile(threading.Thread):
    """Once the task runs, do this."""

    def __init__(self, directory: str, act: Callable[[], None]) -> None:
        super().__init__()
        self._directory, self._act = directory, act
        self.start()

    def run(self) -> None:
        """See above."""
        until(lambda: runs(self._directory), "the task runs")
        self._act()


@OURS
def test_a_superseded_run_is_ended_at_its_next_word_and_nothing_is_reported_of_it(
    scheduler: Any, directory: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = Telling(directory)
    with worker_on(scheduler, worker_processes=2, max_tasks=1) as worker:
        worker.add(task)
        thread = Meanwhile(directory, lambda: hand_to_another(scheduler, task, worker.id) and None)
        assert worker.run(), "that another runs it now is no failure"
        thread.join()
    assert not is_alive(runs(directory)[0])
    assert scheduler.task_list()[task.task_id]["worker_running"] == "another"
    assert "does not count any more" in caplog.text and "runs on another now" in caplog.text
    assert scheduler.superseded_reports()["count"] >= 1
    summary = worker.summary()
    assert [each.task_id for each in summary.groups["superseded"]] == [task.task_id]
    assert "failed" not in summary.groups and "completed" not in summary.groups


@OURS
@pytest.mark.parametrize("ends", ["well", "badly"])
@pytest.mark.parametrize("processes", [1, 2])
def test_the_end_of_a_superseded_run_is_neither_failure_nor_success(
    scheduler: Any, directory: str, ends: str, processes: int
) -> None:
    """It says nothing before its end; with one process it runs in the worker's own, where nobody can end it."""
    task = Telling(directory, ends, talks=False)

    def act(worker_id: str) -> None:
        attempt = hand_to_another(scheduler, task, worker_id)
        scheduler.add_task(worker="another", task_id=task.task_id, status="DONE", attempt=attempt)
        Path(f"{directory}/go").touch()

    with worker_on(scheduler, worker_processes=processes, max_tasks=1) as worker:
        worker.add(task)
        thread = Meanwhile(directory, lambda: act(worker.id))
        assert worker.run()
        thread.join()
    assert scheduler.task_list()[task.task_id]["status"] == "DONE"
    assert list(worker.summary().groups) == ["done_elsewhere"], "neither completed here, nor failed"


@OURS
def test_a_worker_that_was_silent_hears_at_once_which_of_its_runs_are_superseded(
    scheduler: Any, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the task itself says nothing."""
    task = Telling(directory, talks=False)
    with worker_on(scheduler, worker_processes=2, max_tasks=1) as worker:

        def act() -> None:
            hand_to_another(scheduler, task, worker.id)
            assert worker._heartbeat is not None
            worker._heartbeat._was_silent = True  # as after a machine's sleep
            worker._heartbeat._on_return()

        worker.add(task)
        thread = Meanwhile(directory, act)
        assert worker.run()
        thread.join()
    assert not is_alive(runs(directory)[0])
    assert scheduler.task_list()[task.task_id]["worker_running"] == "another"


@OURS
def test_a_run_that_was_taken_for_dead_and_is_handed_out_here_again_goes_on(scheduler: Any, directory: str) -> None:
    task = Telling(directory)

    def act(worker_id: str) -> None:
        scheduler.release_task(task.task_id, worker_id)  # nobody else wants it
        until(lambda: scheduler.task_list()[task.task_id]["status"] == "RUNNING", "it is handed out again")
        Path(f"{directory}/go").touch()

    with worker_on(scheduler, worker_processes=3) as worker:
        worker.add(task)
        thread = Meanwhile(directory, lambda: act(worker.id))
        assert worker.run()
        thread.join()
    assert scheduler.task_list()[task.task_id]["status"] == "DONE"
    assert len(runs(directory)) == 1


@OURS
def test_a_worker_that_leaves_does_not_give_back_what_others_run(scheduler: Any, directory: str) -> None:
    task = Telling(directory, talks=False)
    with worker_on(scheduler, worker_processes=2, max_tasks=1) as worker:

        def act() -> None:
            hand_to_another(scheduler, task, worker.id)
            worker.drain(0.0)

        worker.add(task)
        thread = Meanwhile(directory, act)
        assert worker.run()
        thread.join()
    assert scheduler.task_list()[task.task_id]["worker_running"] == "another"


@pytest.mark.parametrize("scheduler", ["luigid"], indirect=True)
def test_a_stock_luigid_is_sent_no_attempts(scheduler: Any, directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    real = type(scheduler)._invoke
    monkeypatch.setattr(
        type(scheduler), "_invoke", lambda self, method, given: sent.append(given) or real(self, method, given)
    )
    task = Telling(directory)
    with worker_on(scheduler, worker_processes=2, max_tasks=1) as worker:
        worker.add(task)
        thread = Meanwhile(directory, Path(f"{directory}/go").touch)
        assert worker.run()
        thread.join()
    assert sent and not [given for given in sent if "attempt" in given]


def test_nothing_that_a_superseded_run_has_still_to_say_is_passed_on() -> None:
    class Run:
        attempt, is_superseded = 5, True

        def take_scheduler_calls(self) -> list[Any]:
            return [SchedulerCall("set_task_status_message", {"task_id": "t"})]

    running = RunningTasks()
    running._collect_calls(Run())  # type: ignore[arg-type]  # as much of a run as is looked at
    assert not running.scheduler_calls

"""What a review of the worker found, each as a test."""

from __future__ import annotations

import collections
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import luigi
import pytest

from broker_sched import DynamicRequirements, LocalTarget, Scheduler, Task
from broker_sched.worker import heartbeat
from broker_sched.worker.executors.reused_run import ReusedRun
from broker_sched.worker.executors.task_process import SchedulerCall, TaskProcess
from broker_sched.worker.status_reporter import StatusReporter
from tests.servers import until
from tests.worker.bodies import runs_of
from tests.worker.conftest import WITHOUT_RETRIES, statuses, worker_on

pytestmark = pytest.mark.timeout(60)


class Pooled(luigi.Task):  # type: ignore[misc]  # it has no types
    """Sends itself, with all that is attached to it, to the processes of a pool."""

    directory = luigi.Parameter()

    def output(self) -> Any:
        return luigi.LocalTarget(f"{self.directory}/pooled")

    def square(self, number: int) -> int:
        self.set_status_message("nobody hears this")
        return number * number

    def run(self) -> None:
        with multiprocessing.get_context("fork").Pool(2) as pool, self.output().open("w") as file:
            file.write(str(pool.map(self.square, range(4))))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_task_may_send_itself_to_a_pool(local: Scheduler, directory: str, processes: int) -> None:
    task = Pooled(directory=directory)
    with worker_on(local, worker_processes=processes) as worker:
        worker.add(task)
        assert worker.run()
    assert Path(directory, "pooled").read_text() == "[0, 1, 4, 9]"


class InDirectory(Task):
    """Has an output of its own name."""

    directory: str

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/{type(self).__name__.lower()}")


class Cleans(InDirectory):
    """Starts a program that needs a moment to clean up."""

    def run(self) -> None:
        trap = f"trap 'sleep 0.5; touch {self.directory}/cleaned; exit' TERM"
        subprocess.call(["bash", "-c", f"{trap}; touch {self.directory}/ready; sleep 60 & wait"])


def test_the_programs_of_a_terminated_task_have_time_to_clean_up(local: Scheduler, directory: str) -> None:
    task = Cleans(directory=directory)

    def stop() -> None:
        until(Path(directory, "ready").exists, "it would clean up now")
        local.stop_task(task.task_id, disable=True)

    with worker_on(local, worker_processes=2, kill_after=10.0) as worker:
        worker.add(task)
        thread = threading.Thread(target=stop)
        thread.start()
        assert not worker.run()
        thread.join()
    assert Path(directory, "cleaned").exists()


class Lingers(InDirectory):
    """Leaves a thread that still does something."""

    def run(self) -> None:
        with self.output().open("w") as file:
            file.write("x")
        threading.Thread(target=self.upload).start()

    def upload(self) -> None:
        time.sleep(1)
        Path(self.directory, "uploaded").touch()


def test_a_thread_that_a_task_leaves_may_finish(local: Scheduler, directory: str) -> None:
    with worker_on(local, worker_processes=2, kill_after=10.0) as worker:
        worker.add(Lingers(directory=directory))
        assert worker.run()
    assert Path(directory, "uploaded").exists()


class Fruit(InDirectory):
    """Made by another task."""

    def run(self) -> None:
        Path(self.directory, "fruit").touch()


class Basket(DynamicRequirements):
    """Has its own way to tell whether all is there."""

    @property
    def paths(self) -> Any:
        return "a basket"

    def complete(self, complete_fn: Any = None) -> bool:
        return True


class Yields(InDirectory):
    """Notes what its yields give."""

    def run(self) -> Any:
        fruit = Fruit(directory=self.directory)
        kinds = [type((yield (fruit,))).__name__, type((yield [fruit])).__name__]
        kinds.append(type((yield collections.OrderedDict(a=fruit))).__name__)
        kinds.append(str((yield Basket([Fruit(directory="/nowhere")]))))
        with self.output().open("w") as file:
            file.write(" ".join(kinds))


def test_a_yield_gives_the_structure_that_was_yielded(local: Scheduler, directory: str) -> None:
    with worker_on(local) as worker:
        worker.add(Yields(directory=directory))
        assert worker.run()
    assert Path(directory, "yields").read_text() == "tuple list OrderedDict a basket"


def test_a_class_that_an_allowed_module_imported_from_elsewhere_is_not_loaded(local: Scheduler, tmp_path: Path) -> None:
    (tmp_path / "forbidden_tasks.py").write_text(
        "from broker_sched import Task\nclass Shell(Task):\n    def complete(self): return False\n"
        "    def run(self): raise AssertionError('it must not run')\n"
    )
    (tmp_path / "allowed_tasks.py").write_text("import forbidden_tasks\n")
    sys.path.insert(0, str(tmp_path))
    try:
        module = __import__("forbidden_tasks")
        task_id = module.Shell().task_id
        local.add_task(worker="attacker", task_id=task_id, family="Shell", module="allowed_tasks", params={})
        with worker_on(local, assistant=True, allow_modules=("allowed_*",)) as worker:
            assert worker.run()
    finally:
        sys.path.remove(str(tmp_path))
    assert "may not load tasks from forbidden_tasks" in local.fetch_error(task_id)["error"]


def test_what_cannot_be_loaded_keeps_nobody_from_the_rest(local: Scheduler, tasks: ModuleType, directory: str) -> None:
    local.add_task(worker="other", task_id="Strange_1", family="Strange", module="no.such.module", priority=9)
    task = tasks.Write(directory, "x")
    with worker_on(local, worker_processes=0) as owner:
        owner.add(task)
        with worker_on(local, assistant=True) as burst:
            assert burst.run()
        assert statuses(local, task) == ["DONE"]


@WITHOUT_RETRIES
def test_a_silence_reports_nothing_of_what_runs_or_has_failed(
    local: Scheduler, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running task may look complete before it is; a failed one waits for its retry."""
    running, failed = tasks.Endless(directory, "half"), tasks.Fail(directory)
    told: list[tuple[str, str]] = []
    real = local.add_task

    def add_task(**arguments: Any) -> Any:
        told.append((arguments["task_id"], arguments.get("status", "PENDING")))
        return real(**arguments)

    with worker_on(local, worker_processes=2) as worker:
        for task in (running, failed):
            worker.add(task)
        monkeypatch.setattr(local, "add_task", add_task, raising=False)
        thread = threading.Thread(target=worker.run)
        thread.start()
        until(lambda: runs_of(running.path()) and (failed.task_id, "FAILED") in told, "one runs, one has failed")
        running.path().write_text("half")
        told.clear()
        monkeypatch.setattr(heartbeat, "LONG_SECONDS", -1.0)
        worker._work_waiter.wake_worker()
        until(lambda: (running.task_id, "RUNNING") in told, "it tells what runs")
        monkeypatch.setattr(heartbeat, "LONG_SECONDS", 1000.0)
        worker.drain(0)
        thread.join()
    assert {status for task_id, status in told if task_id == running.task_id} == {"RUNNING"}
    assert failed.task_id not in [task_id for task_id, _ in told]


def miss_workers(scheduler: Scheduler) -> None:
    """Have a prune take every worker for dead, however lately it was heard of."""
    before = scheduler.config().worker_disconnect_delay
    for delay in (0.0, before):
        pruning = Scheduler(scheduler._url, scheduler.namespace.name, worker_disconnect_delay=delay)
        if delay == 0.0:
            pruning.prune()
        pruning.close()


@WITHOUT_RETRIES
@pytest.mark.parametrize("leaves", [False, True])
def test_a_full_or_leaving_worker_tells_after_a_silence_what_it_runs(
    local: Scheduler, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    task = tasks.Endless(directory, "x")
    with worker_on(local, force_multiprocessing=True, wait_interval=30.0) as worker:
        worker.add(task)
        thread = threading.Thread(target=worker.run)
        thread.start()
        until(lambda: runs_of(task.path()), "it runs")
        if leaves:
            worker.stop_asking()
        miss_workers(local)
        assert statuses(local, task) == ["FAILED"]
        monkeypatch.setattr(heartbeat, "LONG_SECONDS", -1.0)
        until(lambda: statuses(local, task) == ["RUNNING"], "it is known to run again")
        monkeypatch.setattr(heartbeat, "LONG_SECONDS", 1000.0)
        worker.drain(0)
        thread.join()


def test_of_many_reports_of_progress_the_latest_is_passed_on() -> None:
    process = TaskProcess.__new__(TaskProcess)
    process._output = None
    process.scheduler_calls = [
        SchedulerCall("set_task_progress_percentage", {"progress_percentage": number}) for number in range(5)
    ]
    process.scheduler_calls.insert(2, SchedulerCall("add_scheduler_message_response", {"response": "each one counts"}))
    assert [told.arguments for told in process.take_scheduler_calls()] == [
        {"response": "each one counts"},
        {"progress_percentage": 4},
    ]
    assert process.take_scheduler_calls() == []


def test_where_the_machine_is_exhausted_the_task_waits_for_room(
    local: Scheduler, tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = tasks.Slow(directory, "a"), tasks.Slow(directory, "b")
    real, starts = ReusedRun.start, []

    def start(self: ReusedRun) -> None:
        starts.append(self.task.task_id)
        if len(starts) == 2:
            raise OSError(errno.EMFILE, "Too many open files")
        real(self)

    monkeypatch.setattr(ReusedRun, "start", start)
    with worker_on(local, worker_processes=2) as worker:
        for task in (slow, other):
            worker.add(task)
        assert worker.run()
    assert statuses(local, slow, other) == ["DONE", "DONE"]
    assert len(starts) == 3


def test_sigusr1_stops_a_worker_also_while_it_asks_what_is_complete(local: Scheduler, tasks: ModuleType) -> None:
    with worker_on(local) as worker:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert worker.is_stopping
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_sigusr1_to_the_process_group_lets_a_task_finish(local: Scheduler, tasks: ModuleType, directory: str) -> None:
    task = tasks.Held(directory, "x")
    with worker_on(local, worker_processes=2) as worker:
        worker.add(task)

        def to_all() -> None:
            until(lambda: runs_of(task.path()), "it runs")
            for pid in (*runs_of(task.path()), os.getpid()):
                os.kill(pid, signal.SIGUSR1)
            task.go().touch()

        thread = threading.Thread(target=to_all)
        thread.start()
        assert worker.run()
        thread.join()
    assert statuses(local, task) == ["DONE"]


def test_a_reporter_in_another_process_reports_nothing() -> None:
    import pickle

    told: list[Any] = []
    reporter = StatusReporter(lambda method, arguments: told.append(method), "task", "worker", True)
    pickle.loads(pickle.dumps(reporter)).update_status_message("unheard")
    assert told == []

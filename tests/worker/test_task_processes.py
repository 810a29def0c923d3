"""Whatever becomes of a task's process, its worker goes on and the scheduler learns why."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from broker_sched.worker.executors.task_process import TaskProcess
from broker_sched.worker.module_trial import _end
from broker_sched.worker.run_task import RunOptions
from tests.harness import ROOT
from tests.servers import RunningRedis, die_with_parent, is_alive, until
from tests.worker.bodies import runs_of
from tests.worker.conftest import ended_workers, statuses, worker_on

pytestmark = pytest.mark.timeout(60)
START_METHODS = ["fork", "spawn", "forkserver"]


ENDS = {
    "exit0": "exited with code 0 before the task was through",
    "exit3": "exited with code 3",
    "SIGKILL": "killed (SIGKILL), possibly because the machine is out of memory",
    "half said": "killed (SIGKILL), possibly because the machine is out of memory",
    "SIGSEGV": "crashed (SIGSEGV",
    "SIGTERM": "terminated (SIGTERM)",
}


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("how", ENDS)
def test_a_process_that_vanishes_is_a_failure_with_its_reason(
    local: Any, tasks: ModuleType, directory: str, start_method: str, how: str
) -> None:
    task, other = tasks.Vanish(directory, how), tasks.Write(directory, "other")
    with worker_on(local, worker_processes=2, start_method=start_method) as worker:
        worker.add(task)
        worker.add(other)
        assert not worker.run()
    assert ENDS[how] in local.fetch_error(task.task_id)["error"]
    assert statuses(local, other) == ["DONE"]


@pytest.mark.parametrize("start_method", START_METHODS)
def test_tasks_run_whatever_the_start_method(local: Any, tasks: ModuleType, directory: str, start_method: str) -> None:
    root = tasks.Everything(directory)
    with worker_on(local, worker_processes=2, start_method=start_method) as worker:
        worker.add(root)
        assert worker.run()
    assert statuses(local, root) == ["DONE"]


def test_a_task_over_its_timeout_ends_with_all_it_started(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Sleep(directory)
    started = time.monotonic()
    with worker_on(local) as worker:
        worker.add(task)
        assert not worker.run()
    assert time.monotonic() - started < 15
    assert "ran longer than 3 s, its timeout" in local.fetch_error(task.task_id)["error"]
    child = int(Path(f"{task.path()}.child").read_text())
    until(lambda: not is_alive(child), "the task's own child is gone")


def test_a_task_that_ignores_sigterm_is_killed(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Stubborn(directory)
    with worker_on(local, kill_after=0.5) as worker:
        worker.add(task)
        assert not worker.run()
    assert "its timeout" in local.fetch_error(task.task_id)["error"]
    assert not is_alive(runs_of(task.path())[0])


def test_a_task_without_a_timeout_of_its_own_has_the_workers(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Vanish(directory, "SIGSTOP")
    with worker_on(local, timeout=0.5) as worker:
        worker.add(task)
        assert not worker.run()
    assert "ran longer than 0.5 s" in local.fetch_error(task.task_id)["error"]


def test_what_cannot_be_sent_to_a_new_process_is_a_failure(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Write(directory, "x")
    object.__setattr__(task, "lock", threading.Lock())
    with worker_on(local, worker_processes=2, start_method="spawn") as worker:
        worker.add(task)
        assert not worker.run()
    assert "pickle" in local.fetch_error(task.task_id)["error"]


def test_a_long_task_in_the_workers_own_process_keeps_the_heartbeat(
    local: Any, tasks: ModuleType, directory: str
) -> None:
    """The task ends only after a few heartbeats."""
    task, pings = tasks.Held(directory), []
    real_ping = local.ping

    def ping(**arguments: Any) -> Any:
        pings.append(runs_of(task.path()))
        if len([each for each in pings if each]) == 3:
            task.go().touch()
        return real_ping(**arguments)

    local.ping = ping
    with worker_on(local) as worker:
        worker.add(task)
        assert worker.run()


def test_leaving_the_context_ends_what_runs(local: Any, tasks: ModuleType, directory: str) -> None:
    task = tasks.Sleep(directory, 60.0)
    with pytest.raises(KeyboardInterrupt), worker_on(local, worker_processes=2) as worker:
        worker.add(task)
        threading.Thread(target=_interrupt_when_running, args=(task,), daemon=True).start()
        worker.run()
    assert not is_alive(runs_of(task.path())[0])


def test_sigusr1_lets_tasks_finish_and_takes_no_more(shared_redis: RunningRedis, local: Any, directory: str) -> None:
    process = _worker_process(shared_redis, local, directory, "Held")
    path = Path(directory)
    (runs,) = until(lambda: list(path.glob("*.runs")), "a task runs")
    process.send_signal(signal.SIGUSR1)
    runs.with_suffix(".go").touch()
    assert process.wait(20) == 0
    assert len(list(path.glob("*.runs"))) == len([p for p in path.iterdir() if p.suffix == ""]) == 1


def test_a_killed_workers_tasks_end_with_it(shared_redis: RunningRedis, local: Any, directory: str) -> None:
    process = _worker_process(shared_redis, local, directory, "Endless")
    path = Path(directory)
    (pid,) = until(lambda: runs_of(path / "Endless_0"), "a task runs")
    process.kill()
    process.wait()
    until(lambda: not is_alive(pid), "the task notices that its worker is gone")


def _worker_process(server: RunningRedis, scheduler: Any, directory: str, family: str) -> subprocess.Popen[bytes]:
    namespace = scheduler.namespace.name
    code = (
        "from broker_sched import Scheduler\n"
        "from tests.worker import luigi_tasks\n"
        "from tests.worker.conftest import worker_on\n"
        f"worker = worker_on(Scheduler({server.url!r}, {namespace!r}), force_multiprocessing=True)\n"
        "with worker:\n"
        f"    for number in range(3):\n        worker.add(luigi_tasks.{family}({directory!r}, str(number)))\n"
        "    raise SystemExit(0 if worker.run() else 1)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, preexec_fn=die_with_parent)


def _interrupt_when_running(task: Any) -> None:
    until(lambda: runs_of(task.path()), "the task runs")
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else's."""
    with subprocess.Popen(["sleep", "600"], preexec_fn=die_with_parent) as process:
        yield process
        process.kill()


def lives_on(process: subprocess.Popen[bytes]) -> None:
    """A signal takes a moment to end it."""
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)


def test_who_gets_the_number_of_a_task_process_that_has_ended_is_left_alone(
    tasks: ModuleType, directory: str, stranger: subprocess.Popen[bytes]
) -> None:
    run = TaskProcess(tasks.Write(directory, "x"), RunOptions("anna"), multiprocessing.get_context("fork"), 0, 1.0)
    run.start()
    until(run.poll, "it has ended")
    run._process._popen.pid = stranger.pid
    run.terminate()
    run.kill()
    run.wait_until_ended()
    run.clean_up()
    lives_on(stranger)


def test_before_a_task_process_is_started_there_is_nobody_to_end(
    tasks: ModuleType, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a number, psutil takes the current process, which would be the worker."""
    ended: list[psutil.Process] = []
    for name in ("terminate", "kill"):
        monkeypatch.setattr(psutil.Process, name, ended.append)
    run = TaskProcess(tasks.Write(directory, "x"), RunOptions("anna"), multiprocessing.get_context("fork"), 0, 1.0)
    run.terminate()
    run.kill()
    assert ended == []
    run.clean_up()


def test_who_gets_the_number_of_a_trial_that_has_ended_is_left_alone(stranger: subprocess.Popen[bytes]) -> None:
    trial: Any = multiprocessing.get_context("fork").Process(target=os._exit, args=(0,))
    trial.start()
    trial.join()
    trial._popen.pid = stranger.pid
    _end(trial)
    lives_on(stranger)


def test_a_worker_that_a_failed_test_leaves_in_a_thread_ends_with_it(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ended_workers(monkeypatch):
        worker = worker_on(local, assistant=True, keep_alive=True)
        thread = threading.Thread(target=worker.run)
        thread.start()
        until(lambda: local.worker_list(), "it is there")
    thread.join(20)
    assert not thread.is_alive()


FRAIL = """
import subprocess, sys, threading
from broker_sched.worker.executors.task_process import end_with_worker
programs = [subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], start_new_session=True) for _ in range(30)]
sys.stdin.readline()
for each in programs:
    threading.Thread(target=lambda each=each: (each.wait(), subprocess.os._exit(3))).start()
threading.Thread(target=end_with_worker, args=(1,)).start()
"""


def test_a_process_whose_worker_is_gone_ends_all_programs_though_it_would_end_with_the_first_of_them() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FRAIL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
    assert process.stdin is not None and process.stdout is not None
    pids = [int(process.stdout.readline()) for _ in range(30)]
    pids += [psutil.Process(pid).ppid() for pid in pids]
    process.stdin.write("go\n")
    process.stdin.close()
    assert process.wait(20) == -signal.SIGKILL
    until(lambda: not any(map(is_alive, pids)), "its programs are gone")
    process.stdout.close()

"""Signals to real programs: what runs is ended with all that it started, and given back; the exit code tells which."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.harness import RedisProcess
from tests.programs import PIPE, Program, environment_with
from tests.servers import die_with_parent, is_alive, until

pytestmark = pytest.mark.timeout(120)
EACH_SIGNAL = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
MODULE = """
import multiprocessing, os, subprocess, time
from broker_sched import LocalTarget, Task

class Programs(Task):
    '''A shell that leaves a child to itself, and one that it waits for.'''
    def output(self): return LocalTarget("programs")
    def run(self):
        script = "sleep 600 & echo $! >> pids; sleep 600 & echo $! >> pids; echo $$ >> pids; touch started; wait"
        subprocess.run(script, shell=True)

class Pools(Task):
    '''Ends its own processes by SIGTERM, as multiprocessing does.'''
    def output(self): return LocalTarget("pools")
    def run(self):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            made = str(pool.map(abs, [-1, -2]))
        with self.output().open("w") as file: file.write(made)

class Held(Task):
    def output(self): return LocalTarget("held")
    def run(self):
        open("started", "w").close()
        while not os.path.exists("go"): time.sleep(0.02)
        with self.output().open("w") as file: file.write("held")

class SlowToAsk(Task):
    '''Its deps take their time to say whether they are complete.'''
    number: int = 0
    def requires(self): return [] if self.number else [SlowToAsk(number=n) for n in (1, 2, 3)]
    def complete(self):
        if self.number:
            with open("pids", "a") as file: file.write(f"{os.getpid()}\\n")
            open("started", "w").close()
            time.sleep(600)
        return False
"""


class Commands:
    """`bsched …` in a directory of its own, on a namespace of its own."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.namespace = f"signals-{uuid.uuid4().hex[:8]}"
        self.url = url
        self.scheduler = Scheduler(self.url, self.namespace)
        self.where = ("--redis", self.url, "--namespace", self.namespace)
        self.processes: list[Program | subprocess.Popen[str]] = []
        (directory / "mine.py").write_text(MODULE)

    def start(self, *words: str) -> Program:
        """Begin, with signals as from a shell."""
        process = Program(*words, *self.where, cwd=self.directory)
        self.processes.append(process)
        return process

    def start_otherwise(self, *words: str, prepare: Callable[[], None], **streams: int) -> subprocess.Popen[str]:
        """Begin in a process that has been prepared."""
        command = [sys.executable, "-m", "bsched.main", *words, *self.where]
        process = subprocess.Popen(
            command, cwd=self.directory, env=environment_with(), text=True, preexec_fn=prepare, **streams
        )
        self.processes.append(process)
        return process

    def when_started(self) -> None:
        """Wait until its task does something."""
        until((self.directory / "started").exists, "the task runs")

    def pids(self) -> list[int]:
        """Of what was started."""
        return [int(word) for word in (self.directory / "pids").read_text().split()]

    def is_all_gone(self) -> bool:
        """Whether none of that lives."""
        return not any(is_alive(pid) for pid in self.pids())

    def statuses(self) -> list[str]:
        """Of the tasks."""
        return [task["status"] for task in self.scheduler.task_list("", "", limit=False).values()]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Commands]:
    yield from _programs(tmp_path, running("redis8").url)


def _programs(tmp_path: Path, url: str) -> Iterator[Commands]:
    made = Commands(tmp_path, url)
    yield made
    for process in made.processes:
        process.kill()
    if (tmp_path / "pids").exists():
        for pid in made.pids():
            with contextlib.suppress(psutil.Error):
                left = psutil.Process(pid)
                if left.cwd() == str(tmp_path):  # else it has ended, and its number is another's
                    left.kill()
    for process in made.processes:  # only now, since the programs hold its stdout, too
        process.communicate()
    made.scheduler.close()


@EACH_SIGNAL
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_gives_its_tasks_back_and_ends_what_they_started(
    program: Commands, number: signal.Signals, workers: str
) -> None:
    process = program.start("run", "mine", "Programs", "--workers", workers)
    program.when_started()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert "Interrupted: task processes were ended, their tasks given back." in said and "Traceback" not in said
    assert program.statuses() == ["PENDING"]
    until(program.is_all_gone, "its programs are gone", seconds=2)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupted_run_names_what_it_could_not_give_back(tmp_path: Path, workers: str) -> None:
    own = RedisProcess(tmp_path)
    with contextlib.contextmanager(_programs)(tmp_path, own.url) as program:
        process = program.start("run", "mine", "Programs", "--workers", workers, "--log-level", "error")
        program.when_started()
        own.kill()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "Not given back: Programs_" in said and "given back." not in said and "Traceback" not in said
        until(program.is_all_gone, "its programs are gone", seconds=2)


@EACH_SIGNAL
def test_what_asks_for_a_run_whether_tasks_are_complete_is_ended(program: Commands, number: signal.Signals) -> None:
    for command in ("run", "submit"):
        process = program.start(command, "mine", "SlowToAsk", "--parallel-scheduling")
        program.when_started()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 128 + number and "Interrupted" in said, said
        until(program.is_all_gone, "the processes that asked are gone")
        (program.directory / "started").unlink()
    assert program.scheduler.submission_list() == []


def test_a_closed_terminal_ends_a_run_like_sighup(program: Commands) -> None:
    """With its live line there."""
    controller, terminal = pty.openpty()

    def lead_a_session() -> None:
        die_with_parent()
        import fcntl
        import termios

        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    streams = {name: terminal for name in ("stdin", "stdout", "stderr")}
    process = program.start_otherwise("run", "mine", "Programs", prepare=lead_a_session, **streams)
    os.close(terminal)
    program.when_started()
    os.close(controller)
    assert process.wait(60) == 128 + signal.SIGHUP
    assert program.statuses() == ["PENDING"]
    until(program.is_all_gone, "its programs are gone", seconds=2)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_under_nohup_a_run_goes_on(program: Commands, workers: str) -> None:
    def ignore() -> None:
        die_with_parent()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = program.start_otherwise("run", "mine", "Held", "--workers", workers, prepare=ignore, stderr=PIPE)
    program.when_started()
    for each in (psutil.Process(process.pid), *psutil.Process(process.pid).children()):
        each.send_signal(signal.SIGHUP)
    (program.directory / "go").touch()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert program.statuses() == ["DONE"]


def test_a_task_may_end_processes_of_its_own_by_sigterm(program: Commands) -> None:
    process = program.start("run", "mine", "Pools")
    assert process.wait(60) == 0
    assert program.statuses() == ["DONE"]


@EACH_SIGNAL
def test_a_wait_is_ended_and_the_submission_goes_on(program: Commands, number: signal.Signals) -> None:
    submitted = program.start("submit", "mine", "Held")
    submission = submitted.communicate(timeout=60)[0].strip()
    process = program.start("wait", submission)
    until(lambda: psutil.Process(process.pid).num_threads() > 0 and _waits(process), "it waits")
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert f"{submission} goes on" in said and "Traceback" not in said
    assert program.scheduler.submission(submission=submission)["state"] == "ACTIVE"


def test_a_worker_gives_back_at_once_when_its_terminal_is_closed(program: Commands) -> None:
    program.start("submit", "mine", "Programs").wait(60)
    process = program.start("worker", "--processes", "2")
    program.when_started()
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGHUP, said
    assert "stopped; what ran was ended" in said
    assert program.statuses() == ["PENDING"]
    until(program.is_all_gone, "its programs are gone", seconds=2)


def _waits(process: Program) -> bool:
    """Whether it handles SIGTERM by now (Linux)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))

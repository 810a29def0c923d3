"""A worker that stands still for so long that its task is given to another: a paused VM, a laptop asleep."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.programs import Program, environment_with
from tests.servers import until

pytestmark = pytest.mark.timeout(120)
MODULE = """
import os, time
from broker_sched import LocalTarget, Task

class Load(Task):
    def output(self):
        return LocalTarget("table")

    def run(self):
        me = os.environ["ME"]
        open(f"started-{me}", "w").close()
        while not os.path.exists(f"go-{me}"):
            time.sleep(0.02)
        if self.output().exists():
            raise RuntimeError("the table is there already")
        open("table", "w").close()
"""


class Machines:
    """Workers that are called by letters, each with one process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "etl.py").write_text(MODULE)
        self.where = ("--redis", running("redis8").url, "--namespace", f"frozen-{uuid.uuid4().hex[:8]}")
        options = {"worker_disconnect_delay": 3.0, "retry_delay": 0.2}
        self.scheduler = Scheduler(self.where[1], self.where[3], prune_interval_seconds=None, **options)
        self.processes: dict[str, psutil.Process] = {}

    def bsched(self, me: str, *words: str) -> Program:
        """A command, with an environment of its own."""
        environment = environment_with(self.directory, ME=me)
        with (self.directory / f"log-{me}").open("a") as log:
            return Program(*words, *self.where, cwd=self.directory, env=environment, stdout=log, stderr=log)

    def worker(self, me: str) -> None:
        """Start one, and wait until it has begun the task."""
        self.processes[me] = psutil.Process(self.bsched(me, "worker", "--module", "etl", "--processes", "1").pid)
        until(lambda: (self.directory / f"started-{me}").exists(), f"{me} runs the task")

    def all_of(self, me: str) -> list[psutil.Process]:
        """The worker and its task process."""
        return [self.processes[me], *self.processes[me].children(recursive=True)]

    def status(self) -> str:
        """Of the one task."""
        self.scheduler.prune()
        return str(next(iter(self.scheduler.task_list().values()))["status"])

    def go(self, me: str) -> None:
        """Let the run on this machine go on to its end."""
        (self.directory / f"go-{me}").touch()

    def log(self, me: str) -> str:
        """What it has written."""
        return (self.directory / f"log-{me}").read_text()

    def close(self) -> None:
        """End them all."""
        for process in self.processes.values():
            process.kill()
        self.scheduler.close()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    made = Machines(tmp_path)
    assert made.bsched("submitter", "submit", "etl", "Load").wait(30) == 0
    yield made
    made.close()


def freeze_a_until_b_runs_it(machines: Machines) -> list[psutil.Process]:
    machines.worker("a")
    frozen = machines.all_of("a")
    for process in frozen:
        process.suspend()
    until(lambda: machines.status() != "RUNNING", "it is missed")
    machines.worker("b")
    return frozen


def test_the_late_failure_of_a_frozen_run_does_not_undo_done(machines: Machines) -> None:
    frozen = freeze_a_until_b_runs_it(machines)
    machines.go("b")
    until(lambda: machines.status() == "DONE", "b has done it")
    machines.go("a")
    for process in frozen:
        process.resume()
    until(lambda: "does not count any more" in machines.log("a"), "a hears it")
    assert machines.status() == "DONE"


def test_a_frozen_run_that_is_superseded_is_ended_when_its_worker_comes_back(machines: Machines) -> None:
    frozen = freeze_a_until_b_runs_it(machines)
    until(lambda: "silent" in machines.log("a") or _resumed_for(frozen, 12), "it was away for long")
    until(lambda: "does not count any more" in machines.log("a"), "a hears it, though its task says nothing")
    psutil.wait_procs(frozen[1:], timeout=30)
    assert not any(process.is_running() for process in frozen[1:]), "its task process has ended"
    assert machines.status() == "RUNNING"
    machines.go("b")
    until(lambda: machines.status() == "DONE", "b does it")


def _resumed_for(frozen: list[psutil.Process], seconds: float) -> bool:
    """Once they stood still for so long that the worker itself notices, let them go on."""
    import time

    since = frozen[0].create_time()
    if time.time() - since < seconds + 3:
        return False
    for process in frozen:
        process.resume()
    return True

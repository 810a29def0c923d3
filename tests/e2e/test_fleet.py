"""A fleet of `bsched worker` runs what two `bsched run --workers 0` schedule and wait for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.http.harness import ROOT
from tests.servers import die_with_parent, until

pytestmark = pytest.mark.timeout(240)
LAYERS, WIDTH = 10, 30
NOT_RUN = 25  # exit code
MODULE = """
import os
from broker_sched import LocalTarget, Task

WORKER = os.getpid()  # a worker imports this, and forks

class Cell(Task):
    layer: int
    column: int

    def requires(self):
        return [Cell(layer=self.layer - 1, column=(self.column + n) % 30) for n in (0, 1, 7)] if self.layer else []

    def output(self):
        return LocalTarget(f"out/{self.layer}-{self.column}")

    def run(self):
        with open("runs", "a") as file:
            file.write(f"{self.layer}-{self.column} {WORKER}\\n")
        with self.output().open("w") as file:
            file.write("done")

class Half(Task):
    first: int

    def requires(self):
        return [Cell(layer=9, column=(self.first + n) % 30) for n in range(20)]

    def output(self):
        return LocalTarget(f"out/half-{self.first}")

    def run(self):
        with self.output().open("w") as file:
            file.write("done")
"""


class Fleet:
    """Real processes on one namespace, in one directory."""

    def __init__(self, directory: Path) -> None:
        (directory / "out").mkdir()
        (directory / "cells.py").write_text(MODULE)
        self.directory = directory
        self.namespace = f"fleet-{uuid.uuid4().hex[:8]}"
        self.redis_url = running("redis8").url
        self.scheduler = Scheduler(self.redis_url, self.namespace, worker_disconnect_delay=3.0, retry_delay=0.5)
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A `bsched` command."""
        path = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
        where = ("--redis", self.redis_url, "--namespace", self.namespace)
        process = subprocess.Popen(
            [sys.executable, "-m", "bsched.main", *words, *where, "--log-level", "error"],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=die_with_parent,
        )
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen[str]:
        """One of the fleet."""
        return self.start("worker", "--processes", "2")

    def submit(self, first: str) -> subprocess.Popen[str]:
        """A pipeline, and whoever waits for it."""
        watching = (
            "--workers",
            "0",
            "--set",
            "keep_alive=true",
            "--set",
            "wait_interval=0.2",
            "--set",
            "wait_jitter=0",
        )
        return self.start("run", "cells", "Half", "--first", first, *watching)

    def runs(self) -> list[str]:
        """Of cells, each with the pid of the worker that ran it."""
        log = self.directory / "runs"
        return log.read_text().splitlines() if log.exists() else []

    def end(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.scheduler.close()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.end()


def finish(fleet: Fleet, *submitters: subprocess.Popen[str]) -> None:
    """Until both have what they wait for, and the fleet has left at a SIGTERM."""
    for submitter in submitters:
        said, _ = submitter.communicate(timeout=180)
        assert submitter.returncode == NOT_RUN, said  # by itself: others have run it all
    workers = [process for process in fleet.processes if process not in submitters and process.poll() is None]
    for worker in workers:
        worker.terminate()
    for worker in workers:
        said, _ = worker.communicate(timeout=30)
        assert worker.returncode == 0, said
    assert set(fleet.scheduler.task_list(limit=False)) == set(fleet.scheduler.task_list("DONE", limit=False))
    assert fleet.scheduler.verify() == []


def test_each_task_of_overlapping_pipelines_runs_once(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.worker()
    halves = [fleet.submit(first) for first in ("0", "10")]
    finish(fleet, *halves)
    runs = Counter(line.split()[0] for line in fleet.runs())
    assert len(runs) == LAYERS * WIDTH and set(runs.values()) == {1}
    assert len({line.split()[1] for line in fleet.runs()}) == 3, "all three had a share"


def test_workers_may_be_killed_and_added_meanwhile(fleet: Fleet) -> None:
    doomed = [fleet.worker() for _ in range(2)]
    fleet.worker()
    halves = [fleet.submit(first) for first in ("0", "10")]
    for number, worker in enumerate(doomed, start=1):
        until(lambda number=number: len(fleet.runs()) > 60 * number, "the fleet works", 60)
        worker.send_signal(signal.SIGKILL)
        fleet.worker()
    killed = {str(worker.pid) for worker in doomed}
    finish(fleet, *halves)
    runs = fleet.runs()
    assert len({line.split()[0] for line in runs}) == LAYERS * WIDTH
    again = Counter(line.split()[0] for line in runs)
    for name, count in again.items():
        if count > 1:  # it ran on a worker that was killed
            assert any(line.split()[1] in killed for line in runs if line.split()[0] == name), name
    assert sum(again.values()) - len(again) <= 4, "no more than what two killed workers ran"


def test_a_draining_worker_leaves_what_it_has_not_begun(fleet: Fleet) -> None:
    first, _second = fleet.worker(), fleet.worker()
    half = fleet.submit("0")
    until(lambda: len(fleet.runs()) > 40, "the fleet works", 60)
    first.terminate()
    said, _ = first.communicate(timeout=30)
    assert first.returncode == 0, said
    finish(fleet, half)
    assert set(Counter(line.split()[0] for line in fleet.runs()).values()) == {1}

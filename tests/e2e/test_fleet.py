"""A fleet of `bsched worker` runs what two `bsched submit` have left behind."""

from __future__ import annotations

import contextlib
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.nightly import by_night, only_by_night
from tests.programs import STDOUT, Program, environment_with
from tests.servers import until

pytestmark = pytest.mark.timeout(240)
LAYERS, WIDTH, SLOTS = by_night(10, 2), 50, 6
A_WHILE = by_night(60, 20)  # runs
IDLE_SECONDS = 4.5  # less than what a worker waits that nobody wakes
MODULE = """
import os
from broker_sched import LocalTarget, Task

LAYERS = int(os.environ["CELL_LAYERS"])
WORKER = os.getpid()  # a worker imports this, and forks

class Cell(Task):
    layer: int
    column: int

    def requires(self):
        return [Cell(layer=self.layer - 1, column=(self.column + n) % 50) for n in (0, 1, 7)] if self.layer else []

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
        return [Cell(layer=LAYERS - 1, column=(self.first + n) % 50) for n in range(35)]

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
        # Once: a program that reads it while another writes it anew finds it empty.
        (directory / "preloaded.py").write_text("import broker_sched.worker.executors.rq.job\nimport cells\n")
        self.directory = directory
        self.namespace = f"fleet-{uuid.uuid4().hex[:8]}"
        self.redis_url = running("redis8").url
        self.scheduler = Scheduler(self.redis_url, self.namespace, worker_disconnect_delay=8.0, retry_delay=0.5)
        self.processes: list[Program] = []

    def start(self, *words: str) -> Program:
        """A `bsched` command."""
        return self.run("bsched.main", *words, "--redis", self.redis_url, "--namespace", self.namespace)

    def run(self, *words: str) -> Program:
        """A Python program."""
        module, *others = words
        environment = environment_with(self.directory, CELL_LAYERS=str(LAYERS))
        process = Program(*others, program=module, cwd=self.directory, env=environment, stderr=STDOUT)
        self.processes.append(process)
        return process

    def worker(self) -> Program:
        """One of the fleet."""
        return self.start("worker", "--processes", "2", "--log-level", "error")

    def supervisor(self) -> Program:
        """One whose tasks run on rq workers."""
        more = ("--rq-queue", self.namespace, "--log-level", "error")
        return self.start("worker", "--executor", "rq", *more)

    def rq_worker(self) -> Program:
        """A stock one, which has imported the tasks."""
        options = ("--url", self.redis_url, "--serializer", "json", "--config", "preloaded", "--quiet")
        return self.run("rq.cli", "worker", *options, self.namespace)

    def submit(self, first: str) -> str:
        """A pipeline; who submits it leaves. Returns the submission."""
        submitter = self.start("submit", "cells", "Half", "--first", first, "--log-level", "error")
        said, _ = submitter.communicate(timeout=60)
        assert submitter.returncode == 0, said
        return str(said.split()[-1])

    def runs(self) -> list[str]:
        """Of cells, each with the pid of the worker that ran it."""
        log = self.directory / "runs"
        return log.read_text().splitlines() if log.exists() else []

    def events(self) -> list[dict[str, str]]:
        """Every change of a task's status, in order."""
        client = self.scheduler._client
        return [fields for _, fields in client.xrange(self.scheduler.namespace.key("events"))]

    def workers(self) -> list[Program]:
        """Those that live."""
        return [each for each in self.processes if "worker" in each.args and each.poll() is None]

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


def finish(fleet: Fleet, *submissions: str) -> None:
    """Until the submissions have ended well, and the fleet has left at a SIGTERM."""
    for submission in submissions:
        waiting = fleet.start("wait", submission)
        said, _ = waiting.communicate(timeout=180)
        assert waiting.returncode == 0, said
    for worker in fleet.workers():
        worker.terminate()
    for worker in fleet.workers():
        said, _ = worker.communicate(timeout=30)
        assert worker.returncode == 0, said
    assert set(fleet.scheduler.task_list(limit=False)) == set(fleet.scheduler.task_list("DONE", limit=False))
    assert fleet.scheduler.verify() == []


def longest_idle(fleet: Fleet, since: float) -> float:
    """How long, at the most, a task was ready and a slot was free, as the stream of events tells it (s)."""
    deps = {task_id: set(task["deps"]) for task_id, task in fleet.scheduler.graph().items()}
    done: set[str] = set()
    running: set[str] = set()
    longest, idle_since = 0.0, None
    for event in fleet.events():
        now, task_id = float(event["time"]), event["task_id"]
        if idle_since is not None and idle_since > since:
            longest = max(longest, now - idle_since)
        (running.add if event["to"] == "RUNNING" else running.discard)(task_id)
        if event["to"] == "DONE":
            done.add(task_id)
        is_ready = any(needed <= done for each, needed in deps.items() if each not in done and each not in running)
        idle_since = now if is_ready and len(running) < SLOTS else None
    return longest


def test_each_task_of_overlapping_pipelines_runs_once(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.worker()
    halves = [fleet.submit(first) for first in ("0", "15")]
    submitted = time.time()
    finish(fleet, *halves)
    assert longest_idle(fleet, submitted) < IDLE_SECONDS
    runs = Counter(line.split()[0] for line in fleet.runs())
    assert len(runs) == LAYERS * WIDTH and set(runs.values()) == {1}
    assert len({line.split()[1] for line in fleet.runs()}) == 3, "all three had a share"


def test_workers_may_be_killed_and_added_meanwhile(fleet: Fleet) -> None:
    doomed = [fleet.worker() for _ in range(2)]
    fleet.worker()
    halves = [fleet.submit(first) for first in ("0", "15")]
    for number, worker in enumerate(doomed, start=1):
        until(lambda number=number: len(fleet.runs()) > A_WHILE * number, "the fleet works", 60)
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
    until(lambda: len(fleet.runs()) > A_WHILE, "the fleet works", 60)
    first.terminate()
    said, _ = first.communicate(timeout=30)
    assert first.returncode == 0, said
    finish(fleet, half)
    assert set(Counter(line.split()[0] for line in fleet.runs()).values()) == {1}


@only_by_night  # executors/test_grid.py
def test_on_rq_workers_work_horses_may_be_killed(fleet: Fleet) -> None:
    rq_workers = [fleet.rq_worker() for _ in range(3)]
    fleet.supervisor()
    halves = [fleet.submit(first) for first in ("0", "15")]
    for number, rq_worker in enumerate(rq_workers, start=1):
        until(lambda number=number: len(fleet.runs()) > A_WHILE * number, "the fleet works", 60)
        parent = psutil.Process(rq_worker.pid)
        (horse, *_) = until(lambda parent=parent: parent.children(), "it has a work-horse")
        with contextlib.suppress(psutil.NoSuchProcess):  # it was quicker
            horse.kill()
    finish(fleet, *halves)
    runs = Counter(line.split()[0] for line in fleet.runs())
    assert len(runs) == LAYERS * WIDTH
    assert sum(runs.values()) - len(runs) <= len(rq_workers), "no more than what was killed runs again"
    assert {line.split()[1] for line in fleet.runs()} == {str(each.pid) for each in rq_workers}

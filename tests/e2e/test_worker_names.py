"""Workers with a fixed name: one that its task kills again and again, and two of one name by mistake."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.programs import Program, environment_with
from tests.servers import until

pytestmark = pytest.mark.timeout(180)
MODULE = """
import os, signal, time
from broker_sched import LocalTarget, Task

WORKER = os.getpid()  # which imports this, and forks

class Poison(Task):
    def output(self):
        return LocalTarget("never")

    def run(self):
        with open("starts", "a") as file:
            file.write("start ")
        if os.getppid() == WORKER:
            os.kill(WORKER, signal.SIGKILL)
        time.sleep(60)

class Patient(Task):
    def output(self):
        return LocalTarget("done")

    def run(self):
        open("begun", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.02)
        open("done", "w").close()
"""


class Place:
    """A directory, a namespace, and `bsched` commands in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "names.py").write_text(MODULE)
        self.where = ("--redis", running("redis8").url, "--namespace", f"names-{uuid.uuid4().hex[:8]}")
        options = {"retry_count": 3, "retry_delay": 0.2}
        self.scheduler = Scheduler(self.where[1], self.where[3], prune_interval_seconds=None, **options)
        self.started: list[Program] = []

    def bsched(self, *words: str, log: str = "log") -> Program:
        """A command, whose output is in a file."""
        environment = environment_with(self.directory)
        with (self.directory / log).open("a") as file:
            process = Program(*words, *self.where, cwd=self.directory, env=environment, stdout=file, stderr=file)
        self.started.append(process)
        return process

    def worker(self, log: str = "log") -> Program:
        """One that is called x."""
        return self.bsched("worker", "--name", "x", "--processes", "1", "--module", "names", log=log)

    def read(self, name: str) -> str:
        """A file's text, as far as there is one."""
        path = self.directory / name
        return path.read_text() if path.exists() else ""

    def task(self) -> dict[str, object]:
        """The one that was submitted."""
        self.scheduler.prune()
        return dict(next(iter(self.scheduler.task_list().values())))

    def close(self) -> None:
        """End everything."""
        for process in self.started:
            if process.poll() is not None:  # its number may be another's by now
                continue
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()
            process.wait()
        self.scheduler.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    assert made.scheduler.verify() == []
    made.close()


def test_a_task_that_kills_its_worker_is_disabled_though_the_same_name_comes_back_at_once(place: Place) -> None:
    assert place.bsched("submit", "names", "Poison").wait(60) == 0
    worker = place.worker()

    def is_disabled() -> bool:
        nonlocal worker
        if worker.poll() is not None:  # as a service manager does
            worker = place.worker()
        return place.task()["status"] == "DISABLED"

    until(is_disabled, "it has failed too often", 120)
    assert place.read("starts").split() == ["start"] * 3
    task_id = next(iter(place.scheduler.task_list()))
    assert "Worker x (host " in str(place.scheduler.fetch_error(task_id)["error"])
    assert "Does this task kill its worker?" in str(place.scheduler.fetch_error(task_id)["error"])


def test_a_second_worker_of_a_name_is_refused_and_the_first_ones_task_goes_on(place: Place) -> None:
    assert place.bsched("submit", "names", "Patient").wait(60) == 0
    first = place.worker()
    until(lambda: (place.directory / "begun").exists(), "the first one runs the task")
    second = place.worker(log="second")
    assert second.wait(60) not in (0, None)
    assert "has this name, runs tasks" in place.read("second") and "--name" in place.read("second")
    assert "Traceback" not in place.read("second")
    assert first.poll() is None and place.task()["status"] == "RUNNING"
    (place.directory / "go").touch()
    until(lambda: place.task()["status"] == "DONE", "the first one has done it")


def test_of_two_idle_workers_of_a_name_the_first_leaves_and_says_why(place: Place) -> None:
    first = place.worker(log="first")
    until(lambda: place.scheduler.worker_list(), "the first one is known")
    second = place.worker(log="second")
    assert first.wait(60) not in (0, None)
    assert "is the one of this name now" in place.read("first") and "Traceback" not in place.read("first")
    assert second.poll() is None


def test_a_worker_that_waited_for_the_end_of_a_former_one_of_its_name_begins(place: Place) -> None:
    """What its heartbeat was told meanwhile, that another one has the name, is over then."""
    assert place.bsched("submit", "names", "Patient").wait(60) == 0
    first = place.worker()
    until(lambda: (place.directory / "begun").exists(), "the first one runs the task")
    first.kill()
    first.wait()
    (place.directory / "go").touch()
    second = place.worker(log="second")
    until(lambda: place.task()["status"] == "DONE", "the second one has done it", 60)
    assert "this one begins in a few seconds" in place.read("second"), "the second one had nothing to wait for"
    assert second.poll() is None, place.read("second")

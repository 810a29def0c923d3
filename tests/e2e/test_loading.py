"""A worker that can't load a task costs nobody else anything: real processes on one scheduler."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_sched import Scheduler
from tests.conftest import running
from tests.programs import STDOUT, Program, environment_with
from tests.servers import until

pytestmark = pytest.mark.timeout(240)
TASKS, DAYS = 8, 22
MODULE = """
import os
from typing import Annotated
from broker_sched import LocalTarget, Parameter, Task, WrapperTask

class Write(Task):
    name: str

    def output(self):
        return LocalTarget(os.path.join(DIRECTORY, f"{self.name}.out"))

    def run(self):
        with self.output().open("w") as file:
            file.write(f"{os.environ['FLEET']}")

class Some(Write):
    def requires(self):
        return [Write(name=f"{self.name}{number}") for number in range(5)]

class Days(Task):
    day: Annotated[str, Parameter(batch_method=",".join)]
    max_batch_size = 4

    def days(self):
        return self.day.split(",")

    def complete(self):
        return all(os.path.exists(os.path.join(DIRECTORY, f"{day}.day")) for day in self.days())

    def run(self):
        with open(os.path.join(DIRECTORY, "batches"), "a") as file:
            file.write(f"{len(self.days())}\\n")
        for day in self.days():
            open(os.path.join(DIRECTORY, f"{day}.day"), "w").close()

class Week(WrapperTask):
    def requires(self):
        return [Days(day=str(number)) for number in range(22)]
"""
SCRIPT = """
import os, sys, time
from broker_sched import Scheduler, Worker
from private import Write

with Worker(Scheduler(os.environ["BSCHED_REDIS"], os.environ["BSCHED_NAMESPACE"]), worker_processes=2) as worker:
    for number in range(8):
        worker.add(Write(name=str(number)))
    print("scheduled", flush=True)
    until = time.time() + 60
    while not os.path.exists("go") and time.time() < until:
        time.sleep(0.02)
    print("succeeded", worker.run(), flush=True)
"""


class Place:
    """Directories, each with modules of its own, and processes in them, on one namespace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.namespace = f"loading-{uuid.uuid4().hex[:8]}"
        self.redis_url = running("redis8").url
        self.scheduler = Scheduler(self.redis_url, self.namespace)
        self.processes: list[Program] = []

    def directory(self, name: str, **files: str) -> Path:
        """One with these modules in it; what their tasks make is there, too."""
        directory = self.root / name
        directory.mkdir(exist_ok=True)
        for module, body in files.items():
            (directory / f"{module}.py").write_text(f"DIRECTORY = {str(directory)!r}\n{body}")
        return directory

    def start(self, directory: Path, *words: str, program: str = "bsched.main", fleet: str = "") -> Program:
        """`bsched …` there, or another program; what is importable is what is in the directory, and our own."""
        where = {"BSCHED_REDIS": self.redis_url, "BSCHED_NAMESPACE": self.namespace}
        environment = environment_with(directory, **where, FLEET=fleet)
        with (self.root / f"log-{len(self.processes)}").open("w") as log:
            process = Program(*words, program=program, cwd=directory, env=environment, stdout=log, stderr=STDOUT)
        self.processes.append(process)
        return process

    def worker(self, directory: Path, *words: str, fleet: str = "") -> Program:
        """One of a fleet, known to the scheduler when this returns."""
        name = f"w{len(self.processes)}"
        process = self.start(directory, "worker", "--processes", "2", "--name", name, *words, fleet=fleet)
        until(lambda: name in self.waiting(), f"{name} waits for work", 60)
        return process

    def submit(self, directory: Path, *words: str) -> None:
        """Submit and leave."""
        process = self.start(directory, "submit", *words)
        assert process.wait(60) == 0, self.said(process)

    def waiting(self) -> set[str]:
        """The ids of workers that wait for work."""
        client, namespace = self.scheduler._client, self.scheduler.namespace
        numbers = client.zrange(namespace.key("idle_assistants"), 0, -1)
        return set(client.hmget(namespace.key("worker_ids"), numbers)) if numbers else set()

    def said(self, process: Program) -> str:
        """What it has written so far."""
        return (self.root / f"log-{self.processes.index(process)}").read_text()

    def only_task(self) -> dict[str, str]:
        """The one that there is, and its status. A list misses it at times, as workers take it and give it back."""
        found: dict[str, str] = {}

        def is_listed() -> bool:
            found.update(self.statuses())
            return len(found) == 1

        until(is_listed, "the task is listed", 60)
        return found

    def statuses(self) -> dict[str, str]:
        """Of all tasks."""
        return {task_id: str(task["status"]) for task_id, task in self.scheduler.task_list().items()}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()
    client = made.scheduler._client
    for key in list(client.scan_iter(match=f"{made.scheduler.namespace.prefix}*", count=1000)):
        client.delete(key)
    made.scheduler.close()


@pytest.mark.parametrize("is_main", [False, True], ids=["a module", "__main__"])
def test_an_idle_worker_in_an_empty_directory_fails_nobodys_tasks(place: Place, is_main: bool) -> None:
    idle = place.worker(place.directory("empty"))
    body = MODULE + SCRIPT.replace("from private import Write", "") if is_main else SCRIPT
    directory = place.directory("script", private=MODULE, script=body)
    script = place.start(directory, program=str(directory / "script.py"))
    until(lambda: "can't be loaded here" in place.said(idle), "the idle worker was handed out one of them", 60)
    until(lambda: "scheduled" in place.said(script), "all are scheduled", 60)
    (directory / "go").touch()
    assert script.wait(60) == 0
    assert "succeeded True" in place.said(script)
    assert len(list(directory.glob("*.out"))) == TASKS
    assert list(place.statuses().values()) == ["DONE"] * TASKS
    errors = [place.scheduler.fetch_error(task_id)["error"] or "" for task_id in place.statuses()]
    assert not any("can't load" in error for error in errors), errors
    warned = place.said(idle).count("can't be loaded here")
    assert warned == 1, "once for all that can't be loaded for the same reason"


def test_two_fleets_with_different_modules_get_each_exactly_its_own(place: Place) -> None:
    directory = place.directory("all", etl_load=MODULE, ml_train=MODULE)
    for module in ("etl_*", "ml_*"):
        for _ in range(2):
            place.worker(directory, "--allow-module", module, fleet=module)
    place.submit(directory, "etl_load", "Some", "--name", "etl")
    place.submit(directory, "ml_train", "Some", "--name", "ml")
    until(lambda: len(list(directory.glob("*.out"))) == 12, "all have run", 60)
    for made in directory.glob("*.out"):
        assert made.read_text() == ("etl_*" if made.name.startswith("etl") else "ml_*"), made.name
    assert "can't be loaded" not in "".join(map(place.said, place.processes))


def test_what_everybody_refuses_waits_with_the_reason_until_one_comes_who_can(place: Place) -> None:
    empty = place.directory("empty")
    for _ in range(2):
        place.worker(empty)
    directory = place.directory("full", private=MODULE)
    place.submit(directory, "private", "Write", "--name", "x")
    (task_id,) = place.only_task()
    until(
        lambda: all("can't be loaded" in place.said(each) for each in place.processes[:2]), "both have refused it", 60
    )
    until(lambda: place.waiting() == {"w0", "w1"}, "they wait for other work", 60)
    assert place.statuses() == {task_id: "PENDING"}
    error = place.scheduler.fetch_error(task_id)["error"]
    assert (
        "No module named 'private'" in error and "Worker w" in error and f"(host {os.uname().nodename}, pid " in error
    )
    place.start(directory, "worker", "--processes", "1", fleet="full")
    until((directory / "x.out").exists, "the one who can load it runs it", 60)
    until(lambda: place.statuses() == {task_id: "DONE"}, "and says so", 60)
    assert "can't load" not in str(place.scheduler.fetch_error(task_id)["error"])


def test_a_fleet_runs_batchable_tasks_in_batches(place: Place) -> None:
    directory = place.directory("batches", days=MODULE)
    place.submit(directory, "days", "Week")
    for _ in range(2):
        place.worker(directory)
    until(lambda: len(list(directory.glob("*.day"))) == DAYS, "all days are made", 60)
    until(lambda: set(place.statuses().values()) == {"DONE"}, "and done", 60)
    sizes = [int(line) for line in (directory / "batches").read_text().split()]
    assert sum(sizes) == DAYS, "each day once"
    assert max(sizes) == 4, "up to max_batch_size"
    assert sizes.count(1) <= 4, "what each worker took before it knew the family, and what was left over"

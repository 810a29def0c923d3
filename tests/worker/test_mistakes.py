"""What a user gets wrong in a task is said in one sentence: which task, what is wrong, what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import luigi
import pytest

from broker_sched import ConfigurationError, LocalTarget, RemoteScheduler, Scheduler, Task, Worker, submit
from broker_sched.tasks.protocol import TaskTypeError
from broker_sched.worker.submit import Submitter
from tests.harness import ROOT
from tests.servers import RunningRedis
from tests.worker.conftest import WITHOUT_RETRIES, statuses, worker_on

pytestmark = pytest.mark.timeout(60)
BASES = [Task, luigi.Task]
both_kinds = pytest.mark.parametrize("base", BASES, ids=["native", "luigi"])


def task_of(base: Any, name: str, **body: Any) -> Any:
    """A task of a class with this body; never complete where it does not say."""
    return type(name, (base,), {"complete": lambda self: False, "__module__": __name__, **body})()


def error_of(local: Scheduler, task: Any) -> str:
    """Of a task that failed or could not be scheduled."""
    return str(local.fetch_error(task.task_id)["error"])


def added(local: Scheduler, task: Any, caplog: pytest.LogCaptureFixture) -> str:
    """What the log says of a task that can't be scheduled."""
    with worker_on(local) as worker:
        assert worker.add(task) is False
        worker.run()
    assert statuses(local, task) == ["UNKNOWN"]
    return caplog.text


# The scheduler


def test_a_url_of_a_server_is_a_scheduler(server_url: str, tmp_path: Path) -> None:
    with Worker(scheduler=server_url) as worker:
        assert isinstance(worker._scheduler.scheduler, RemoteScheduler)
        worker.add(task_of(Task, "OverHttp", complete=lambda self: True))
        assert worker.run()
    assert RemoteScheduler(server_url).task_search(task_str="OverHttp")["DONE"]


def test_a_url_of_redis_is_a_scheduler(shared_redis: RunningRedis) -> None:
    root = task_of(Task, "OverRedis", complete=lambda self: True)
    assert submit(root, scheduler=shared_redis.url).startswith("submission-")
    assert Scheduler(shared_redis.url).task_list("DONE")[root.task_id]
    assert isinstance(Worker(scheduler="memory:")._scheduler.scheduler, Scheduler)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("localhost:8082", "no http:// or redis:// at its beginning.*http://host:8082 for a server"),
        ("user:s3cret@host", "no http:// or redis://"),
        ("", "no http:// or redis://"),
        (Scheduler, "can't be the class Scheduler. Give a URL"),
        (8082, "can't be a int. Give a URL"),
    ],
)
def test_what_can_be_no_scheduler_is_told_what_can(given: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        Worker(scheduler=given)
    assert "s3cret" not in str(caught.value)


# What requires() gives


@both_kinds
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("T", r"requires\(\) of Report_\w+: 'T' is a text, not a task. Give an instance"),
        (["a.txt", 3], r"requires\(\) of Report_\w+: 'a.txt' is a text"),
        (3, r"requires\(\) of Report_\w+: 3 is a int, not a task"),
        (Task, r"requires\(\) of Report_\w+: Task is a class, not a task. Make one of it: Task\(...\)"),
        (luigi.Task, r"requires\(\) of Report_\w+: Task is a class, not a task"),
        (LocalTarget("x"), r"requires\(\) of Report_\w+: LocalTarget.* is a LocalTarget, not a task"),
    ],
)
def test_requiring_what_is_no_task_names_the_task_and_what_it_was(
    local: Scheduler, base: Any, given: Any, told: str
) -> None:
    with worker_on(local) as worker, pytest.raises(TaskTypeError, match=told):
        worker.add(task_of(base, "Report", requires=lambda self: given))


@both_kinds
@pytest.mark.parametrize("given", ["T", ["T"], {"x": Task}, 3])
def test_yielding_what_is_no_task_names_the_task_and_what_it_was(local: Scheduler, base: Any, given: Any) -> None:
    def run(self: Any) -> Iterator[Any]:
        yield given

    task = task_of(base, "Yielding", run=run)
    with worker_on(local) as worker:
        worker.add(task)
        assert not worker.run()
    said = error_of(local, task)
    assert f"run() of {task.task_id} yielded: " in said
    assert "not a task" in said


# Attributes that are no methods


@both_kinds
def test_run_that_is_no_method_is_named(local: Scheduler, base: Any) -> None:
    task = task_of(base, "Runs", run="main.py")
    with pytest.raises(TaskTypeError, match=r"run of Runs\(\) is a str, and no method. Define it with def run"):
        worker_on(local).add(task)


@both_kinds
@pytest.mark.parametrize("name", ["output", "requires", "complete"])
def test_other_methods_that_are_none_are_named(local: Scheduler, base: Any, name: str) -> None:
    task = task_of(base, "Spoilt", **{name: LocalTarget("x")})
    with pytest.raises(TaskTypeError, match=rf"{name}\(\) of Spoilt\(\) can't be called.*def {name}\(self\)"):
        worker_on(local).add(task)


# What output() and complete() give


@both_kinds
@pytest.mark.parametrize("given", ["out.txt", ["out.txt"], {"z": "out.txt", "x": LocalTarget("y")}])
def test_an_output_that_is_a_text_is_named_with_what_to_write(
    local: Scheduler, caplog: pytest.LogCaptureFixture, base: Any, given: Any
) -> None:
    body = {"output": lambda self: given, "complete": base.complete}
    task = task_of(base, "Texts", **body)
    said = added(local, task, caplog)
    assert f"output() of {task.task_id} has the text 'out.txt' in it, which is no target." in said
    assert "LocalTarget('out.txt')" in said


@both_kinds
def test_a_path_as_an_output_is_taken_as_luigi_takes_it(local: Scheduler, base: Any, tmp_path: Path) -> None:
    path = tmp_path / "out"
    body = {"output": lambda self: path, "complete": base.complete, "run": lambda self: path.write_text("x") and None}
    with worker_on(local) as worker:
        worker.add(task_of(base, "Paths", **body))
        assert worker.run()


@both_kinds
def test_an_error_inside_output_is_told_as_it_is(local: Scheduler, caplog: pytest.LogCaptureFixture, base: Any) -> None:
    said = added(local, task_of(base, "Wrong", output=lambda self: self.nmae, complete=base.complete), caplog)
    assert "has no attribute 'nmae'" in said and "no target" not in said


@both_kinds
@pytest.mark.parametrize(("given", "told"), [(None, "Is there a return in it?"), ("yes", "returned 'yes'")])
def test_complete_that_gives_no_truth_is_named(
    local: Scheduler, caplog: pytest.LogCaptureFixture, base: Any, given: Any, told: str
) -> None:
    task = task_of(base, "Untrue", complete=lambda self: given)
    said = added(local, task, caplog)
    assert f"complete() of {task.task_id} returned" in said and told in said


# Cycles


def circle(base: Any, size: int, name: str = "In") -> list[Any]:
    """Tasks of which each requires the next, and the last the first."""
    tasks: list[Any] = []
    for number in range(size):
        requires = lambda self, number=number: [tasks[(number + 1) % size]]  # noqa: E731
        tasks.append(task_of(base, f"{name}{number}", requires=requires, run=lambda self: None))
    return tasks


@both_kinds
@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_cycle_is_named_and_nobody_waits_for_it(
    local: Scheduler, caplog: pytest.LogCaptureFixture, base: Any, size: int
) -> None:
    tasks = circle(base, size)
    root = task_of(base, "Root", requires=lambda self: [tasks[0]])
    with worker_on(local, keep_alive=True) as worker:  # it stays as long as a task waits
        assert worker.add(root) is False
        worker.run()
    way = " → ".join(task.task_id for task in [*tasks, tasks[0]])
    assert f"can never run: {way}." in caplog.text
    assert set(statuses(local, root, *tasks)) == {"UNKNOWN"}
    assert f"{size + 1} task(s) scheduled" in worker.summary().text
    assert f"* {size + 1} could not be scheduled" in worker.summary().text
    assert "waiting" not in worker.summary().text


class Chicken(Task):
    def requires(self) -> Any:
        return Egg()


class Egg(Task):
    def requires(self) -> Any:
        return Chicken()


def test_a_cycle_found_in_parallel_is_named(local: Scheduler, caplog: pytest.LogCaptureFixture) -> None:
    with worker_on(local) as worker:
        assert worker.add(Chicken(), multiprocess=True, processes=2) is False
    assert f"can never run: {Chicken().task_id} → {Egg().task_id} → {Chicken().task_id}" in caplog.text


def test_what_does_not_need_the_cycle_runs(local: Scheduler) -> None:
    first, second = circle(Task, 2)
    done: list[str] = []
    useful = task_of(Task, "Useful", complete=lambda self: bool(done), run=lambda self: done.append("x"))
    with worker_on(local) as worker:
        assert worker.add(task_of(Task, "Root", requires=lambda self: [useful, first])) is False
        worker.run()
    assert done == ["x"]
    assert statuses(local, useful, first, second) == ["DONE", "UNKNOWN", "UNKNOWN"]


def test_every_cycle_is_named(local: Scheduler, caplog: pytest.LogCaptureFixture) -> None:
    circles = [circle(Task, size, name)[0] for size, name in ((2, "First"), (3, "Second"))]
    with worker_on(local) as worker:
        worker.add(task_of(Task, "Root", requires=lambda self: circles))
    assert caplog.text.count("can never run") == 2


def test_many_ways_to_one_task_are_no_cycle(local: Scheduler) -> None:
    leaf = task_of(Task, "Leaf")
    middle = [task_of(Task, f"Middle{number}", requires=lambda self: [leaf, leaf]) for number in range(5)]
    with worker_on(local) as worker:
        assert worker.add(task_of(Task, "Top", requires=lambda self: [*middle, leaf]))


def test_a_submission_with_a_cycle_says_so_and_leaves_it_out(
    local: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    submitter = Submitter(local)
    submitter.submit(circle(Task, 2)[0])
    assert not submitter.succeeded
    assert "can never run" in caplog.text


class Asks(Task):
    """Asks for another while it runs."""

    other: str = ""

    def complete(self) -> bool:
        return False

    def run(self) -> Iterator[Any]:
        yield Asks(other="") if self.other else Asks(other="x")


class AsksForItself(Task):
    """While it runs."""

    def complete(self) -> bool:
        return False

    def run(self) -> Iterator[Any]:
        yield self


@WITHOUT_RETRIES
@pytest.mark.parametrize("task", [Asks(), AsksForItself()])
def test_a_cycle_of_what_runs_ask_for_is_named_and_fails(local: Scheduler, task: Any) -> None:
    with worker_on(local, keep_alive=True, max_keep_alive_idle_duration=0.3) as worker:
        worker.add(task)
        assert not worker.run()
    failed = local.task_list("FAILED")
    assert any("can never run" in local.fetch_error(task_id)["error"] for task_id in failed)


SCRIPT = """
import sys
from broker_sched import Task, Worker
class A(Task):
    def requires(self): return B()
class B(Task):
    def requires(self): return A()
with Worker(scheduler="memory:") as worker:
    added = worker.add(A())
    worker.run()
print(worker.summary().text)
sys.exit(0 if added else 35)
"""


def test_a_script_with_a_cycle_ends_and_shows_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 35, done.stderr
    assert "can never run: A__" in done.stderr and "→ B__" in done.stderr


def test_a_task_whose_properties_raise_fails_alone(local: Scheduler, directory: str) -> None:
    """Also where it would run in the worker's own process."""

    class Written(Task):
        directory: str

        def output(self) -> LocalTarget:
            return LocalTarget(f"{self.directory}/written")

        def run(self) -> None:
            with self.output().open("w") as file:
                file.write("x")

    is_scheduled = False

    class Secretive(Written):
        @property
        def accepts_messages(self) -> bool:  # type: ignore[override]
            if is_scheduled:
                sys.exit("accepts_messages misbehaves")
            return False

        def complete(self) -> bool:
            return False

    with worker_on(local) as worker:
        worker.add(Secretive(directory))
        worker.add(Written(directory))
        is_scheduled = True
        assert not worker.run()
    assert statuses(local, Secretive(directory), Written(directory)) == ["FAILED", "DONE"]
    assert "misbehaves" in local.fetch_error(Secretive(directory).task_id)["error"]

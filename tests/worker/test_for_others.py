"""What is submitted can be loaded by the workers of a fleet, or is refused at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import luigi
import pytest
from luigi.parameter import ParameterVisibility

from broker_sched import Scheduler, Task, submit
from broker_sched.errors import WorkerError
from tests.harness import ROOT
from tests.worker.conftest import worker_on

pytestmark = pytest.mark.timeout(60)
SCRIPT = """
import sys, {library}
from broker_sched import LocalTarget, Scheduler, Worker, submit

class Dep({library}.Task):
    def output(self): return {target}("dep")
    def run(self):
        with self.output().open("w") as file: file.write("dep")

class Root(Dep):
    def requires(self): return Dep()
    def output(self): return {target}("root")

if __name__ == "__main__":
    scheduler = Scheduler("memory:")
    if sys.argv[1] == "submit":
        submit(Root(), scheduler=scheduler)
    with Worker(scheduler=scheduler, worker_processes=2) as worker:
        worker.add(Root())
        worker.run()
"""
KINDS = [("broker_sched", "LocalTarget"), ("luigi", "luigi.LocalTarget")]


def run_script(directory: Path, kind: tuple[str, str], word: str) -> subprocess.CompletedProcess[str]:
    (directory / "script.py").write_text(SCRIPT.format(library=kind[0], target=kind[1]))
    return subprocess.run(
        [sys.executable, "-W", "ignore", "script.py", word],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_can_not_submit_its_own_tasks_and_is_told_what_to_do(tmp_path: Path, kind: tuple[str, str]) -> None:
    done = run_script(tmp_path, kind, "submit")
    assert done.returncode == 1
    assert "WorkerError: Root is a class of __main__" in done.stderr
    assert "Put Root into a module" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_in_a_script_runs_the_scripts_own_tasks(tmp_path: Path, kind: tuple[str, str]) -> None:
    done = run_script(tmp_path, kind, "run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "root").read_text() == "dep"


class Leaf(luigi.Task):
    name = luigi.Parameter()
    limit = luigi.IntParameter(default=None)
    token = luigi.Parameter(default="none", visibility=ParameterVisibility.PRIVATE)
    secret = luigi.Parameter(default="", significant=False, visibility=ParameterVisibility.HIDDEN)

    def complete(self) -> bool:
        return False


class OfMain(Leaf):
    pass


OfMain.__module__ = "__main__"


class Native(Task):
    n: int = 3

    def complete(self) -> bool:
        return False


def test_a_dep_of_main_is_refused_and_nothing_is_handed_out(local: Scheduler) -> None:
    root = Native()
    root.requires = lambda: [Leaf(name="first"), OfMain(name="second")]  # type: ignore[method-assign]
    with pytest.raises(WorkerError, match="OfMain is a class of __main__"):
        submit(root, scheduler=local)
    assert local.get_work(worker="any", assistant=True)["task_id"] is None
    assert local.submission_list()[0]["state"] == "CANCELLED"


def test_a_dep_that_no_other_worker_can_load_is_refused_by_name(local: Scheduler) -> None:
    root = Native()
    root.requires = lambda: Leaf(name="x", limit="many")  # type: ignore[method-assign]
    with pytest.raises(WorkerError, match=r"Leaf\(.*can't be loaded by another worker: the parameter limit: .*'many'"):
        submit(root, scheduler=local)


def test_a_private_parameter_without_a_default_is_refused(local: Scheduler) -> None:
    class Private(Leaf):
        token = luigi.Parameter(visibility=ParameterVisibility.PRIVATE)

    with pytest.raises(WorkerError, match=r"the parameter token is private.*give it a default") as caught:
        submit(Private(name="x", token="t0ken"), scheduler=local)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": None}, r"Leaf.name will be another value.*NoneType None here, and a str there"),
        ({"name": 7}, r"Leaf.name will be another value.*int 7 here, and a str there"),
        ({"name": "x", "token": "t0ken"}, r"Leaf.token will be another value.*private"),
        ({"name": "x", "secret": 7777}, r"Leaf.secret will be another value.*is the int here"),
    ],
)
def test_a_value_that_does_not_travel_is_named_once(
    local: Scheduler, caplog: pytest.LogCaptureFixture, given: dict[str, Any], told: str
) -> None:
    root = Native()
    root.requires = lambda: [Leaf(**given), Leaf(**given, limit=3)]  # type: ignore[method-assign]
    submit(root, scheduler=local)
    warnings = [record.getMessage() for record in caplog.records if "will be another value" in record.getMessage()]
    assert len(warnings) == 1
    assert re.search(told, warnings[0])
    assert "t0ken" not in warnings[0] and "7777" not in warnings[0]


def test_ordinary_values_and_defaults_are_submitted_without_a_word(
    local: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    root = Native(n=5)
    root.requires = lambda: Leaf(name="x")  # type: ignore[method-assign]
    submit(root, scheduler=local)
    assert not [record for record in caplog.records if "another value" in record.getMessage()]


def test_a_worker_of_ones_own_takes_what_no_other_could_load(local: Scheduler) -> None:
    with worker_on(local) as worker:
        assert worker.add(OfMain(name="own", limit="many"))

"""What one task's class does to its worker costs no other task anything: a fleet worker as a real process."""

from __future__ import annotations

import pytest

from tests.e2e.test_loading import Place, place  # noqa: F401  (a fixture)
from tests.servers import until

pytestmark = pytest.mark.timeout(240)
# Scheduled where the variable is not set, run where it is.
MODULE = """
import os, sys, luigi

def misbehave(kind):
    if os.environ["FLEET"]:
        raise kind("misbehaves here")

class Odd(BaseException): pass

class Write(luigi.Task):
    number = luigi.IntParameter(default=0)
    def output(self):
        return luigi.LocalTarget(os.path.join(DIRECTORY, f"{self.task_id}.out"))
    def run(self):
        with self.output().open("w") as file:
            file.write("done")

class NoTimeout(Write):
    worker_timeout = property(lambda self: misbehave(ValueError))

class ExitsOnTimeout(Write):
    worker_timeout = property(lambda self: misbehave(SystemExit))

class NoBatch(Write):
    day = luigi.Parameter(default="a", batch_method=max)
    max_batch_size = property(lambda self: misbehave(ValueError) or 3)

class TextAsBatchSize(Write):
    day = luigi.Parameter(default="a", batch_method=max)
    max_batch_size = property(lambda self: "many" if os.environ["FLEET"] else 3)

class Exits(Write):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        misbehave(SystemExit)

class Raises(Write):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        misbehave(Odd)

class LostDep(Write):
    priority = property(lambda self: misbehave(ValueError) or 1)
    def requires(self):
        return Write(number=1)

class All(luigi.WrapperTask):
    def requires(self):
        kinds = [NoTimeout, ExitsOnTimeout, NoBatch, TextAsBatchSize, Exits, Raises, LostDep]
        return [kind() for kind in kinds] + [Write(number=number) for number in range(3)]
"""
FAILED = ("NoTimeout", "ExitsOnTimeout", "LostDep")
REFUSED = ("Exits_", "Raises_")
DONE = ("Write_0", "Write_2", "NoBatch", "TextAsBatchSize")


def test_a_worker_outlives_whatever_the_class_of_a_task_does(place: Place) -> None:  # noqa: F811
    directory = place.directory("module", odd=MODULE)
    place.submit(directory, "odd", "All")
    lost = next(name for name in place.statuses() if name.startswith("Write_1"))
    place.scheduler.add_task(worker="liar", task_id=lost, status="DONE")  # its output is not there
    worker = place.worker(directory, fleet="yes")

    def ended(kinds: tuple[str, ...], *ends: str) -> bool:
        found = place.statuses()
        return all(any(name.startswith(kind) and found[name] in ends for name in found) for kind in kinds)

    until(lambda: ended(DONE, "DONE") and ended(FAILED, "FAILED"), "all that can run has run", 120)
    for name in place.statuses():
        if name.startswith(REFUSED):
            assert place.statuses()[name] == "PENDING"
            assert "misbehaves here" in until(
                lambda name=name: place.scheduler.fetch_error(task_id=name)["error"], name
            )
    assert worker.poll() is None
    worker.terminate()
    assert worker.wait(60) == 0, place.said(worker)


IMPORTS = {  # in the fleet only
    "exits": "os._exit(7)",
    "crashes": "import ctypes; ctypes.string_at(0)",
    "hangs": "import time; time.sleep(100_000)",
}
MODULE_WITH = """
import os, luigi
if os.environ["FLEET"]:
    open(os.path.join(DIRECTORY, "{name}.tried"), "a").close()
    {import_}

class Task{name}(luigi.Task):
    number = luigi.IntParameter(default=0)
    def output(self):
        return luigi.LocalTarget(os.path.join(DIRECTORY, f"{{self.task_id}}.out"))
    def run(self):
        import time
        until = time.time() + 60
        while not os.path.exists(os.path.join(DIRECTORY, "hangs.tried")) and time.time() < until:
            time.sleep(0.02)
        with self.output().open("w") as file:
            file.write("done")
"""


def test_a_module_that_hangs_or_ends_its_process_on_import_costs_other_tasks_nothing(place: Place) -> None:  # noqa: F811
    """They go on, and end, while its import is tried; then it goes back with the reason, and no failure."""
    modules = {name: MODULE_WITH.format(name=name, import_=body) for name, body in {"fine": "pass", **IMPORTS}.items()}
    directory = place.directory("modules", **modules)
    for name in ("fine", *IMPORTS):
        place.submit(directory, name, f"Task{name}")
    worker = place.worker(directory, "--set", "import_timeout=6", fleet="yes")

    def task_of(name: str) -> str:
        return next(task_id for task_id in place.statuses() if task_id.startswith(f"Task{name}"))

    def why(name: str) -> str:
        return str(place.scheduler.fetch_error(task_id=task_of(name))["error"])

    until(lambda: place.statuses()[task_of("fine")] == "DONE", "the other task is done", 60)
    assert worker.poll() is None
    for name, reason in {"exits": "exit code 7", "crashes": "SIGSEGV", "hangs": "after 6 s"}.items():
        until(lambda name=name, reason=reason: reason in why(name), f"{name} went back: {reason}", 60)
        assert place.statuses()[task_of(name)] == "PENDING"
    worker.terminate()
    assert worker.wait(60) == 0, place.said(worker)


def test_a_worker_that_is_told_to_leave_does_not_wait_for_an_import(place: Place) -> None:  # noqa: F811
    directory = place.directory("modules", hangs=MODULE_WITH.format(name="hangs", import_=IMPORTS["hangs"]))
    worker = place.worker(directory, fleet="yes")
    place.submit(directory, "hangs", "Taskhangs")
    until((directory / "hangs.tried").exists, "the import is tried", 60)
    worker.terminate()
    assert worker.wait(60) == 0, place.said(worker)
    assert set(place.statuses().values()) == {"PENDING"}

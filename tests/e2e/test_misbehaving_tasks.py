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

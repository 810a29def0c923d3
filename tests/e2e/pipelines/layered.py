"""A generated DAG: layers of 23 tasks, three deps each, and a root. Plain luigi.

Each run appends one line to runs.log: task, outcome, process. Some fail at their first attempt.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import luigi

DIRECTORY = Path(os.environ.get("LAYERED_DIRECTORY", "."))
LAYERS, WIDTH = int(os.environ.get("LAYERED_LAYERS", 7)), 23


def fails_once(layer: int, number: int) -> bool:
    """Whether this task fails at its first attempt."""
    return layer % 4 == 1 and number % 3 == 0


def note(task: luigi.Task, outcome: str) -> None:
    """Append one line, whole, whatever other processes write."""
    descriptor = os.open(DIRECTORY / "runs.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{task.task_id} {outcome} {os.getpid()}\n".encode())
    os.close(descriptor)


class Step(luigi.Task):
    """One task of one layer."""

    layer = luigi.IntParameter()
    number = luigi.IntParameter()

    def requires(self) -> list[Step]:
        if self.layer == 0:
            return []
        return [Step(self.layer - 1, (self.number * 2 + offset) % WIDTH) for offset in (0, 1, 7)]

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(str(DIRECTORY / "out" / f"{self.layer}-{self.number}"))

    def run(self) -> None:
        missing = [target.path for target in self.input() if not target.exists()]
        assert not missing, f"{self.task_id} runs before {missing}"
        time.sleep(0.01)
        if fails_once(self.layer, self.number) and self.is_first_attempt():
            note(self, "failed")
            raise RuntimeError("the first attempt fails, as the test wants it")
        with self.output().open("w") as file:
            file.write("done\n")
        note(self, "done")

    def is_first_attempt(self) -> bool:
        """True once, whatever process asks."""
        marker = DIRECTORY / f"attempted-{self.layer}-{self.number}"
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class Root(luigi.Task):
    """Requires the last layer."""

    def requires(self) -> Iterator[Step]:
        for number in range(WIDTH):
            yield Step(LAYERS - 1, number)

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(str(DIRECTORY / "out" / "root"))

    def run(self) -> None:
        with self.output().open("w") as file:
            file.write("done\n")
        note(self, "done")

"""Tasks that keep a journal of their runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from broker_sched import LocalTarget, Task

WIDTH = 8


class Step(Task):
    """One that takes a tenth of a second and more. layer 0 depends on nothing."""

    directory: str
    round: int
    layer: int
    number: int

    def requires(self) -> list[Task]:
        below = [self.number, (self.number + 1) % WIDTH]
        return [Step(self.directory, self.round, self.layer - 1, number) for number in below] if self.layer else []

    def output(self) -> Any:
        return LocalTarget(f"{self.directory}/out/{self.task_id}")

    def run(self) -> None:
        journal = Path(self.directory, "journal", self.task_id)
        with journal.open("a+", buffering=1) as file:
            file.seek(0)
            runs = {pid: word == "start" for word, pid, _ in map(str.split, file)}
            if any(is_running and os.path.exists(f"/proc/{pid}") for pid, is_running in runs.items()):
                Path(self.directory, "overlaps", self.task_id).touch()
            file.write(f"start {os.getpid()} {time.time()}\n")
            time.sleep(0.1 + 0.03 * self.number)
            with self.output().open("w") as output:
                output.write("done")
            file.write(f"end {os.getpid()} {time.time()}\n")


class Round(Task):
    """All steps of a round."""

    directory: str
    round: int
    layers: int

    def requires(self) -> list[Task]:
        return [Step(self.directory, self.round, self.layers - 1, number) for number in range(WIDTH)]

    def output(self) -> Any:
        return LocalTarget(f"{self.directory}/out/{self.task_id}")

    def run(self) -> None:
        with self.output().open("w") as output:
            output.write("done")

    def steps(self) -> Iterator[Step]:
        """All of them."""
        for layer in range(self.layers):
            for number in range(WIDTH):
                yield Step(self.directory, self.round, layer, number)

"""Tasks that are run in large numbers: this module imports no more than it needs, which each job does anew."""

from __future__ import annotations

import os

from broker_sched import LocalTarget, Task


class Layered(Task):
    """One of a layer. It needs two of the layer before, and leaves the pids of itself and of its worker."""

    directory: str
    layer: int
    column: int
    width: int

    def requires(self) -> list[Task]:
        columns = [(self.column + n) % self.width for n in (0, 1)] if self.layer else []
        return [Layered(self.directory, self.layer - 1, column, self.width) for column in columns]

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/{self.layer}-{self.column}.out")

    def run(self) -> None:
        for each in self.requires():
            assert each.complete()
        with open(f"{self.directory}/runs", "a") as file:
            file.write(f"{self.layer}-{self.column} {os.getppid()}\n")
        with self.output().open("w") as file:
            file.write("done")

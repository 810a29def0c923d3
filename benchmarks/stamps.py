"""A task that notes when its code began to run: imported by the workers of the waking benchmark."""

from __future__ import annotations

import time

from broker_sched import LocalTarget, Task


class Stamp(Task):
    """Writes the time."""

    directory: str
    number: int

    def output(self) -> LocalTarget:
        """The time, as seconds since the epoch."""
        return LocalTarget(f"{self.directory}/{self.number}")

    def run(self) -> None:
        """The first statement tells the time."""
        now = time.time()
        with self.output().open("w") as file:
            file.write(f"{now:.6f}")

"""Schedules a pipeline of native tasks in a process of its own: `python -m benchmarks.bulk URL COUNT`.

Prints seconds, and how much memory this process took meanwhile (bytes). Run by the row `bulk`.
"""

from __future__ import annotations

import sys
import time

import psutil

from broker_sched import RemoteScheduler, Task, Worker

WIDTH = 1000  # tasks in a layer


class Item(Task):
    """One of many; each needs three of the layer below."""

    number: int
    layer: int

    def complete(self) -> bool:
        """Never, and at no cost: what is measured is the scheduling."""
        return False

    def requires(self) -> list[Item]:
        """Three of the layer below."""
        if not self.layer:
            return []
        return [Item(number=(self.number + step) % WIDTH, layer=self.layer - 1) for step in (0, 1, 7)]

    def run(self) -> None:
        """Nothing."""


class All(Task):
    """The top layer."""

    layers: int

    def complete(self) -> bool:
        """Never."""
        return False

    def requires(self) -> list[Item]:
        """All of it."""
        return [Item(number=number, layer=self.layers - 1) for number in range(WIDTH)]

    def run(self) -> None:
        """Nothing."""


def main() -> None:
    """See above."""
    url, count = sys.argv[1], int(sys.argv[2])
    memory = psutil.Process().memory_info
    with RemoteScheduler(url) as scheduler, Worker(scheduler) as worker:
        before, started = memory().rss, time.monotonic()
        worker.add(All(layers=max(1, count // WIDTH)))
        print(time.monotonic() - started, memory().rss - before)


if __name__ == "__main__":
    main()

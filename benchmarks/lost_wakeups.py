"""`python -m benchmarks.lost_wakeups`: for minutes, tasks become ready at random moments for an idle fleet.

A wake-up that is lost shows as a wait of seconds, until the worker looks for itself. Exits with 1 when there is one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from statistics import median

from benchmarks.bench import QUICK, Bench
from benchmarks.stamps import Stamp
from benchmarks.waking import Fleet

LOST_SECONDS = 2.0  # a worker that is not woken looks for itself after 5 s
SETTLE_SECONDS = 30.0  # for the last tasks


class Soak:
    """Drops tasks, and knows when each became ready."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self._fleet = fleet
        self._random = random.Random(seed)
        self.ready: dict[int, float] = {}

    def drop(self) -> None:
        """A task; several at once; or one whose dep is reported DONE a moment later."""
        kind = self._random.choice(("one", "burst", "dep"))
        for _ in range(self._random.randint(2, self._fleet.size) if kind == "burst" else 1):
            number = len(self.ready)
            if kind == "dep":
                self._add(number, deps=[f"dep-{number}"])
                time.sleep(self._random.uniform(0, 0.05))
            self.ready[number] = time.time()
            if kind == "dep":
                self._fleet.scheduler.add_task(worker="other", task_id=f"dep-{number}", status="DONE")
            else:
                self._add(number)

    def pause(self) -> None:
        """Mostly about as long as a worker needs to go back to its wait: where a wake-up could be lost."""
        time.sleep(self._random.choice((0.0, self._random.uniform(0, 0.1), self._random.expovariate(2))))

    def waits(self) -> list[float]:
        """How long each task was ready before it ran; a task that did not run counts up to now."""
        found = []
        for number, ready in self.ready.items():
            path = self._fleet.directory / str(number)
            found.append((float(path.read_text()) if path.exists() else time.time()) - ready)
        return found

    def _add(self, number: int, **more: list[str]) -> None:
        task = Stamp(directory=str(self._fleet.directory), number=number)
        self._fleet.scheduler.add_task(
            worker="submitter",
            task_id=task.task_id,
            family=task.task_family,
            module=task.task_module,
            params=task.to_str_params(),
            **more,  # type: ignore[arg-type]  # deps
        )


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lost_wakeups", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--http", action="store_true", help="over a server, not straight to Redis")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    bench = Bench(QUICK, print)
    redis = bench.redis()
    where = ["--redis", redis.url]
    if arguments.http:
        where = ["--scheduler-url", f"http://127.0.0.1:{bench.server(redis, 'soak')}"]
    fleet = Fleet(bench.directory, redis, "soak", where, arguments.workers)
    try:
        fleet.await_idle()
        soak, deadline = Soak(fleet, arguments.seed), time.monotonic() + 60 * arguments.minutes
        while time.monotonic() < deadline:
            soak.drop()
            soak.pause()
        settled = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < settled and len(list(fleet.directory.iterdir())) < len(soak.ready):
            time.sleep(0.1)
        waits = soak.waits()
    finally:
        fleet.stop()
        bench.close()
    lost = [wait for wait in waits if wait > LOST_SECONDS]
    print(f"{len(waits)} tasks, ready → run: median {1000 * median(waits):.0f} ms, longest {max(waits):.3f} s")
    print(f"{len(lost)} waited longer than {LOST_SECONDS:g} s")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

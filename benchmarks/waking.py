"""How soon an idle fleet runs a task that becomes ready, and what it costs while nothing happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.processes import Program, Redis
from benchmarks.stamps import Stamp
from broker_sched import Scheduler

PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.1  # between two tasks
CLIENT_COMMANDS = ("evalsha", "blpop", "set")  # what workers send; scripts call other ones


class Fleet:
    """Idle `bsched worker` processes, and tasks for them one by one."""

    def __init__(self, directory: Path, redis: Redis, namespace: str, where: list[str], size: int) -> None:
        self.directory = directory / f"stamps-{namespace}"
        self.directory.mkdir()
        self.redis = redis
        self.size = size
        self.scheduler = Scheduler(redis.url, namespace)
        command = [sys.executable, "-m", "bsched.main", "worker", *where, "--namespace", namespace]
        command += ["--processes", "1", "--module", "benchmarks.stamps", "--log-level", "error"]
        root = str(Path(__file__).parent.parent)
        self._workers = [
            Program(directory, f"worker-{namespace}-{number}", command, PYTHONPATH=root) for number in range(size)
        ]

    def await_idle(self) -> None:
        """Until all of them wait."""
        key = self.scheduler.namespace.key("idle_assistants")
        self._await(lambda: self.redis.client.zcount(key, time.time(), "+inf") >= self.size, "the fleet waits")

    def latencies(self, count: int) -> Iterator[float]:
        """Seconds from before add_task to the first statement of run(), for each of so many tasks."""
        for number in range(count):
            task = Stamp(directory=str(self.directory), number=number)
            started = time.time()
            self.scheduler.add_task(
                worker="submitter",
                task_id=task.task_id,
                family=task.task_family,
                module=task.task_module,
                params=task.to_str_params(),
            )
            path = self.directory / str(number)
            self._await(path.exists, f"{task.task_id} has run")
            yield float(path.read_text()) - started
            time.sleep(PAUSE_SECONDS)

    def commands_a_second(self, seconds: float) -> float:
        """What clients send to Redis, for each worker, while nothing happens."""
        before = self._sent()
        time.sleep(seconds)
        return (self._sent() - before) / seconds / self.size

    def stop(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()

    def _sent(self) -> int:
        stats: dict[str, Any] = self.redis.client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in CLIENT_COMMANDS)

    def _await(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline or any(each.process.poll() is not None for each in self._workers):
                log = self._workers[0].log.read_text()[-2000:]
                raise RuntimeError(f"waited in vain until {what}: {log}")
            time.sleep(0.0005)


def typical(values: Iterator[float]) -> tuple[float, float]:
    """The median, and what 95 in a hundred do not exceed."""
    found = sorted(values)
    return median(found), found[int(len(found) * 0.95)]

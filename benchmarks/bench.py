"""What the rows of the table share: how much is measured, the programs, and what a line of the table has."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loading import fill, luigid_state
from benchmarks.longest_script import Longest
from benchmarks.processes import Luigid, Program, Redis, Server


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    small: int = 1_000  # pending tasks
    medium: int = 10_000
    large: int = 100_000
    luigid_most: int = 100_000  # that luigid is filled with
    huge: int = 1_000_000
    hub: int = 20_000  # deps or dependents of one task
    repeats: int = 1  # of all that may hold Redis for long
    rounds: int = 5  # the candidates take turns, so that a noisy moment hits all
    samples: int = 60  # of a call, in one round
    cycles: int = 500  # of each client, in one round
    fleet: int = 50  # idle workers
    idle_seconds: float = 20.0
    files: int = 3_000  # that a worker writes
    worker_rounds: int = 3
    soak: int = 100_000  # tasks that one worker runs
    pages: int = 200  # that are open
    workers: int = 1_000  # at once
    fleet_seconds: float = 30.0  # that they are at work


FULL = Scale()
QUICK = Scale(
    small=200,
    medium=1_000,
    large=4_000,
    luigid_most=4_000,
    huge=20_000,
    hub=1_000,
    rounds=2,
    samples=20,
    cycles=50,
    fleet=4,
    idle_seconds=3.0,
    files=200,
    worker_rounds=1,
    soak=1_000,
    pages=20,
    workers=40,
    fleet_seconds=5.0,
)


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    what: str
    target: str
    ours: str
    luigid: str  # '' where there is nothing to compare with
    ratio: str
    reached: bool


class Bench:
    """The programs that the rows share a directory for, and how to end them."""

    def __init__(self, scale: Scale, say: Callable[[str], None]) -> None:
        self.scale = scale
        self.say = say
        self.directory = Path(tempfile.mkdtemp(prefix="bsched-bench-"))
        self._programs: list[Program] = []
        self._number = 0
        self.redis_version = ""
        self.events: list[Longest] = []  # what the longest script was measured on
        self.commands: list[list[bytes]] = []  # that the scripts of a cycle send

    def redis(self, slowlog_us: int = -1) -> Redis:
        """A fresh Redis."""
        self._number += 1
        started = Redis(self.directory / f"redis-{self._number}", slowlog_us)
        self._programs.append(started)
        self.redis_version = started.version
        return started

    def server(self, redis: Redis, namespace: str) -> int:
        """The port of a server."""
        started = Server(self.directory, redis.url, namespace)
        self._programs.append(started)
        return started.port

    def luigid(self, shape: str, size: int, workers: int = 1) -> int:
        """The port of a luigid that is filled alike."""
        self.say(f"filling luigid: {size:,} tasks, {shape}")
        state = luigid_state(self.directory / f"{shape}-{size}-{workers}.pickle", shape, size, workers)
        started = Luigid(self.directory, state)
        self._programs.append(started)
        return started.port

    def fill(self, redis: Redis, namespace: str, shape: str, size: int, workers: int = 1) -> None:
        """Fill a namespace of ours."""
        self.say(f"filling ours: {size:,} tasks, {shape}")
        fill(redis.url, namespace, shape, size, workers)

    def stop(self) -> None:
        """End every program, and wait until what they wrote is on the disk: it shall not disturb what comes next."""
        while self._programs:
            self._programs.pop().stop()
        os.sync()

    def close(self) -> None:
        """End every program and remove the files."""
        self.stop()
        shutil.rmtree(self.directory)

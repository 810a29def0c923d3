"""One `bsched worker` that runs very many tasks: whether it is as fast at the end as at the beginning, and as small."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.bench import Bench, Result
from benchmarks.end_to_end import PROCESSES, Small, place_for_files
from benchmarks.processes import Program
from broker_sched import Scheduler

TOGETHER = 1000  # tasks in one call, and in one folder
WARM_UP = 3000  # tasks that are run before: a worker keeps up to 2,000 runs for its summary
LOOK_SECONDS = 1.0  # between two looks at the processes
PATIENCE_SECONDS = 60.0  # without a task that has ended
REST_SECONDS = 10.0  # until the worker is idle when all tasks have ended
MOST_GROWTH = 1.05  # of memory
MORE_FILES = 3 * PROCESSES  # of an idle worker at another time: how many processes wait for a task is chance


class Look(NamedTuple):
    """What a worker holds at a moment. Bytes are resident ones."""

    worker_bytes: int
    pool_bytes: int  # of all its processes
    processes: int
    zombies: int
    threads: int  # of the worker
    files: int  # likewise


def holds_no_more(after: Look, before: Look) -> bool:
    """Return whether no thread, file or zombie has come."""
    return after.threads <= before.threads and after.files <= before.files + MORE_FILES and not after.zombies


class LongRun(NamedTuple):
    """What was seen of a worker. rates: tasks a second, for each tenth of the tasks.

    before, after: idle, before all these tasks and after them. running: while they ran, again and again. left: how many
    processes were there when the worker had left.
    """

    rates: list[float]
    before: Look
    running: list[Look]
    after: Look
    left: int


class LongWorker:
    """A worker, and the tasks that it is given.

    directory: a new one. files: where the tasks write. where: the options that tell the worker where its scheduler is,
    which is the namespace `soak` of this Redis.
    """

    def __init__(self, directory: Path, files: Path, redis_url: str, where: list[str]) -> None:
        self._files = files
        directory.mkdir()
        self._scheduler = Scheduler(redis_url, "soak", worker_disconnect_delay=36000, remove_delay=36000)
        command = [sys.executable, "-m", "bsched.main", "worker", *where, "--processes", str(PROCESSES)]
        command += ["--module", Small.__module__, "--log-level", "warning"]
        self._program = Program(directory, "worker", command, PYTHONPATH=str(Path(__file__).parent.parent))
        self._worker = psutil.Process(self._program.process.pid)
        self._scheduled = 0

    def schedule(self, count: int) -> None:
        """Schedule so many small tasks, none of which runs before all are there."""
        self._scheduler.pause()
        numbers = iter(range(self._scheduled, self._scheduled + count))
        while some := list(islice(numbers, TOGETHER)):
            folder = self._files / str(some[0])
            folder.mkdir()
            tasks = [Small(directory=str(folder), number=number) for number in some]
            described = [
                {"task_id": each.task_id, "family": "Small", "module": Small.__module__, "params": each.to_str_params()}
                for each in tasks
            ]
            self._scheduler.add_tasks(worker="submitter", tasks=described)
        self._scheduled += count
        self._scheduler.unpause()

    def looks_until_done(self) -> Iterator[Look]:
        """Look at the worker again and again until all tasks have run."""
        done, news_at = -1, time.monotonic()
        while done < self._scheduled:
            before, done = done, self._scheduler.overview()["tasks"].get("DONE", 0)
            if done > before:
                news_at = time.monotonic()
            elif time.monotonic() > news_at + PATIENCE_SECONDS:
                raise RuntimeError(f"{done:,} of {self._scheduled:,} tasks have run, and no more of them do")
            yield self.look()
            time.sleep(LOOK_SECONDS)

    def look(self) -> Look:
        """Return what the worker holds now."""
        sizes, zombies = list[int](), 0
        for child in self._worker.children():
            try:
                zombies += child.status() == psutil.STATUS_ZOMBIE
                sizes.append(child.memory_info().rss)
            except psutil.Error:  # it has just ended
                continue
        own = self._worker
        return Look(own.memory_info().rss, sum(sizes), len(sizes), zombies, own.num_threads(), own.num_fds())

    def idle_look(self, before: Look | None = None) -> Look:
        """Return what the worker holds when it is idle. before: as much as it is waited for, but not for ever."""
        until = time.monotonic() + REST_SECONDS
        while True:
            time.sleep(LOOK_SECONDS)
            found = self.look()
            if time.monotonic() > until or (before is not None and holds_no_more(found, before)):
                return found

    def rates(self, first: int) -> list[float]:
        """Return the tasks a second for each tenth, by the times of their files; without so many of the first tasks."""
        times = sorted(each.stat().st_mtime for each in self._files.rglob("*") if each.is_file())[first:]
        if len(times) != self._scheduled - first:
            raise RuntimeError(f"{len(times):,} files of {self._scheduled - first:,} were written")
        bounds = [(len(times) - 1) * tenth // 10 for tenth in range(11)]
        return [(end - begin) / (times[end] - times[begin]) for begin, end in pairwise(bounds)]

    def stop(self) -> int:
        """Have the worker leave. Returns how many of its processes are left."""
        pool = self._worker.children(recursive=True)
        self._program.stop()
        self._scheduler.close()
        return sum(each.is_running() for each in pool)


def measure(directory: Path, redis_url: str, where: list[str], count: int, warm_up: int = WARM_UP) -> LongRun:
    """Run so many tasks with one worker, after those that warm it up. The other arguments are those of LongWorker."""
    with place_for_files(directory.parent) as files:
        worker = LongWorker(directory, files, redis_url, where)
        left = -1
        try:
            worker.schedule(warm_up)
            list(worker.looks_until_done())
            before = worker.idle_look()
            worker.schedule(count)
            running = list(worker.looks_until_done())
            after = worker.idle_look(before)
        finally:
            left = worker.stop()
        return LongRun(worker.rates(warm_up), before, running, after, left)


def verdicts(what: str, run: LongRun) -> Iterator[Result]:
    """Say what came of a run."""
    ratio = run.rates[-1] / run.rates[0]
    told = f"{run.rates[0]:,.0f} /s, then {run.rates[-1]:,.0f} /s"
    yield Result(f"{what}: the last tenth ÷ the first", "≥ 0.95", told, "", f"{ratio:.2f}", ratio >= 0.95)
    before, after = run.before, run.after
    tenth = max(1, len(run.running) // 10)
    pools = [median(each.pool_bytes for each in some) for some in (run.running[:tenth], run.running[-tenth:])]
    for whose, sizes in (("the worker", [before.worker_bytes, after.worker_bytes]), ("its processes", pools)):
        growth = sizes[1] / sizes[0]
        told = f"{sizes[0] / 2**20:.0f} MiB, then {sizes[1] / 2**20:.0f} MiB"
        limit = f"≤ {MOST_GROWTH}"
        yield Result(f"{what}: memory of {whose}", limit, told, "", f"{growth:.2f}", growth <= MOST_GROWTH)
    held = [f"{each.threads} threads, {each.files} files, {each.zombies} zombies" for each in (before, after)]
    yield Result(f"{what}: held when idle", held[0], held[1], "", "", holds_no_more(after, before))
    yield Result(f"{what}: processes left when it has left", "0", str(run.left), "", "", run.left == 0)


def row(bench: Bench) -> Iterator[Result]:
    """Very many tasks through one worker, straight to Redis and over HTTP."""
    count = bench.scale.soak
    for what in ("straight to Redis", "HTTP"):
        redis = bench.redis()
        where = ["--redis", redis.url, "--namespace", "soak"]
        if what == "HTTP":
            where = ["--scheduler-url", f"http://127.0.0.1:{bench.server(redis, 'soak')}"]
        bench.say(f"soak, {what}: {count:,} tasks")
        run = measure(bench.directory / f"soak-{what.split()[0]}", redis.url, where, count)
        bench.say("tasks a second, by tenths: " + ", ".join(f"{rate:,.0f}" for rate in run.rates))
        yield from verdicts(f"{count:,} tasks through one worker, {what}", run)
        bench.stop()

"""Tasks that write a small file, through whole workers: ours, luigi's, and what else is installed.

Each is a program of its own, and each does the same: it writes by luigi's target, which costs more than all that queues
do for it. The files are in memory, where there is such a file system, since a disk would be measured otherwise. What
starting costs is left out: the rate is that between the tenth part of the files and the last one, by the times that the
file system has noted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import luigi
import redis

from broker_sched import Worker

PROCESSES = 4
LEFT_OUT = 0.1  # of the files, at the beginning


class Small(luigi.Task):
    """Writes one character."""

    directory = luigi.Parameter()
    number = luigi.IntParameter()

    def output(self) -> luigi.LocalTarget:
        """The file."""
        return luigi.LocalTarget(f"{self.directory}/{self.number}")

    def run(self) -> None:
        """Write it as luigi does: to another name, and then renamed."""
        with self.output().open("w") as file:
            file.write("x")


class Many(luigi.WrapperTask):
    """So many of them."""

    directory = luigi.Parameter()
    count = luigi.IntParameter()

    def requires(self) -> Any:
        """All of them, in no order."""
        return [Small(directory=self.directory, number=number) for number in range(self.count)]


def write(directory: str, number: int) -> None:
    """Do what Small does, as a function for queues of functions."""
    with luigi.LocalTarget(f"{directory}/{number}").open("w") as file:
        file.write("x")


@contextlib.contextmanager
def place_for_files(elsewhere: Path) -> Iterator[Path]:
    """A directory in memory, for as long as the context lasts; `elsewhere` where the system has none."""
    memory = Path("/dev/shm")
    is_there = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(prefix="bsched-bench-", dir=memory if is_there else elsewhere) as made:
        yield Path(made)


def with_ours(url: str, directory: str, count: int) -> None:
    """Our worker. url: of a server or a Redis."""
    with Worker(scheduler=url, worker_processes=PROCESSES) as worker:
        worker.add(Many(directory=directory, count=count))
        worker.run()


def with_luigi(url: str, directory: str, count: int) -> None:
    """Luigi's worker. url: of a luigid or of our server."""
    many = Many(directory=directory, count=count)
    luigi.build([many], workers=PROCESSES, scheduler_url=url, log_level="WARNING")


def with_rq(url: str, directory: str, count: int) -> None:
    """RQ's pool of workers. url: of a Redis."""
    from rq import Queue

    queue = Queue("bench", connection=redis.Redis.from_url(url))
    for number in range(count):
        queue.enqueue(write, directory, number, result_ttl=0)
    command = [sys.executable, "-m", "rq.cli", "worker-pool", "bench", "--burst", "-n", str(PROCESSES), "--url", url]
    subprocess.run([*command, "--logging-level", "WARNING"], check=True)


def with_dask(url: str, directory: str, count: int) -> None:
    """Dask's local cluster, which has no Redis."""
    from dask.distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=PROCESSES, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        client.gather([client.submit(write, directory, number) for number in range(count)])


def with_celery(url: str, directory: str, count: int) -> None:
    """Celery's prefork pool. url: of a Redis."""
    import celery

    app = celery.Celery("bench", broker=f"redis+socket://{url.removeprefix('unix://')}")
    app.conf.task_ignore_result = True
    task = app.task(write, name="write")
    for number in range(count):
        task.delay(directory, number)
    worker = subprocess.Popen(
        [sys.executable, "-c", f"from benchmarks.end_to_end import celery_worker; celery_worker({url!r})"]
    )
    try:
        wait_for_files(Path(directory), count)
    finally:
        worker.terminate()
        worker.wait()


def celery_worker(url: str) -> None:
    """Run the pool until it is told to end."""
    import celery

    app = celery.Celery("bench", broker=f"redis+socket://{url.removeprefix('unix://')}")
    app.task(write, name="write")
    app.worker_main(["worker", "--concurrency", str(PROCESSES), "--loglevel", "ERROR", "--pool", "prefork"])


def wait_for_files(directory: Path, count: int) -> None:
    """Wait until there are so many."""
    import time

    while sum(1 for each in directory.iterdir() if each.name.isdigit()) < count:  # luigi's have longer names at first
        time.sleep(0.1)


RUNNERS: dict[str, Callable[[str, str, int], None]] = {
    "ours": with_ours,
    "luigi": with_luigi,
    "rq": with_rq,
    "dask": with_dask,
    "celery": with_celery,
}


def is_installed(runner: str) -> bool:
    """Return whether what it needs can be imported."""
    needed = {"dask": "distributed", "celery": "celery", "rq": "rq"}.get(runner)
    return needed is None or importlib.util.find_spec(needed) is not None


def rate(runner: str, url: str, directory: Path, count: int) -> float:
    """Return how many tasks a second it ran, start-up apart."""
    directory.mkdir()
    program = f"from benchmarks.end_to_end import main; main({runner!r}, {url!r}, {str(directory)!r}, {count})"
    command = [sys.executable, "-c", program]  # not as __main__, whose functions can't travel
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=Path(__file__).parent.parent)
    times = sorted(each.stat().st_mtime for each in directory.iterdir())
    if len(times) != count:
        raise RuntimeError(f"{runner} wrote {len(times)} files of {count}")
    first = int(count * LEFT_OUT)
    return (count - 1 - first) / (times[-1] - times[first])


def main(runner: str, url: str, directory: str, count: int) -> None:
    """Run so many tasks, and return when they have run."""
    logging.basicConfig(level=logging.WARNING)
    RUNNERS[runner](url, directory, count)

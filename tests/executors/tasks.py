"""What jobs run in tests. Each run leaves three pids in a file: its own, the job's, and whose child that is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from broker_sched import LocalTarget, Task
from tests.nightly import by_night

LAYERS, WIDTH = by_night((10, 30), (6, 12))  # of a grid


class InDirectory(Task):
    """A task with a file."""

    directory: str
    name: str

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/{self.name}.out")

    def note(self) -> None:
        with open(f"{self.directory}/{self.name}.runs", "a") as file:
            file.write(f"{os.getpid()} {os.getppid()} {psutil.Process(os.getppid()).ppid()}.\n")

    def write(self) -> None:
        with self.output().open("w") as file:
            file.write("done")

    def run(self) -> Any:
        self.note()
        self.write()


class Traced(InDirectory):
    """Writes down the context that it finds."""

    def run(self) -> None:
        with self.output().open("w") as file:
            file.write(os.environ["TRACEPARENT"])


class Chatty(InDirectory):
    """Says how far it is, and waits to be seen."""

    def run(self) -> None:
        self.note()
        for percentage in (10, 40):
            self.set_progress_percentage(percentage)
        self.set_status_message("half of it")
        self.set_tracking_url("http://example.org/run")
        while not os.path.exists(f"{self.directory}/seen"):
            time.sleep(0.01)
        self.write()


class Failing(InDirectory):
    """Prints, and raises."""

    def run(self) -> None:
        self.note()
        print("about to fail")
        os.system("echo from a program")
        raise ValueError("no such customer")


class Waiting(InDirectory):
    """Waits for a file `go`, at most a minute."""

    worker_timeout = None

    def run(self) -> None:
        self.note()
        print("waiting for go", flush=True)
        until = time.monotonic() + 60
        while not os.path.exists(f"{self.directory}/go"):
            assert time.monotonic() < until, "nobody said go"
            time.sleep(0.02)
        self.write()


class Stubborn(Waiting):
    """Does not end when it is told to, and notes that it was."""

    def run(self) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: Path(f"{self.directory}/told").touch())
        super().run()


class Limited(Waiting):
    """Takes too long."""

    worker_timeout = 1


class Deaf(InDirectory):
    """Takes too long, and goes on whatever is raised in it."""

    worker_timeout = 1

    def run(self) -> None:
        self.note()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(Exception):
                time.sleep(0.2)


class Exiting(InDirectory):
    """Leaves its process by the back door."""

    def run(self) -> None:
        self.note()
        os._exit(0)


class Asking(InDirectory):
    """Asks for another task while it runs."""

    def run(self) -> Any:
        self.note()
        yield InDirectory(directory=self.directory, name="wanted")
        self.write()


class Needing(InDirectory):
    """Needs another task."""

    def requires(self) -> InDirectory:
        return InDirectory(directory=self.directory, name="dep")


class Hollow(InDirectory):
    """Runs, and makes nothing."""

    def run(self) -> None:
        self.note()


class AskingInVain(InDirectory):
    """Asks for that one."""

    def run(self) -> Any:
        self.note()
        yield Hollow(directory=self.directory, name="hollow")
        self.write()


class Answering(InDirectory):
    """Answers a message, and is through."""

    accepts_messages = True

    def run(self) -> None:
        self.note()
        message = self.scheduler_messages.get(timeout=60)
        message.respond(f"half of {message.content}")
        self.write()


class Cell(InDirectory):
    """One of a grid: layer-column; needs three of the layer before."""

    layer: int
    column: int

    def requires(self) -> list[Task]:
        columns = [(self.column + n) % WIDTH for n in (0, 1, 7)] if self.layer else []
        return [cell(self.directory, self.layer - 1, column) for column in columns]

    def hold(self) -> Path:
        """A file; while it exists, the cell is not through."""
        return Path(self.directory) / f"{self.name}.hold"

    def run(self) -> None:
        self.note()
        while self.hold().exists():
            time.sleep(0.02)
        self.write()


def cell(directory: str, layer: int, column: int) -> Cell:
    """A cell by its place."""
    return Cell(directory=directory, name=f"{layer}-{column}", layer=layer, column=column)


class Grid(InDirectory):
    """All cells."""

    def requires(self) -> list[Task]:
        return [cell(self.directory, LAYERS - 1, column) for column in range(WIDTH)]


class Run(NamedTuple):
    """Who had to do with a run, by their pids."""

    task_process: int
    work_horse: int  # the job
    rq_worker: int


def runs_of(task: InDirectory) -> list[Run]:
    """All of its runs."""
    path = Path(task.directory) / f"{task.name}.runs"
    lines = path.read_text().splitlines() if path.exists() else []
    return [Run(*map(int, line[:-1].split())) for line in lines if line.endswith(".")]


class Starting(InDirectory):
    """Starts programs: in its own process group, below a shell, and in a session of their own; and waits for them."""

    def run(self) -> None:
        script = "sleep 600 & echo $! >> {0}; sleep 600 & echo $! >> {0}; echo $$ >> {0}; wait"
        pids = Path(f"{self.directory}/{self.name}.pids")
        subprocess.Popen(["sh", "-c", script.format(pids)], start_new_session=True)
        shell = subprocess.Popen(["sh", "-c", script.format(pids)])
        while len(pids.read_text().split()) < 6 if pids.exists() else True:
            time.sleep(0.01)
        self.note()
        shell.wait()


class Overrunning(Starting):
    """The same, for too long."""

    worker_timeout = 3


class Leaving(InDirectory):
    """Leaves a program behind when it is through."""

    def run(self) -> None:
        left = subprocess.Popen(["sleep", "600"], start_new_session=True)
        Path(f"{self.directory}/{self.name}.pids").write_text(str(left.pid))
        self.write()


class LockHolding(InDirectory):
    """Holds Python's lock for hours: no other thread of its process gets to do anything."""

    worker_timeout = None

    def run(self) -> None:
        self.note()
        sum(range(10**14))

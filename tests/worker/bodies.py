"""What the tasks of the worker tests do: luigi_tasks.py and native_tasks.py make tasks of both kinds of it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from broker_sched.worker.executors.task_connection import LENGTH, TasksEnd


class InDirectory:
    """Writes a file of its own name into `directory`; its runs are counted in a file beside it."""

    directory: str
    name = ""

    def path(self) -> Path:
        """Where its output is."""
        return Path(self.directory) / f"{type(self).__name__}_{self.name}"

    def output(self) -> Any:
        """A local target."""
        return self.target(str(self.path()))  # type: ignore[attr-defined]  # luigi's LocalTarget or ours

    def count_run(self) -> int:
        """Note a run; returns how many there were."""
        log = Path(f"{self.path()}.runs")
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return len(log.read_text().splitlines())

    def run(self) -> Any:
        """Write the output."""
        self.count_run()
        with self.output().open("w") as file:
            file.write(self.name)


def runs_of(path: Path) -> list[int]:
    """The pids of the runs of the task with this output."""
    log = Path(f"{path}.runs")
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


class SumBody(InDirectory):
    """Joins what its deps wrote."""

    def run(self) -> Any:
        self.count_run()
        texts = []
        for target in self.input():  # type: ignore[attr-defined]  # of the task
            with target.open() as file:
                texts.append(file.read())
        with self.output().open("w") as file:
            file.write("".join(texts))


class FailBody(InDirectory):
    """Never succeeds."""

    def run(self) -> Any:
        self.count_run()
        raise ValueError("this task always fails")


class FailOnceBody(InDirectory):
    """Succeeds the second time."""

    def run(self) -> Any:
        if self.count_run() == 1:
            raise ValueError("the first run fails")
        with self.output().open("w") as file:
            file.write("second")


class DynamicBody(InDirectory):
    """Finds out while it runs what it needs."""

    def run(self) -> Iterator[Any]:
        self.count_run()
        first = yield self.wanted("first")  # type: ignore[attr-defined]  # made by the module
        with first.open() as file:
            name = file.read()
        targets = yield [self.wanted(f"{name}_a"), self.wanted(f"{name}_b")]  # type: ignore[attr-defined]
        with self.output().open("w") as file:
            file.write(",".join(Path(target.path).name for target in targets))


class VanishBody(InDirectory):
    """Its process ends without a word: by `exit code`, or by a signal; or, `half said`, in the middle of one, which a
    child that it leaves behind keeps from being its last."""

    how: str

    def run(self) -> Any:
        self.count_run()
        if self.how.startswith("exit"):
            os._exit(int(self.how.removeprefix("exit")))
        if self.how == "half said":
            self.leave_half_said()
        os.kill(os.getpid(), getattr(signal, self.how))
        time.sleep(60)

    def leave_half_said(self) -> None:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        (end,) = (thing for thing in gc.get_objects() if isinstance(thing, TasksEnd))
        end._connection.sendall(LENGTH.pack(1000) + b"the rest never comes")
        os.kill(os.getpid(), signal.SIGKILL)


class SleepBody(InDirectory):
    """Takes `seconds`, and starts a process of its own that takes as long."""

    seconds: float

    def run(self) -> Any:
        self.count_run()
        child = os.fork()
        if child == 0:
            time.sleep(self.seconds)
            os._exit(0)
        Path(f"{self.path()}.child").write_text(str(child))
        time.sleep(self.seconds)
        super().run()


class ReportBody(InDirectory):
    """Reports all there is to report, and answers one message."""

    def run(self) -> Any:
        self.set_tracking_url("http://localhost/progress")  # type: ignore[attr-defined]  # attached for the run
        self.set_status_message("half way")  # type: ignore[attr-defined]
        self.set_progress_percentage(50)  # type: ignore[attr-defined]
        self.decrease_running_resources({"db": 1})  # type: ignore[attr-defined]
        message = self.scheduler_messages.get(timeout=20)  # type: ignore[attr-defined]
        message.respond(f"heard {message.content}")
        super().run()


class TrackedBody(InDirectory):
    """Says where it can be watched, and waits for a message, as often as it is run; the first run fails."""

    def run(self) -> Any:
        self.set_tracking_url("http://localhost/progress")  # type: ignore[attr-defined]  # attached for the run
        Path(f"{self.path()}.waits").touch()
        self.scheduler_messages.get(timeout=20)  # type: ignore[attr-defined]
        if self.count_run() == 1:
            raise ValueError("the first run fails")
        with self.output().open("w") as file:
            file.write(self.name)


class BadResultBody(InDirectory):
    """on_success returns what neither JSON nor pickle can carry."""

    def on_success(self) -> Any:
        return lambda: None


class BadReportBody(InDirectory):
    """Reports what the scheduler must refuse."""

    def run(self) -> Any:
        self.set_progress_percentage("half")  # type: ignore[attr-defined]
        super().run()


class StubbornBody(InDirectory):
    """Does not end when it is asked to, and notes that it was."""

    def asked(self) -> Path:
        """A file that is there as soon as it has been asked."""
        return Path(f"{self.path()}.asked")

    def run(self) -> Any:
        signal.signal(signal.SIGTERM, lambda *_: self.asked().touch())
        self.count_run()
        time.sleep(60)


class HeldBody(InDirectory):
    """Is through once it is let go."""

    def go(self) -> Path:
        """A file that lets it go."""
        return Path(f"{self.path()}.go")

    def run(self) -> Any:
        self.count_run()
        until = time.monotonic() + 20
        while not self.go().exists():
            assert time.monotonic() < until, "nobody let it go"
            time.sleep(0.02)
        with self.output().open("w") as file:
            file.write(self.name)


class SlowBody(InDirectory):
    """Takes a moment."""

    seconds = 0.5

    def run(self) -> Any:
        super().count_run()
        time.sleep(self.seconds)
        with self.output().open("w") as file:
            file.write(self.name)


class TalkBody(InDirectory):
    """Writes in every way there is; `how` says what happens then."""

    how: str

    def run(self) -> Any:
        self.count_run()
        print("printed é")
        print("to stderr", file=sys.stderr)
        log = logging.getLogger("somewhere")
        log.addHandler(logging.StreamHandler())
        log.warning("logged")
        os.system("echo from a program")
        os.write(1, b"\xff not text\n")
        if self.how == "much":
            for number in range(20_000):
                print(f"line {number} of many, and some more words")
        if self.how == "killed":
            print("last words")
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "daemon":
            Path(f"{self.path()}.daemon").write_text(str(subprocess.Popen(["sleep", "60"]).pid))
        if self.how == "waits":
            while not Path(f"{self.path()}.go").exists():
                time.sleep(0.02)
        os.write(1, b"without an end of line")
        super().run()


class EndlessBody(SlowBody):
    """Never ends by itself."""

    seconds = 600


class ChunkBody(InDirectory):
    """Asks for many at once, and has its own way to see whether they are complete."""

    def run(self) -> Iterator[Any]:
        self.count_run()
        chunk = [self.wanted(str(number)) for number in range(4)]  # type: ignore[attr-defined]

        def all_there(is_complete: Any) -> bool:
            return bool(is_complete(chunk[-1]))

        yield self.requirements(chunk, custom_complete=all_there)  # type: ignore[attr-defined]
        yield from super().run() or ()


class LongWindedBody(InDirectory):
    """Says, in every way there is, `size` characters in one go; then it fails with as many."""

    size: int

    def run(self) -> Any:
        self.count_run()
        text = f"begin{'x' * self.size}end"
        self.set_status_message(text)  # type: ignore[attr-defined]  # attached for the run
        self.set_tracking_url(text)  # type: ignore[attr-defined]
        self.set_progress_percentage(text)  # type: ignore[attr-defined]
        raise ValueError(text)


class UnreportableBody(InDirectory):
    """Needs resources that the scheduler refuses, or that can't be said, once it has run."""

    how: str

    def process_resources(self) -> Any:
        if not self.output().exists():
            return {}
        if self.how == "raises":
            raise ZeroDivisionError("resources / 0")
        return {"db": -1 if self.how == "refused" else 1e300}


class HollowBody(InDirectory):
    """Runs, and makes nothing."""

    def run(self) -> Any:
        self.count_run()


class WaitsBody(InDirectory):
    """Asks while it runs for what `wants` names: one after the other."""

    wants: str

    def run(self) -> Iterator[Any]:
        self.count_run()
        for each in self.wants.split(","):
            yield self.wanted(each)  # type: ignore[attr-defined]  # made by the module
        with self.output().open("w") as file:
            file.write(self.wants)


class NeverSatisfiedBody(InDirectory):
    """Says that what it asks for is not complete, whatever that says."""

    def run(self) -> Iterator[Any]:
        self.count_run()
        yield self.requirements([self.wanted("made")], custom_complete=lambda is_complete: False)  # type: ignore[attr-defined]


class NoteContext:
    """A task_process_context: notes what it was around."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def __enter__(self) -> None:
        Path(f"{self.run.task.path()}.context").write_text(self.run.worker_id)

    def __exit__(self, *exception: object) -> None:
        with Path(f"{self.run.task.path()}.context").open("a") as file:
            file.write(" left")

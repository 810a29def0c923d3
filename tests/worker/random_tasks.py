"""Tasks of random pipelines: each does what its parameters say."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from broker_sched.tasks.targets import LocalTarget
from broker_sched.tasks.task import Task

KINDS = ("writes", "writes", "writes", "raises", "exits", "is killed", "is too slow", "wants more", "changes folder")


class Step(Task):
    """A step of a pipeline. plan: of all steps, `kind:dep,dep` each; the deps of a step have higher numbers."""

    directory: str
    plan: tuple[str, ...]
    number: int

    @property
    def kind(self) -> str:
        return self.plan[self.number].partition(":")[0]

    def requires(self) -> Any:
        deps = self.plan[self.number].partition(":")[2]
        return [Step(self.directory, self.plan, int(dep)) for dep in deps.split(",") if dep]

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/{self.number}")

    @property
    def worker_timeout(self) -> float | None:
        return 0.3 if self.kind == "is too slow" else None

    def run(self) -> Any:
        if self.kind == "raises":
            raise RuntimeError(f"step {self.number}")
        if self.kind == "exits":
            os._exit(0)
        if self.kind == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "is too slow":
            time.sleep(60)
        if self.kind == "wants more":
            yield Extra(self.directory, self.number)
        if self.kind == "changes folder":
            os.chdir("/")
        Path(self.output().path).write_text(str(os.getpid()))


class Extra(Task):
    """What a step wants while it runs."""

    directory: str
    number: int

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/extra-{self.number}")

    def run(self) -> None:
        Path(self.output().path).write_text("")

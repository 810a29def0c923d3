"""Tasks of both kinds with a private and a hidden parameter, which fail in each way."""

from __future__ import annotations

import os
import signal
from typing import Annotated, Any

import luigi
from luigi.parameter import ParameterVisibility

from broker_sched import Parameter, Task, Visibility

PRIVATE, HIDDEN = os.environ["PLANTED_PRIVATE"], os.environ["PLANTED_HIDDEN"]


class Failing(luigi.Task):
    """Fails as its name says, with what is secret in its attributes and in its locals."""

    how = luigi.Parameter()
    private = luigi.Parameter(default=PRIVATE, visibility=ParameterVisibility.PRIVATE)
    hidden = luigi.Parameter(default=HIDDEN, visibility=ParameterVisibility.HIDDEN)

    def requires(self) -> Any:
        if self.how == "broken deps":
            raise RuntimeError("requires() fails on purpose")
        return []

    def complete(self) -> bool:
        if self.how == "broken complete":
            raise RuntimeError("complete() fails on purpose")
        return False

    def run(self) -> None:
        local = [self.private, self.hidden]
        if self.how == "raises":
            raise ValueError(f"fails on purpose, with {len(local)} secrets at hand")
        if self.how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)


class External(luigi.ExternalTask):
    private = luigi.Parameter(default=PRIVATE, visibility=ParameterVisibility.PRIVATE)
    hidden = luigi.Parameter(default=HIDDEN, visibility=ParameterVisibility.HIDDEN)

    def complete(self) -> bool:
        return False


class Native(Task):
    """Has no output, of which it is warned."""

    private: Annotated[str, Parameter(visibility=Visibility.PRIVATE)] = PRIVATE
    hidden: Annotated[str, Parameter(visibility=Visibility.HIDDEN)] = HIDDEN

    def run(self) -> None:
        raise OSError("fails on purpose")


class All(luigi.WrapperTask):
    private = luigi.Parameter(default=PRIVATE, visibility=ParameterVisibility.PRIVATE)

    def requires(self) -> Any:
        ways = ("raises", "dies", "goes well", "broken deps", "broken complete")
        return [*(Failing(how=each) for each in ways), External(), Native()]

"""A pipeline in which everything fails that can, each task in a way of its own. Run by luigi and by us."""

import os
import signal
import time

import luigi
from luigi.parameter import ParameterVisibility

SECRET = "pa55-of-a-task"
luigi.namespace("mails", scope=__name__)  # other tests have tasks of such names, too


class Base(luigi.Task):
    owner_email = "team@x.test, lead@x.test"
    day = luigi.Parameter(default="2024-03-01")
    token = luigi.Parameter(default=SECRET, visibility=ParameterVisibility.PRIVATE)
    account = luigi.Parameter(default=f"hidden-{SECRET}", visibility=ParameterVisibility.HIDDEN)

    def complete(self):
        return False


class Raises(Base):
    def run(self):
        raise ValueError("the <b>disk</b> & all is full")


class Dies(Base):
    owner_email = None

    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Hangs(Base):
    owner_email = ("slow@x.test",)
    worker_timeout = 1

    def run(self):
        time.sleep(600)


class GivesUp(Base):
    retry_count = 1

    def run(self):
        raise ValueError("once is too often")


class CannotTell(Base):
    def complete(self):
        raise OSError("complete() can't look")


class NeedsNonsense(Base):
    def requires(self):
        raise KeyError("requires() fails")


class IsMissing(luigi.ExternalTask):
    owner_email = "team@x.test"

    def complete(self):
        return False


class NoOwner(luigi.Task):
    @property
    def owner_email(self):
        raise RuntimeError("nobody knows whose it is")

    def complete(self):
        return False

    def run(self):
        raise ValueError("and it fails")


class Everything(luigi.WrapperTask):
    def requires(self):
        return [Raises(), Dies(), Hangs(), GivesUp(), CannotTell(), NeedsNonsense(), IsMissing()]

"""The tasks of bodies.py as luigi's classes; native_tasks.py has the same as ours."""

from __future__ import annotations

import datetime
import enum
from typing import Any

import luigi

from tests.worker import bodies

TIMEOUT_SECONDS = 3  # by then even a slow process has begun


class _Named:
    target = luigi.LocalTarget


class Write(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()
    name = luigi.Parameter(default="")


class Sum(_Named, bodies.SumBody, luigi.Task):
    directory = luigi.Parameter()
    count = luigi.IntParameter(default=3)

    def requires(self) -> Any:
        return [Write(self.directory, str(number)) for number in range(self.count)]


class Fail(_Named, bodies.FailBody, luigi.Task):
    directory = luigi.Parameter()


class NeedsFail(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()

    def requires(self) -> Any:
        return Fail(self.directory)


class FailOnce(_Named, bodies.FailOnceBody, luigi.Task):
    directory = luigi.Parameter()


class External(_Named, bodies.InDirectory, luigi.ExternalTask):
    directory = luigi.Parameter()
    run = None


class NeedsExternal(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()

    def requires(self) -> Any:
        return {"external": External(self.directory)}


class Everything(luigi.WrapperTask):
    directory = luigi.Parameter()

    def requires(self) -> Any:
        yield Sum(self.directory, 2)
        yield Write(self.directory, "other")


class Dynamic(_Named, bodies.DynamicBody, luigi.Task):
    directory = luigi.Parameter()

    def wanted(self, name: str) -> Any:
        return Write(self.directory, name)


class Vanish(_Named, bodies.VanishBody, luigi.Task):
    directory = luigi.Parameter()
    how = luigi.Parameter()


class Sleep(_Named, bodies.SleepBody, luigi.Task):
    directory = luigi.Parameter()
    seconds = luigi.FloatParameter(default=30.0)
    worker_timeout = TIMEOUT_SECONDS


class Report(_Named, bodies.ReportBody, luigi.Task):
    directory = luigi.Parameter()
    accepts_messages = True
    resources = {"db": 1}  # noqa: RUF012  # as users write it


class BadResult(_Named, bodies.BadResultBody, luigi.Task):
    directory = luigi.Parameter()


class Broken(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()

    def complete(self) -> bool:
        raise RuntimeError("complete() is broken")


class BrokenDeps(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()

    def requires(self) -> Any:
        raise RuntimeError("requires() is broken")


class Disabled(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()
    disabled = True


class Batched(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()
    number = luigi.IntParameter(batch_method=max)
    max_batch_size = 10

    @property
    def name(self) -> str:
        return str(self.number)

    def complete(self) -> bool:
        return any(int(path.name.split("_")[1]) >= self.number for path in self.path().parent.glob("Batched_*[0-9]"))


class Batches(luigi.WrapperTask):
    directory = luigi.Parameter()

    def requires(self) -> Any:
        return [Batched(self.directory, number) for number in range(5)]


class Forgetful(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()

    def complete(self) -> bool:
        return False


class BadReport(_Named, bodies.BadReportBody, luigi.Task):
    directory = luigi.Parameter()


class Stubborn(_Named, bodies.StubbornBody, luigi.Task):
    directory = luigi.Parameter()
    worker_timeout = TIMEOUT_SECONDS


class Held(_Named, bodies.HeldBody, luigi.Task):
    directory = luigi.Parameter()
    name = luigi.Parameter(default="")


class Slow(_Named, bodies.SlowBody, luigi.Task):
    directory = luigi.Parameter()
    name = luigi.Parameter(default="")


class Talk(_Named, bodies.TalkBody, luigi.Task):
    directory = luigi.Parameter()
    how = luigi.Parameter(default="")


class Endless(_Named, bodies.EndlessBody, luigi.Task):
    directory = luigi.Parameter()
    name = luigi.Parameter(default="")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class EveryType(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()
    day = luigi.DateParameter(default=datetime.date(2024, 3, 1))
    hour = luigi.DateHourParameter(default=datetime.datetime(2024, 3, 1, 5))
    minute = luigi.DateMinuteParameter(default=datetime.datetime(2024, 3, 1, 5, 6))
    second = luigi.DateSecondParameter(default=datetime.datetime(2024, 3, 1, 5, 6, 7))
    month = luigi.MonthParameter(default=datetime.date(2024, 3, 1))
    year = luigi.YearParameter(default=datetime.date(2024, 1, 1))
    interval = luigi.DateIntervalParameter(default=luigi.date_interval.Week(2024, 3))
    span = luigi.TimeDeltaParameter(default=datetime.timedelta(hours=3))
    number = luigi.IntParameter(default=3)
    ratio = luigi.FloatParameter(default=0.5)
    flag = luigi.BoolParameter(default=True)
    colour = luigi.EnumParameter(enum=Colour, default=Colour.BLUE)
    colours = luigi.EnumListParameter(enum=Colour, default=(Colour.RED, Colour.BLUE))
    choice = luigi.ChoiceParameter(choices=["a", "b"], default="b")
    many = luigi.ListParameter(default=[1, [2, 3]])
    pair = luigi.TupleParameter(default=(1, "x"))
    table = luigi.DictParameter(default={"a": {"b": [1, None]}})
    numeric = luigi.NumericalParameter(var_type=int, min_value=0, max_value=9, default=4)
    maybe = luigi.OptionalIntParameter(default=None)
    where = luigi.PathParameter(default="/tmp")
    secret = luigi.Parameter(default="s", visibility=luigi.parameter.ParameterVisibility.PRIVATE)
    note = luigi.Parameter(default="n", significant=False)


class Chunk(_Named, bodies.ChunkBody, luigi.Task):
    directory = luigi.Parameter()
    requirements = luigi.DynamicRequirements

    def wanted(self, name: str) -> Any:
        return Write(self.directory, name)


class Hollow(_Named, bodies.HollowBody, luigi.Task):
    directory = luigi.Parameter()


class Noted(_Named, bodies.InDirectory, luigi.Task):
    """Its output is named by what is not significant."""

    directory = luigi.Parameter()
    name = luigi.Parameter(significant=False)


class Waits(_Named, bodies.WaitsBody, luigi.Task):
    directory = luigi.Parameter()
    wants = luigi.Parameter()

    def wanted(self, name: str) -> Any:
        kind, _, text = name.partition(":")
        return {
            "failonce": FailOnce(self.directory),
            "hollow": Hollow(self.directory),
            "noted": Noted(self.directory, text),
        }.get(kind, Write(self.directory, kind))


class NeverSatisfied(_Named, bodies.NeverSatisfiedBody, luigi.Task):
    directory = luigi.Parameter()
    requirements = luigi.DynamicRequirements

    def wanted(self, name: str) -> Any:
        return Write(self.directory, name)


class LongWinded(_Named, bodies.LongWindedBody, luigi.Task):
    directory = luigi.Parameter()
    size = luigi.IntParameter()


class Unreportable(_Named, bodies.UnreportableBody, luigi.Task):
    directory = luigi.Parameter()
    how = luigi.Parameter()


class Tracked(_Named, bodies.TrackedBody, luigi.Task):
    directory = luigi.Parameter()
    accepts_messages = True
    resources = {"db": 1}  # noqa: RUF012  # as users write it
    retry_count = 5


class NeedsHeld(_Named, bodies.InDirectory, luigi.Task):
    directory = luigi.Parameter()

    def requires(self) -> Any:
        return Held(self.directory, "held")

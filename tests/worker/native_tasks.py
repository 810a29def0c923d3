"""The tasks of bodies.py as people without luigi make them."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Annotated, Any, Literal

from broker_sched.tasks.parameters import Parameter, Visibility
from broker_sched.tasks.requirements import DynamicRequirements
from broker_sched.tasks.targets import LocalTarget
from broker_sched.tasks.task import ExternalTask, Task, WrapperTask
from tests.worker import bodies

TIMEOUT_SECONDS = 3  # by then even a slow process has begun


class _Named:
    target = LocalTarget


class Write(_Named, bodies.InDirectory, Task):
    directory: str
    name: str = ""


class Sum(_Named, bodies.SumBody, Task):
    directory: str
    count: int = 3

    def requires(self) -> Any:
        return [Write(self.directory, str(number)) for number in range(self.count)]


class Fail(_Named, bodies.FailBody, Task):
    directory: str


class NeedsFail(_Named, bodies.InDirectory, Task):
    directory: str

    def requires(self) -> Any:
        return Fail(self.directory)


class FailOnce(_Named, bodies.FailOnceBody, Task):
    directory: str


class External(_Named, bodies.InDirectory, ExternalTask):
    directory: str
    run = None


class NeedsExternal(_Named, bodies.InDirectory, Task):
    directory: str

    def requires(self) -> Any:
        return {"external": External(self.directory)}


class Everything(WrapperTask):
    directory: str

    def requires(self) -> Any:
        yield Sum(self.directory, 2)
        yield Write(self.directory, "other")


class Dynamic(_Named, bodies.DynamicBody, Task):
    directory: str

    def wanted(self, name: str) -> Any:
        return Write(self.directory, name)


class Vanish(_Named, bodies.VanishBody, Task):
    directory: str
    how: str


class Sleep(_Named, bodies.SleepBody, Task):
    directory: str
    seconds: float = 30.0
    worker_timeout = TIMEOUT_SECONDS


class Report(_Named, bodies.ReportBody, Task):
    directory: str
    accepts_messages = True
    resources = {"db": 1}  # noqa: RUF012  # as users write it


class BadResult(_Named, bodies.BadResultBody, Task):
    directory: str


class Broken(_Named, bodies.InDirectory, Task):
    directory: str

    def complete(self) -> bool:
        raise RuntimeError("complete() is broken")


class BrokenDeps(_Named, bodies.InDirectory, Task):
    directory: str

    def requires(self) -> Any:
        raise RuntimeError("requires() is broken")


class Disabled(_Named, bodies.InDirectory, Task):
    directory: str
    disabled = True


class Batched(_Named, bodies.InDirectory, Task):
    directory: str
    number: Annotated[int, Parameter(batch_method=max)]
    max_batch_size = 10

    @property
    def name(self) -> str:
        return str(self.number)

    def complete(self) -> bool:
        return any(int(path.name.split("_")[1]) >= self.number for path in self.path().parent.glob("Batched_*[0-9]"))


class Batches(WrapperTask):
    directory: str

    def requires(self) -> Any:
        return [Batched(self.directory, number) for number in range(5)]


class Forgetful(_Named, bodies.InDirectory, Task):
    directory: str

    def complete(self) -> bool:
        return False


class BadReport(_Named, bodies.BadReportBody, Task):
    directory: str


class Stubborn(_Named, bodies.StubbornBody, Task):
    directory: str
    worker_timeout = TIMEOUT_SECONDS


class Held(_Named, bodies.HeldBody, Task):
    directory: str
    name: str = ""


class Slow(_Named, bodies.SlowBody, Task):
    directory: str
    name: str = ""


class Talk(_Named, bodies.TalkBody, Task):
    directory: str
    how: str = ""


class Endless(_Named, bodies.EndlessBody, Task):
    directory: str
    name: str = ""


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class EveryType(_Named, bodies.InDirectory, Task):
    directory: str
    day: datetime.date = datetime.date(2024, 3, 1)
    second: datetime.datetime = datetime.datetime(2024, 3, 1, 5, 6, 7)
    span: datetime.timedelta = datetime.timedelta(hours=3)
    number: int = 3
    ratio: float = 0.5
    flag: bool = True
    colour: Colour = Colour.BLUE
    choice: Literal["a", "b"] = "b"
    many: list[int] = [1, 2]  # noqa: RUF012  # it is frozen
    pair: tuple[int, str] = (1, "x")
    table: dict[str, Any] = {"a": {"b": [1, None]}}  # noqa: RUF012  # likewise
    maybe: int | None = None
    where: Path = Path("/tmp")
    secret: Annotated[str, Parameter(visibility=Visibility.PRIVATE)] = "s"
    note: Annotated[str, Parameter(significant=False)] = "n"


class Chunk(_Named, bodies.ChunkBody, Task):
    directory: str
    requirements = DynamicRequirements

    def wanted(self, name: str) -> Any:
        return Write(self.directory, name)


class Hollow(_Named, bodies.HollowBody, Task):
    directory: str


class Noted(_Named, bodies.InDirectory, Task):
    """Its output is named by what is not significant."""

    directory: str
    name: Annotated[str, Parameter(significant=False)]


class Waits(_Named, bodies.WaitsBody, Task):
    directory: str
    wants: str

    def wanted(self, name: str) -> Any:
        kind, _, text = name.partition(":")
        return {
            "failonce": FailOnce(self.directory),
            "hollow": Hollow(self.directory),
            "noted": Noted(self.directory, text),
        }.get(kind, Write(self.directory, kind))


class NeverSatisfied(_Named, bodies.NeverSatisfiedBody, Task):
    directory: str
    requirements = DynamicRequirements

    def wanted(self, name: str) -> Any:
        return Write(self.directory, name)


class LongWinded(_Named, bodies.LongWindedBody, Task):
    directory: str
    size: int


class Unreportable(_Named, bodies.UnreportableBody, Task):
    directory: str
    how: str


class Tracked(_Named, bodies.TrackedBody, Task):
    directory: str
    accepts_messages = True
    resources = {"db": 1}  # noqa: RUF012  # as users write it
    retry_count = 5


class NeedsHeld(_Named, bodies.InDirectory, Task):
    directory: str

    def requires(self) -> Any:
        return Held(self.directory, "held")

"""Native tasks for the tests, in a module so that they can be loaded and pickled."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from broker_sched.tasks import DynamicRequirements, ExternalTask, LocalTarget, Parameter, Task, Visibility, WrapperTask


class Sales(Task):
    """With parameters of every visibility."""

    day: datetime.date
    top: int = 10
    tags: list[str] = []  # noqa: RUF012  # its frozen copy is the default
    token: Annotated[str, Parameter(visibility=Visibility.PRIVATE)] = "s3cret"
    level: Annotated[str, Parameter(visibility=Visibility.HIDDEN, significant=False)] = "info"
    limit: ClassVar[int] = 5
    _note: str = "no parameter"
    priority: int = 7
    resources = {"db": 2}  # noqa: RUF012  # as users write it

    @property
    def label(self) -> str:
        return f"{self.day} {self.top}"


class Special(Sales):
    """Inherits, with another default, and adds."""

    task_namespace = "shop"
    top = 20
    extra: bool = False


class Written(Task):
    """Writes a file in a directory."""

    directory: str
    name: str = "a"

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/{self.name}")

    def run(self) -> None:
        with self.output().open("w") as file:
            file.write(self.name)


class Outside(ExternalTask):
    """Made by nobody."""

    directory: str

    def output(self) -> LocalTarget:
        return LocalTarget(f"{self.directory}/outside")


class Both(WrapperTask):
    """Two files."""

    directory: str

    def requires(self) -> dict[str, Any]:
        return {"one": Written(directory=self.directory), "more": [Written(directory=self.directory, name="b")]}


class Dynamic(Task):
    """Yields what it needs."""

    directory: str

    def run(self) -> Iterator[Any]:
        yield DynamicRequirements([Written(directory=self.directory)])


class Days(Task):
    """Batched in two ways."""

    day: Annotated[datetime.date, Parameter(batch_method=max)]
    name: Annotated[str, Parameter(batchable=True)] = "x"


def twin() -> type[Task]:
    """Another class of the family Sales, elsewhere."""

    class Sales(Task):
        pass

    return Sales

"""Tasks without luigi: the classes that users derive from. Names and behaviour are Luigi's.

Source: luigi.task, 3.8.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from broker_sched.tasks.events import EventSource
from broker_sched.tasks.frozen import FrozenDict
from broker_sched.tasks.loading import register
from broker_sched.tasks.parameters import BoundParameter, Parameters, Visibility, bind, declared_in, parse
from broker_sched.tasks.protocol import flatten, owners_of, visibilities_of, without_password
from broker_sched.tasks.requirements import outputs_of

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Callable[[type], type]:
        """For type checkers only: a task's __init__ has its parameters."""
        return lambda cls: cls


AnyTask = TypeVar("AnyTask")
Run = Generator[Any, Any, None]  # run() may be a generator: it yields tasks, and gets their outputs

ID_PARAMETERS = 3  # so many parameters are in a task's id
ID_VALUE_LENGTH = 16  # characters of each
ID_HASH_LENGTH = 10
NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_]")

# What a worker sets on the task while it runs. They belong to the process, and are not pickled.
REPORTERS = (
    *("set_tracking_url", "set_status_message", "set_progress_percentage"),
    *("decrease_running_resources", "scheduler_messages"),
)
FIXED = frozenset(("task_id", "param_kwargs"))


def task_id_of(family: str, texts: Mapping[str, str]) -> str:
    """Luigi's id: the family, the first three parameters by name, cleaned and cut, and a hash of all of them.

    texts: the significant public parameters as text. Source: luigi.task.task_id_str, 3.8.1.
    """
    names = sorted(texts)
    canonical = json.dumps(texts, separators=(",", ":"), sort_keys=True)
    digest = hashlib.md5(canonical.encode(), usedforsecurity=False).hexdigest()
    summary = "_".join(texts[name][:ID_VALUE_LENGTH] for name in names[:ID_PARAMETERS])
    return f"{family}_{NOT_IN_AN_ID.sub('_', summary)}_{digest[:ID_HASH_LENGTH]}"


class _Family:
    """Makes task_family an attribute of a class and of its instances."""

    def __get__(self, task: Any, cls: type[Task]) -> str:
        return cls.get_task_family()


@dataclass_transform(eq_default=False, kw_only_default=True)
class Task(EventSource):
    """A unit of work. Annotated attributes of a subclass are its parameters.

        class Report(Task):
            date: datetime.date
            top: int = 10
            verbose: Annotated[bool, Parameter(significant=False)] = False

            def requires(self):
                return Sales(date=self.date)

            def output(self):
                return LocalTarget(f"report-{self.date}.txt")

            def run(self):
                with self.output().open("w") as file:
                    ...

    Names with a leading underscore, ClassVars and the settings below are no parameters. Values are checked and frozen:
    a list is a tuple. Tasks of one class with the same significant parameters are equal.
    Making one raises ParameterError; a class that can't work, TaskDefinitionError.
    """

    # Settings: a subclass gives other values, or properties of the same name.
    SETTINGS: ClassVar[frozenset[str]] = frozenset(
        (
            *("priority", "disabled", "resources", "worker_timeout", "max_batch_size", "batchable", "retry_count"),
            *("disable_hard_timeout", "disable_window", "owner_email", "accepts_messages", "task_namespace"),
            "fresh_process",
        )
    )
    priority: float = 0  # higher runs earlier
    disabled: bool = False  # it is scheduled as DISABLED, and not run
    resources: Mapping[str, float] = FrozenDict()  # what it holds while it runs: {name: amount}
    worker_timeout: float | None = None  # seconds that run() may take; 0: no limit; None: the worker's own
    max_batch_size: float = float("inf")  # so many of a family run as one, at the most
    retry_count: int | None = None  # failures that disable it; None, here and below: the scheduler's own
    disable_hard_timeout: float | None = None  # seconds; a failure so long after the first disables it
    disable_window: float | None = None  # seconds; older failures don't count
    owner_email: str | Sequence[str] | None = None  # who gets mails about it; a text may have several, with commas
    accepts_messages: bool = False  # of users, while it runs: self.scheduler_messages
    fresh_process: bool = False  # where a worker runs tasks in processes: in one that has run no other
    task_namespace: str = ""  # stands before the class's name in the family, with a dot

    # What a worker sets while the task runs
    set_tracking_url: Callable[[str], None] | None = None
    set_status_message: Callable[[str], None] | None = None
    set_progress_percentage: Callable[[float], None] | None = None
    decrease_running_resources: Callable[[dict[str, float]], None] | None = None
    scheduler_messages: Any = None

    task_id: str
    param_kwargs: Mapping[str, Any]  # parameter → value
    task_family = _Family()
    _parameters: ClassVar[Parameters] = FrozenDict()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._parameters = declared_in(cls, Task)
        register(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        values = bind(self.get_task_family(), self._parameters, args, kwargs)
        self.__dict__.update(values, param_kwargs=FrozenDict(values))
        texts = self.to_str_params(only_significant=True, only_public=True)
        self.__dict__["task_id"] = task_id_of(self.get_task_family(), texts)

    # Identity

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._parameters or name in FIXED:
            self._refuse(name)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters or name in FIXED:
            self._refuse(name)
        object.__delattr__(self, name)

    def _refuse(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.task_family}.{name} can't change. Make another task: task.clone(name=value).")

    def __eq__(self, other: object) -> bool:
        return self.__class__ is other.__class__ and self.task_id == other.task_id

    def __hash__(self) -> int:
        return hash(self.task_id)

    def __repr__(self) -> str:
        texts = self.to_str_params(only_significant=True, only_public=True)
        return without_password(f"{self.task_family}({', '.join(f'{name}={text}' for name, text in texts.items())})")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in REPORTERS}

    def initialized(self) -> bool:
        """Return whether __init__ has run to its end."""
        return "task_id" in self.__dict__

    @property
    def task_module(self) -> str:
        """The name of the module to import to get the task's class."""
        return type(self).__module__

    @classmethod
    def get_task_namespace(cls) -> str:
        """The part of the family before the last dot, "" for none."""
        return cls.task_namespace

    @classmethod
    def get_task_family(cls) -> str:
        """The class's name, after its namespace and a dot where it has one."""
        namespace = cls.get_task_namespace()
        return f"{namespace}.{cls.__name__}" if namespace else cls.__name__

    # Parameters

    @classmethod
    def get_params(cls) -> list[tuple[str, BoundParameter]]:
        """Return (name, parameter) of each parameter, in order of definition."""
        return list(cls._parameters.items())

    @classmethod
    def get_param_names(cls, include_significant: bool = False) -> list[str]:
        """The names of the significant ones; with include_significant, of all. Luigi: its argument's name says less."""
        return [name for name, parameter in cls.get_params() if include_significant or parameter.significant]

    @classmethod
    def batch_param_names(cls) -> list[str]:
        """Return the names of the parameters of which a batch has a list."""
        return [name for name, parameter in cls.get_params() if parameter.batchable]

    @property
    def batchable(self) -> bool:
        """Whether tasks of this family may run as one: by default, when it has a batched parameter."""
        return bool(self.batch_param_names())

    @classmethod
    def from_str_params(cls, params_str: Mapping[str, str | Sequence[str]]) -> Self:
        """A task from text, or a list of texts for a batched parameter. Unknown names are left out."""
        return cls(**parse(cls.get_task_family(), cls._parameters, params_str))

    def to_str_params(self, only_significant: bool = False, only_public: bool = False) -> dict[str, str]:
        """The parameters as text, without the private ones; from_str_params is the way back."""
        shown = Visibility.PUBLIC if only_public else Visibility.HIDDEN
        return {
            name: parameter.serialize(self.param_kwargs[name])
            for name, parameter in self._parameters.items()
            if parameter.visibility <= shown and (parameter.significant or not only_significant)
        }

    def clone(self, cls: Callable[..., AnyTask] | None = None, **kwargs: Any) -> Any:
        """Another task, of this class or of `cls`, with this one's parameters where it has the same names.

        kwargs: values that differ. Raises ParameterError, also for names that are no parameters (Luigi drops them).
        """
        made: Any = type(self) if cls is None else cls
        same = {name: getattr(self, name) for name, _ in made.get_params() if hasattr(self, name)}
        return made(**{**same, **kwargs})

    def _get_param_visibilities(self) -> dict[str, int]:
        return visibilities_of(self)

    def _owner_list(self) -> list[str]:
        return owners_of(self)

    # What a subclass says

    def requires(self) -> Any:
        """The tasks that must be complete before this one runs: one, or any structure of them."""
        return []

    def output(self) -> Any:
        """The targets that it makes: one, or any structure of them."""
        return []

    run: Any  # declared so that ExternalTask may say None

    def run(self) -> Run | None:  # type: ignore[no-redef]
        """The work. May be a generator: `outputs = yield tasks` waits until they are complete."""
        return None

    def complete(self) -> bool:
        """Whether there is nothing left to do: all outputs exist. Without outputs: never, and a warning."""
        outputs = flatten(self.output())
        if not outputs:
            warnings.warn(f"{self!r} has no output() and no complete() of its own: it is never complete.", stacklevel=2)
            return False
        return all(output.exists() for output in outputs)

    @classmethod
    def bulk_complete(cls, parameter_tuples: Any) -> Any:
        """Which of many parameter values are complete. A subclass may know a quick way."""
        raise NotImplementedError(f"{cls.__name__} has no bulk_complete(); ask complete() of each task.")

    def on_success(self) -> Any:
        """Called after run() went well. What it returns is kept, as JSON, as the explanation."""
        return None

    def on_failure(self, exception: BaseException) -> Any:
        """Called after run() failed. What it returns is kept as the explanation: by default the stack trace."""
        return "Runtime error:\n" + "".join(traceback.format_exception(exception))

    def process_resources(self) -> Mapping[str, float]:
        """Return the resources that the task holds while it runs: {name: amount}."""
        return self.resources

    # What the framework asks

    def input(self) -> Any:
        """Return the outputs of the required tasks, in the structure of requires()."""
        return outputs_of(self.requires())

    def deps(self) -> list[Any]:
        """Return the required tasks as a flat list."""
        return flatten(self._requires())

    def _requires(self) -> list[Any]:
        """Return what requires() returns; a template may add what is required besides what its subclasses say."""
        return flatten(self.requires())

    @contextlib.contextmanager
    def no_unpicklable_properties(self) -> Iterator[None]:
        """Take off, for the time of the block, what a worker has set. Pickling leaves it out by itself."""
        kept = {name: self.__dict__.pop(name) for name in REPORTERS if name in self.__dict__}
        try:
            yield
        finally:
            self.__dict__.update(kept)


class ExternalTask(Task):
    """A task that something else does: it has no run(), and is complete once its output exists."""

    run = None


class WrapperTask(Task):
    """A task that only stands for others: complete when all that it requires is."""

    def complete(self) -> bool:
        """Return whether all that the task requires is complete."""
        return all(task.complete() for task in flatten(self.requires()))

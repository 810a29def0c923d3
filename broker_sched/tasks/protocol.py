"""What a worker needs of a task, whoever made its class: ours, or the `luigi` package. Names are Luigi's."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol, cast

from broker_sched.errors import WorkerError

_visibilities: weakref.WeakKeyDictionary[type, dict[str, int]] = weakref.WeakKeyDictionary()
PRIVATE = 2  # the visibility of a parameter that never leaves its process
RETRY_POLICY = ("retry_count", "disable_hard_timeout", "disable_window")
INSTANCE = "Give an instance of luigi.Task or of broker_sched's Task."
MAX_VALUE = 60  # characters of a parameter's value in a message
URL_PASSWORD = re.compile(r"(://[^/@\s:]*):[^/@\s]*@")


class TaskTypeError(WorkerError, TypeError):
    """Raised for what should be a task, and lacks something that a task has. The message names it."""


class TaskLike(Protocol):
    """A task, as a worker sees it. luigi.Task and broker_sched.tasks.Task have all of this.

    Source: luigi.task.Task, 3.8.1, as far as luigi.worker.Worker uses it.
    """

    task_id: str
    param_kwargs: Mapping[str, Any]  # parameter → value
    priority: float
    disabled: bool
    worker_timeout: float | None  # seconds; 0: none; None: the worker's own
    max_batch_size: float
    run: Any  # None for an external task; may be a generator function

    @property
    def task_family(self) -> str:
        """The class's name, after its namespace and a dot where it has one."""

    @property
    def task_module(self) -> str:
        """The name of the module in which the task's class is found."""

    @property
    def batchable(self) -> bool:
        """Whether several tasks of this family may run as one."""

    @property
    def accepts_messages(self) -> bool:
        """Whether messages may be sent to it while it runs."""

    def complete(self) -> bool:
        """Return whether there is nothing left to do."""

    def requires(self) -> Any:
        """Return the tasks that this one depends on, in any structure."""

    def deps(self) -> Iterable[Any]:
        """Return the tasks that this one depends on, as a flat iterable."""

    def input(self) -> Any:
        """Return the outputs of the required tasks, in the structure of requires()."""

    def output(self) -> Any:
        """Return the targets that the task makes, in any structure."""

    def on_success(self) -> Any:
        """Called after a run that ended well; what it returns is kept as the explanation."""

    def on_failure(self, exception: BaseException) -> Any:
        """Called after one that failed; what it returns is kept as the explanation."""

    def process_resources(self) -> Mapping[str, float]:
        """Return the resources that the task holds while it runs: {name: amount}."""

    def to_str_params(self, only_significant: bool = False, only_public: bool = False) -> dict[str, str]:
        """Return parameter → text, without the private parameters."""

    @classmethod
    def get_params(cls) -> list[tuple[str, Any]]:
        """Return (name, declaration) of each parameter, in order."""

    @classmethod
    def batch_param_names(cls) -> list[str]:
        """Return the names of the parameters of which a batch has a list."""

    def trigger_event(self, event: str, *args: Any) -> None:
        """Call the handlers that listen to the event, with the task and these arguments."""


class _Needed:
    """What check_task looks for: the members of TaskLike."""

    METHODS: ClassVar[tuple[str, ...]] = (
        *("complete", "requires", "deps", "input", "output", "on_success", "on_failure", "process_resources"),
        *("to_str_params", "get_params", "batch_param_names", "trigger_event"),
    )
    ATTRIBUTES: ClassVar[tuple[str, ...]] = (
        *("task_id", "task_family", "task_module", "param_kwargs", "priority", "disabled", "worker_timeout"),
        *("batchable", "max_batch_size", "accepts_messages", "run"),
    )


def check_task(thing: Any) -> TaskLike:
    """Return the thing itself, when it is a task.

    Raises TaskTypeError, one message with everything that it lacks. A class is refused: a task is an instance.
    """
    if isinstance(thing, type):
        raise TaskTypeError(f"{thing.__name__} is a class, not a task. Make one of it: {thing.__name__}(...).")
    lacking = [name for name in _Needed.ATTRIBUTES if not _has(thing, name)]
    lacking += [f"{name}()" for name in _Needed.METHODS if not callable(_get(thing, name))]
    if not lacking:
        run = _get(thing, "run")
        if run is None or run is NotImplemented or callable(run):
            return cast(TaskLike, thing)
        raise TaskTypeError(
            f"run of {_shown(thing)} is a {type(run).__name__}, and no method. Define it with def run(self); "
            "None is for a task that something else does."
        )
    if {"task_id", "complete()", "requires()"} <= set(lacking):
        what = {str: "text"}.get(type(thing), type(thing).__name__)
        raise TaskTypeError(f"{_shown(thing)} is a {what}, not a task. {INSTANCE}")
    spoilt = [name for name in lacking if _get(thing, name.removesuffix("()")) is not None and name.endswith("()")]
    if spoilt == lacking:
        raise TaskTypeError(
            f"{' and '.join(spoilt)} of {_shown(thing)} can't be called: define a method, def {spoilt[0][:-2]}(self)."
        )
    hint = INSTANCE
    if "task_id" in lacking and len(lacking) <= 2:
        hint = "Does its __init__ leave out super().__init__(*args, **kwargs)?"
    raise TaskTypeError(f"{_shown(thing)} is no task; it lacks: {', '.join(lacking)}. {hint}")


def flatten(struct: Any) -> list[Any]:
    """All things in a structure, however nested: the values of mappings, the elements of iterables, in order.

    A text counts as one thing, None as nothing. A generator is used up.
    Source: luigi.task.flatten, 3.8.1.
    """
    if struct is None:
        return []
    if isinstance(struct, Mapping):
        return [leaf for inner in struct.values() for leaf in flatten(inner)]
    if isinstance(struct, (str, bytes)) or not isinstance(struct, Iterable):
        return [struct]
    return [leaf for inner in struct for leaf in flatten(inner)]


def checked_deps(deps: Iterable[Any], whence: str) -> None:
    """Raise TaskTypeError for a dep that is no task, naming whence it came, such as `requires() of Report_2024`."""
    for dep in deps:
        try:
            check_task(dep)
        except TaskTypeError as error:
            raise TaskTypeError(f"{whence}: {error}") from None


def owners_of(task: TaskLike) -> list[str]:
    """Return the mail addresses in the task's `owner_email`, which is a text with commas, a list, or None.

    Source: luigi.task.Task.owner_email, 3.8.1.
    """
    found: Any = getattr(task, "owner_email", None)  # not in the contract: a task may go without
    if not found:
        return []
    addresses = found.split(",") if isinstance(found, str) else found
    return [str(address).strip() for address in addresses]


def visibilities_of(task: TaskLike) -> dict[str, int]:
    """Parameter → 0 (public) or 1 (hidden). Private ones are left out, as in to_str_params().

    Source: luigi.task.Task._get_param_visibilities, 3.8.1.
    """
    kind = type(task)
    known = _visibilities.get(kind)
    if known is None:  # luigi looks through all that the class has, each time that it is asked
        known = {name: int(getattr(declared, "visibility", 0)) for name, declared in kind.get_params()}
        _visibilities[kind] = known
    given = task.param_kwargs
    return {name: visibility for name, visibility in known.items() if visibility != PRIVATE and name in given}


def retry_policy_of(task: TaskLike) -> dict[str, float | None]:
    """The task's own {retry_count, disable_hard_timeout, disable_window}; None where the scheduler's holds.

    The last two are seconds. Source: luigi.worker._get_retry_policy_dict, 3.8.1.
    """
    return {name: getattr(task, name, None) for name in RETRY_POLICY}


def no_targets_of(task: TaskLike) -> str | None:
    """What to say when output() has something in it that can't tell whether it exists; None when all is well."""
    try:
        outputs = flatten(task.output())
    except Exception:  # output() fails by itself, and says why
        return None
    for output in outputs:
        if not callable(_get(output, "exists")):
            what = {str: "text"}.get(type(output), type(output).__name__)
            return (
                f"output() of {task.task_id} has the {what} {_shown(output)} in it, which is no target. Make it one, "
                f"such as LocalTarget({_shown(output) if isinstance(output, str) else '...'})."
            )
    return None


def logged_name(task: TaskLike) -> LoggedName:
    """Return a task's name as a log may have it. It is made only where the line is shown: it takes a while."""
    return LoggedName(task)


class LoggedName:
    """A task with its public parameters only, which luigi's own text of a task does not heed, and without passwords of
    URLs. Where the task can't say them, its id.
    """

    def __init__(self, task: TaskLike) -> None:
        self._task = task

    def __str__(self) -> str:
        task = self._task
        try:
            params = task.to_str_params(only_significant=True, only_public=True)
            return without_password(
                f"{task.task_family}({', '.join(f'{name}={text}' for name, text in params.items())})"
            )
        except Exception:  # of a parameter of the user's: a line of a log is not worth a failure
            return task.task_id


def without_password(text: str) -> str:
    """Return the text, in which the passwords of URLs are replaced by ***."""
    return URL_PASSWORD.sub(r"\1:***@", text)


def _get(thing: Any, name: str) -> Any:
    try:
        return getattr(thing, name)
    except Exception:  # a property of the user's that fails: as good as not there
        return None


def _has(thing: Any, name: str) -> bool:
    """Whether the class or the instance has it. Properties are not asked: they may be slow, or fail by themselves."""
    if hasattr(type(thing), name):
        return True
    try:
        return hasattr(thing, name)
    except Exception:  # __getattr__ of the user's
        return False


def shown_value(value: Any) -> str:
    """Return a parameter's value for a message: at most MAX_VALUE characters of its repr, without passwords."""
    text = without_password(repr(value))
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}..."


def _shown(thing: Any) -> str:
    """The thing for a message. Its own repr may fail when it is half made."""
    try:
        text = without_password(repr(thing))
    except Exception:
        text = f"A half-made {type(thing).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}..."

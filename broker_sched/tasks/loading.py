"""From module, family and parameters as text to a task: how a worker gets a task that another one scheduled."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import Any

from broker_sched.errors import WorkerError
from broker_sched.tasks.from_texts import TextParams, addressed, task_from_texts
from broker_sched.tasks.protocol import TaskLike, check_task, without_password


class TaskNotLoadable(WorkerError):
    """No task can be made from the module, family and parameters that the scheduler has: the message says why.

    is_whole_module: no task of its module can, since that can't be imported here, or may not be.
    """

    def __init__(self, message: str, is_whole_module: bool = False) -> None:
        super().__init__(message)
        self.is_whole_module = is_whole_module


_CLASSES: dict[tuple[str, str], type[Any]] = {}  # (module, qualified name) → class: a second definition replaces
_kept: dict[str, tuple[int, Any]] = {}  # family → how many classes luigi had, and which of them it was


def register(task_class: type[Any]) -> None:
    """Make a native class known. A class of the same module and qualified name is replaced (reload, notebook)."""
    _CLASSES[(task_class.__module__, task_class.__qualname__)] = task_class


def classes_of(family: str) -> list[type[Any]]:
    """The native classes of a family, in order of definition. Families may change later, so they are asked now."""
    return [known for known in _CLASSES.values() if known.get_task_family() == family]


def all_classes() -> list[type[Any]]:
    """Return the native task classes that are defined so far, in order of definition."""
    return list(_CLASSES.values())


def forget_instances() -> None:
    """Let go of the tasks of luigi's that were made so far: luigi keeps each one, for whoever makes it again."""
    register: Any = getattr(sys.modules.get("luigi.task_register"), "Register", None)
    if register is not None:
        register.clear_instance_cache()


def load_task(module: str | None, family: str, params: TextParams, task_id: str | None = None) -> TaskLike:
    """Import the module, find the class of the family, make a task of it from text: the one that was scheduled.

    module: None or "" when the class is there already. params: {name: text}; a list of texts for a batched one. A text
    that equals that of the parameter's default stands for the default. Unknown names in params are left out, as in
    Luigi. task_id: what the task must be; None for any. Raises TaskNotLoadable when the module can't be imported, the
    family is unknown (with near matches) or ambiguous, or the parameters don't fit, or make another task.
    Source: luigi.task_register.load_task, 3.8.1.
    """
    if module:
        _import(module, family)
    task_class = find_class(module, family)
    try:
        task = check_task(task_from_texts(task_class, params))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, too: what a class does may not end its worker
        raise TaskNotLoadable(
            f"No task of the family {family} can be made from its parameters: {_described(error)} "
            "Is the module here the same as where it was scheduled?"
        ) from error
    if task_id not in (None, task.task_id):  # reports would be about another task, and this one would never end
        raise TaskNotLoadable(f"Here the parameters of {task_id} make {task.task_id}. {_why_other(module, params)}")
    return task


def _why_other(module: str | None, params: TextParams) -> str:
    if names := addressed(params):
        return (
            f"The text of {' and '.join(names)} holds a memory address, which is another one in each process: give the "
            "value a text of its own (__str__ or the parameter's serialize), or the parameter significant=False."
        )
    return f"Is {module} here another version than where it was scheduled, or configured in another way?"


def _import(module: str, family: str) -> None:
    try:
        importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module can do anything while it is imported
        raise TaskNotLoadable(
            f"The module {module} of the task family {family} can't be imported here: {_described(error)} "
            "Install it, or add its directory to PYTHONPATH.",
            is_whole_module=True,
        ) from error


def find_class(module: str | None, family: str) -> Any:
    """The class: one of that very module before others, a native one before luigi's."""
    native = classes_of(family)
    found = [known for known in native if known.__module__ == module]
    if not found and native and _is_luigis(module, family):
        return _find_in_luigi(module, family)
    found = _most_derived(found or native)
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(f"{known.__module__}.{known.__qualname__}" for known in found)
        raise TaskNotLoadable(f"The task family {family} is ambiguous: {places}. Set task_namespace on one of them.")
    return _find_in_luigi(module, family)


def _luigi_register() -> Any:
    """luigi's own register. luigi is no dependency: it is there when the task's module has imported it, else None."""
    return getattr(sys.modules.get("luigi.task_register"), "Register", None)


def _is_luigis(module: str | None, family: str) -> bool:
    """Whether luigi knows a class of the family in that very module."""
    luigi_register = _luigi_register()
    if not module or luigi_register is None or family not in luigi_register.task_names():
        return False
    try:
        return bool(luigi_register.get_task_cls(family).__module__ == module)
    except Exception:  # ambiguous there: then the native one is meant
        return False


def _most_derived(found: list[type[Any]]) -> list[type[Any]]:
    """The one that is a subclass of all the others, or all of them. Luigi: the same, for decorated classes."""
    last = [known for known in found if all(issubclass(known, other) for other in found)]
    return last or found


def _find_in_luigi(module: str | None, family: str) -> Any:
    """Ask luigi's own register. Raises TaskNotLoadable when that has no such family, either."""
    luigi_register = _luigi_register()
    try:
        if luigi_register is not None:
            return _luigis_class(luigi_register, family)
    except Exception as error:
        if type(error).__name__ != "TaskClassNotFoundException":
            raise TaskNotLoadable(
                f"Luigi can't tell which class is {family}: {_described(error)} Set task_namespace on one of them."
            ) from error
    names = sorted(known.get_task_family() for known in _CLASSES.values())
    if luigi_register is not None:
        names += luigi_register.task_names()
    near = difflib.get_close_matches(family, dict.fromkeys(names), n=3, cutoff=0.6)
    where = f"in {module}" if module else "among the modules imported so far"
    hint = f"Did you mean {' or '.join(near)}?" if near else "Is it the right module, and is task_namespace the same?"
    raise TaskNotLoadable(f"There is no task family {family} {where}. {hint}")


def _luigis_class(luigi_register: Any, family: str) -> Any:
    """The class that luigi's register has for this family, which asks all classes there are: so it is kept until there
    are more or fewer of them, or its family has changed."""
    count = len(getattr(luigi_register, "_reg", ()))
    kept_at, kept = _kept.get(family, (0, None))
    if kept is None or kept_at != count or kept.get_task_family() != family:
        kept = luigi_register.get_task_cls(family)
        _kept[family] = (count, kept)
    return kept


def _described(error: BaseException) -> str:
    text = without_password(f"{type(error).__name__}: {error}").strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."

"""What tasks require, beyond lists of tasks. Source: luigi.task.getpaths and luigi.task.DynamicRequirements, 3.8.1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from broker_sched.tasks.protocol import TaskTypeError, flatten

CompleteFn = Callable[[Any], bool]


def outputs_of(struct: Any) -> Any:
    """The outputs of the tasks in a structure, in the same structure: dict, list, tuple; other iterables give a list.

    None gives []. Raises TaskTypeError for what is neither a task nor a structure of tasks.
    """
    if struct is None:
        return []
    if callable(getattr(struct, "output", None)):
        return struct.output()
    if isinstance(struct, Mapping):
        return _like(struct, {name: outputs_of(inner) for name, inner in struct.items()})
    if isinstance(struct, tuple):
        return _like(struct, tuple(outputs_of(inner) for inner in struct))
    if isinstance(struct, Iterable) and not isinstance(struct, (str, bytes)):
        return [outputs_of(inner) for inner in struct]
    raise TaskTypeError(f"requires() has {struct!r} in it; only tasks, and dicts, lists and tuples of tasks, will do.")


def _like(struct: Any, outputs: Any) -> Any:
    """The outputs in the structure's own type, an OrderedDict for example, where that can be made of them."""
    try:
        return type(struct)(outputs)
    except Exception:  # a named tuple, for example
        return outputs


class DynamicRequirements:
    """Tasks yielded by run(), with a quicker way to tell whether all of them are complete.

    requirements: tasks in any structure. custom_complete: called with complete_fn, which tells of one task; it returns
    whether all are complete.
    """

    def __init__(self, requirements: Any, custom_complete: Callable[[CompleteFn], bool] | None = None) -> None:
        self.requirements = requirements
        self.custom_complete = custom_complete

    @cached_property
    def flat_requirements(self) -> list[Any]:
        """The required tasks as a flat list, in order, which may hold one twice."""
        return flatten(self.requirements)

    @cached_property
    def paths(self) -> Any:
        """The outputs of the required tasks, in the structure of the requirements: what the yield gives."""
        return outputs_of(self.requirements)

    def complete(self, complete_fn: CompleteFn | None = None) -> bool:
        """Return whether all are complete; complete_fn, where given, is asked about each instead of its complete()."""
        ask = complete_fn or _is_complete
        if self.custom_complete is not None:
            return self.custom_complete(ask)
        return all(ask(task) for task in self.flat_requirements)


def _is_complete(task: Any) -> bool:
    return bool(task.complete())

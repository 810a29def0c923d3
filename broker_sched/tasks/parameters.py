"""A task's parameters: annotated attributes of its class, with options in Annotated[...].

Source: luigi.parameter.Parameter and luigi.task.Task.get_param_values, 3.8.1.
"""

from __future__ import annotations

import builtins
import difflib
import inspect
import itertools
import json
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Final

from broker_sched.errors import BrokerSchedError
from broker_sched.tasks import command_line
from broker_sched.tasks.protocol import shown_value
from broker_sched.tasks.values import ValueType, shown, value_type

MISSING: Final = inspect.Parameter.empty  # no default: the parameter must be given

_order = itertools.count()  # parameters are in order of definition, over all classes, as Luigi's are


class Visibility(IntEnum):
    """Says who sees a parameter: everyone, only workers, or nobody outside the process."""

    PUBLIC = 0  # everyone
    HIDDEN = 1  # workers; not the views, not the task's id
    PRIVATE = 2  # nobody: it stays in this process, so a task that others are to run needs a default for it

    def serialize(self) -> int:
        """Return the number that stands for it in Luigi's protocol."""
        return int(self)


class ParameterError(BrokerSchedError, ValueError):
    """A task's parameters are missing, unknown, given twice or wrong. One error tells of all of them."""

    def __init__(self, family: str, problems: Mapping[str, str], known: Iterable[BoundParameter]) -> None:
        listed = ", ".join(str(parameter) for parameter in known) or "no parameters"
        super().__init__(f"{family}: {'; '.join(problems.values())}. {family} takes {listed}.")
        self.task_family = family
        self.parameters = tuple(problems)  # the names


class TaskDefinitionError(BrokerSchedError, TypeError):
    """A class of tasks is declared in a way that can't work. The message names the attribute."""


@dataclass(frozen=True)
class Parameter:
    """Options of a parameter: `date: Annotated[datetime.date, Parameter(significant=False)]`.

    significant: it is part of the task's identity. visibility: who sees it. description: for people.
    positional: it may be given without its name. batch_method: makes one value of the list of values that a batch has,
    for example max. batchable: the same without a method: the combined task has the Batch of all values.
    """

    significant: bool = True
    visibility: Visibility = Visibility.PUBLIC
    description: str | None = None
    positional: bool = True
    batchable: bool = False
    batch_method: Callable[[Iterable[Any]], Any] | None = None


class Batch(tuple[Any, ...]):
    """The values of a batched parameter in the combined task: each member of the batch has one."""

    __slots__ = ()


@dataclass(frozen=True)
class BoundParameter:
    """A parameter of a class: name, type, options, default. Luigi's Parameter objects have the same methods."""

    name: str
    type: ValueType
    options: Parameter
    default: Any = MISSING
    order: int = field(default_factory=lambda: next(_order))

    @property
    def significant(self) -> bool:
        """Whether the parameter is part of the task's identity, and so of its id."""
        return self.options.significant

    @property
    def visibility(self) -> Visibility:
        """Whether everyone sees the parameter, only workers do, or nobody outside the process."""
        return self.options.visibility

    @property
    def positional(self) -> bool:
        """Whether the parameter may be given without its name."""
        return self.options.positional

    @property
    def description(self) -> str | None:
        """What the parameter is for, as help texts show it; None for nothing."""
        return self.options.description

    @property
    def batchable(self) -> bool:
        """Whether a batch has a list of the parameter's values."""
        return self.options.batchable or self.options.batch_method is not None

    def normalize(self, value: Any) -> Any:
        """Check a value, and return it frozen. Raises ValueError that says what is right."""
        if isinstance(value, Batch) and self.batchable:
            return Batch(self.type.check(one) for one in value)
        return self.type.check(value)

    def serialize(self, value: Any) -> str:
        """Return the text of a value that normalize() has returned."""
        if isinstance(value, Batch):
            return json.dumps([self.type.write(one) for one in value])
        return self.type.write(value)

    def parse(self, text: str | Sequence[str]) -> Any:
        """Read a value from its text, or from a list of texts the value that a batch has. Raises ValueError."""
        if isinstance(text, str):
            batch = self._parse_batch(text) if text.startswith("[") else None
            return self.type.read(text) if batch is None else batch
        if not self.batchable:
            raise ValueError("it is no batched parameter and takes one value; see Parameter(batch_method=...)")
        if not text:
            raise ValueError("a batch has at least one value")
        values = [self.type.read(one) for one in text]
        method = self.options.batch_method
        return Batch(values) if method is None else self.type.check(method(values))

    def _parse_batch(self, text: str) -> Batch | None:
        """The Batch that a combined task's own text stands for, or None when it is an ordinary value."""
        if not self.options.batchable or self.options.batch_method is not None:
            return None
        try:
            return Batch(self.type.read(one) for one in json.loads(text))
        except (ValueError, TypeError, AttributeError):
            return None

    def __str__(self) -> str:
        if self.default is MISSING:
            return f"{self.name}: {self.type.shown}"
        return f"{self.name}: {self.type.shown} = {_shown_value(self, self.default)}"


Parameters = Mapping[str, BoundParameter]  # in order


def declared_in(cls: type, base: type) -> Parameters:
    """The parameters of a class, its bases' included, in order of definition.

    base: the class of the framework; what stands there, and above, is no parameter.
    Raises TaskDefinitionError when an annotation or a default can't be used.
    """
    found: dict[str, BoundParameter] = {}
    for part in reversed(cls.__mro__):
        if part in base.__mro__ or part.__module__ in ("typing", "abc") or issubclass(base, part):
            continue
        inherited = found | dict(part.__dict__.get("_parameters", {}))  # what was bound once keeps its order
        found = inherited if "_parameters" in part.__dict__ else {**inherited, **_own(part, inherited, base)}
        _override(part, found)
    return types.MappingProxyType(dict(sorted(found.items(), key=lambda item: item[1].order)))


def _own(cls: type, inherited: Parameters, base: type) -> dict[str, BoundParameter]:
    _refuse_declarations(cls)
    found = {}
    for name, annotation in _annotations(cls).items():
        marks = typing.get_args(annotation)[1:] if typing.get_origin(annotation) is Annotated else ()
        options = next((mark for mark in marks if isinstance(mark, Parameter)), None)
        if _is_classvar(annotation) or name.startswith("_") or (options is None and _is_setting(name, base)):
            continue
        if not _is_setting(name, base) and (hasattr(base, name) or name in base.__annotations__):
            raise TaskDefinitionError(
                f"{cls.__qualname__}.{name}: every task has {name}; the parameter needs another name."
            )
        found[name] = _bind(cls, name, annotation, options or Parameter())
    return found


def _refuse_declarations(cls: type) -> None:
    """Raise TaskDefinitionError for `n = Parameter()` and `n = luigi.IntParameter()`, which without an annotation would
    be no parameters, unseen."""
    for name, value in vars(cls).items():
        if isinstance(value, Parameter) or (callable(getattr(value, "parse", None)) and hasattr(value, "_parse_list")):
            raise TaskDefinitionError(
                f"{cls.__qualname__}.{name}: a parameter is annotated, and its default is a plain value: "
                f"{name}: int = 3, or with options {name}: Annotated[int, Parameter(...)] = 3."
            )


def _bind(cls: type, name: str, annotation: Any, options: Parameter) -> BoundParameter:
    try:
        bound = BoundParameter(name, value_type(annotation), options)
        return _with_default(bound, cls.__dict__.get(name, MISSING))
    except TypeError as error:
        raise TaskDefinitionError(f"{cls.__qualname__}.{name}: {error}") from None
    except ValueError as error:
        raise TaskDefinitionError(
            f"{cls.__qualname__}.{name}: the default does not fit {shown(annotation)}: {error}."
        ) from None


def _with_default(bound: BoundParameter, default: Any) -> BoundParameter:
    value = MISSING if default is MISSING else bound.normalize(default)
    return BoundParameter(bound.name, bound.type, bound.options, value, bound.order)


def _override(cls: type, found: dict[str, BoundParameter]) -> None:
    """What a class says without an annotation: a value is a new default, a property or method ends the parameter."""
    annotated = inspect.get_annotations(cls)
    for name in [name for name in found if name in cls.__dict__ and name not in annotated]:
        value = cls.__dict__[name]
        if callable(value) or hasattr(value, "__get__"):
            del found[name]
            continue
        try:
            found[name] = _with_default(found[name], value)
        except ValueError as error:
            raise TaskDefinitionError(f"{cls.__qualname__}.{name}: the new default does not fit: {error}.") from None


def _annotations(cls: type) -> dict[str, Any]:
    """The class's own annotations, as types. Where they are text they are looked up where the class stands."""
    raw = inspect.get_annotations(cls)
    if not any(isinstance(annotation, str) for annotation in raw.values()):
        return raw
    module = getattr(sys.modules.get(cls.__module__), "__dict__", {})
    # The class's own names come last: in `date: date = ...` the type is meant.
    names = {**vars(cls), **vars(builtins), **module, **_surrounding(cls)}
    found = {}
    for name, annotation in raw.items():
        if isinstance(annotation, str) and not name.startswith("_"):
            try:
                annotation = eval(annotation, dict(names))
            except Exception as error:
                raise TaskDefinitionError(
                    f"{cls.__qualname__}.{name}: the annotation {annotation!r} can't be read: {error}. "
                    "Define or import it before the class."
                ) from None
        found[name] = annotation
    return found


def _surrounding(cls: type) -> dict[str, Any]:
    """The local names of the function that a class is defined in."""
    frame = sys._getframe(1) if "<locals>" in cls.__qualname__ else None
    while frame is not None:
        if frame.f_globals.get("__name__") == cls.__module__:
            return dict(frame.f_locals)
        frame = frame.f_back
    return {}


def _is_classvar(annotation: Any) -> bool:
    return annotation is ClassVar or typing.get_origin(annotation) is ClassVar


def _is_setting(name: str, base: type) -> bool:
    """Whether it is an attribute such as priority: annotated in a subclass it is still no parameter."""
    return name in base.__dict__.get("SETTINGS", ())


def bind(family: str, known: Parameters, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter's value, from arguments and defaults, in order.

    Raises ParameterError that names all that is wrong.
    """
    given, problems = _placed(known, args, kwargs)
    values = {}
    for name, parameter in known.items():
        text = None if name in given else command_line.default_of(family, name)
        if name in given or text is not None:
            try:
                values[name] = parameter.normalize(given[name]) if text is None else parameter.parse(text)
            except ValueError as error:
                problems.setdefault(name, f"{name} is {_shown_value(parameter, given.get(name, text))}: {error}")
        elif parameter.default is not MISSING:
            values[name] = parameter.default
        else:
            problems.setdefault(name, f"{name} is missing")
    if problems:
        raise ParameterError(family, problems, known.values())
    return values


def _placed(
    known: Parameters, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Mapping[str, Any], dict[str, str]]:
    """Return name → value given, and name → what is wrong with it."""
    if not args and kwargs.keys() <= known.keys():
        return kwargs, {}
    positional = [name for name, parameter in known.items() if parameter.positional]
    given = dict(zip(positional, args))
    problems = {}
    if len(args) > len(positional):
        problems["*"] = f"it takes {len(positional)} values without a name, and got {len(args)}"
    for name, value in kwargs.items():
        if name in given:
            problems[name] = f"{name} is given twice, by its place and by its name"
        elif name in known:
            given[name] = value
        else:
            near = difflib.get_close_matches(name, known, n=1)
            problems[name] = f"{name} is no parameter" + (f" (did you mean {near[0]}?)" if near else "")
    return given, problems


def parse(family: str, known: Parameters, texts: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
    """Read the values of parameters from texts, for bind().

    Texts of no parameter are left out. Raises ParameterError.
    """
    values, problems = {}, {}
    for name, parameter in known.items():
        if name in texts:
            try:
                values[name] = parameter.parse(texts[name])
            except ValueError as error:
                problems[name] = f"{name} is {_shown_value(parameter, texts[name])}: {error}"
    if problems:
        raise ParameterError(family, problems, known.values())
    return values


def _shown_value(parameter: BoundParameter, value: Any) -> str:
    """A value for a message: short, without passwords; nothing of what is not public."""
    if parameter.visibility != Visibility.PUBLIC:
        return "..."
    return shown_value(value)

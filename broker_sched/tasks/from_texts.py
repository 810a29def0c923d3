"""From the texts of parameters to a task: what a task finds in its parameters does not depend on who loads it.

Texts lose something: None and 'None' are the same text. What is most likely meant is tried first, and believed when it
has the text that is to be read.
"""

from __future__ import annotations

import datetime
import inspect
import json
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from broker_sched.tasks.protocol import TaskLike, shown_value
from broker_sched.tasks.scalars import read_timedelta

TextParams = Mapping[str, str | Sequence[str]]  # a batched parameter has a list of texts
_parameters: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()  # by class
NONE: Final = inspect.Parameter.empty  # there is no default
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # in the text of an object that has none of its own
HALVES = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}", re.IGNORECASE)
DATE = re.compile(r"(?<![T\d])(\d{1,4})((?:-W?\d\d){0,2})")  # year, and month and day or week


def task_from_texts(task_class: Any, texts: TextParams) -> Any:
    """A task of the class, native or luigi's, from the texts of its parameters.

    A text that equals the text of the parameter's default stands for the default, whatever that is: None, a value of
    another type, one from the configuration; so does the text of the default in the class, where the configuration here
    has another one, since that of who scheduled it may have none. Names of no parameter are left out, as in Luigi.
    Raises what the class raises, and ValueError naming the parameter whose text can't be read.
    """
    parameters = _parameters_of(task_class)
    defaults = {name: _default_of(task_class, name, parameters[name]) for name in texts if name in parameters}
    others = {name: texts[name] for name, default in defaults.items() if texts[name] != default.text}
    if not _is_made_luigis_way(task_class):
        return task_class.from_str_params(others)
    values = {name: _value(name, parameters[name], text, defaults[name]) for name, text in others.items()}
    # An object without a text of its own is the default of the class here.
    return task_class(**{name: value for name, value in values.items() if value is not defaults[name].value})


def _parameters_of(task_class: Any) -> dict[str, Any]:
    """The parameters of a class. luigi looks through all that the class has, each time that it is asked."""
    known = _parameters.get(task_class)
    if known is None:
        known = _parameters[task_class] = dict(task_class.get_params())
    return known


def differing(task: TaskLike) -> dict[str, str]:
    """Parameters that another process will not find as they are here: name → why. Raises when it can't load the task.

    A private parameter never leaves the process: elsewhere it has its default.
    """
    task_class, texts = type(task), task.to_str_params()
    parameters: dict[str, Any] = dict(task_class.get_params())
    if _is_made_luigis_way(task_class):  # the values alone: making a task would give this very one, from luigi's cache
        there = {name: _luigis_value(task_class, name, parameters[name], text) for name, text in texts.items()}
    else:
        there = task_from_texts(task_class, texts).param_kwargs
    found = {}
    for name in texts:
        value, other = task.param_kwargs[name], there[name]
        if not _is_same(value, other):
            shown = "" if _is_hidden(parameters[name]) else f" {shown_value(value)}"
            found[name] = f"it is the {type(value).__name__}{shown} here, and a {type(other).__name__} there"
    for name in parameters.keys() - texts.keys():
        default = _default_of(task_class, name, parameters[name]).value
        if default is NONE:
            raise ValueError(f"the parameter {name} is private, so no other worker gets its value; give it a default")
        if not _is_same(task.param_kwargs[name], default):
            found[name] = "it is private, so it has its default there"
    return found


def addressed(texts: TextParams) -> list[str]:
    """The parameters whose text holds a memory address, which is another one in each process."""
    return [name for name, text in texts.items() if isinstance(text, str) and ADDRESS.search(text)]


class _Default:
    """What a class takes for a parameter that nobody gave, and its text."""

    def __init__(self, value: Any = NONE, text: str | None = None) -> None:
        self.value = value
        self.text = text

    def reads(self, text: str) -> bool:
        """Whether the text is this default's, but for memory addresses."""
        if self.text is None or text == self.text:
            return text == self.text
        return ADDRESS.search(text) is not None and ADDRESS.sub("", text) == ADDRESS.sub("", self.text)


def _default_of(task_class: Any, name: str, parameter: Any) -> _Default:
    """The default, from the configuration where luigi has it from there."""
    try:
        if hasattr(parameter, "task_value"):
            value = parameter.task_value(task_class.get_task_family(), name)
        else:
            value = parameter.default
        if value is NONE:
            return _Default()
    except Exception:  # there is none, or none that can be read: making the task tells
        return _Default()
    if isinstance(value, (list, set)):  # Luigi: get_param_values
        value = tuple(value)
    try:
        return _Default(value, parameter.serialize(value))
    except Exception:  # of a private one: no text is asked for
        return _Default(value)


def _is_made_luigis_way(task_class: Any) -> bool:
    """Whether it is luigi's, and its from_str_params is luigi's own."""
    made_by = getattr(task_class.from_str_params, "__func__", None)
    return getattr(made_by, "__module__", None) == "luigi.task"


def _luigis_value(task_class: Any, name: str, parameter: Any, text: str) -> Any:
    """What luigi's task will have of this text."""
    default = _default_of(task_class, name, parameter)
    value = _value(name, parameter, text, default)
    if value is default.value:
        return value
    value = parameter.normalize(value)
    return tuple(value) if isinstance(value, (list, set)) else value


def _value(name: str, parameter: Any, text: str | Sequence[str], default: _Default) -> Any:
    """The value of a text of luigi's parameter; of a list of texts, what its batch_method makes of their values.

    Raises ValueError naming the parameter.
    """
    try:
        if isinstance(text, str):
            return _read(parameter, text, default)
        if not any(default.reads(one) for one in text):
            return parameter._parse_list(list(text))
        return parameter._batch_method([_read(parameter, one, default) for one in text])
    except Exception as error:
        raise ValueError(f"the parameter {name}: {_told(error, parameter)}") from error


def _read(parameter: Any, text: str, default: _Default) -> Any:
    """The first reading that has this very text; else what the parameter itself makes of it, which may raise."""
    if default.reads(text):
        return default.value
    for read in _READINGS:
        try:
            for value in read(parameter, text):
                if parameter.serialize(parameter.normalize(value)) == text:
                    return value
        except Exception:  # not this way
            continue
    return parameter.parse(text)


def _whole_characters(parameter: Any, text: str) -> Iterator[Any]:
    """Characters beyond U+FFFF are two halves in JSON, and luigi's TupleParameter reads them as two in some tuples."""
    if HALVES.search(text):
        yield _joined(parameter.parse(text))


def _joined(value: Any) -> Any:
    if isinstance(value, str):  # a half alone stays one
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    if isinstance(value, Mapping):  # a dict, or luigi's frozen one
        return type(value)([(_joined(key), _joined(inner)) for key, inner in value.items()])  # type: ignore[call-arg]  # both take pairs
    return type(value)(map(_joined, value)) if type(value) in (tuple, list) else value


def _own(parameter: Any, text: str) -> Iterator[Any]:
    """Read the text in the parameter's own way, by its parse()."""
    yield parameter.parse(text)


def _declared(parameter: Any, text: str) -> Iterator[Any]:
    """The default in the class: a file of this host may have another one, which whoever scheduled the task had not."""
    yield parameter._default


def _none(parameter: Any, text: str) -> Iterator[Any]:
    """None, which most of luigi's parameters write and few of them read."""
    yield None


def _negative_duration(parameter: Any, text: str) -> Iterator[datetime.timedelta]:
    """luigi writes durations below zero, and does not read them."""
    yield read_timedelta(text)


def _early_year(parameter: Any, text: str) -> Iterator[Any]:
    """Years before 1000 are written without zeros on Linux, and not read without them."""
    yield parameter.parse(DATE.sub(lambda date: date[1].zfill(4) + date[2], text))


def _json(parameter: Any, text: str) -> Iterator[Any]:
    """JSON: luigi's TupleParameter reads no null, no truths and no objects in it, and writes them."""
    yield json.loads(text)


_READINGS: tuple[Callable[[Any, str], Iterator[Any]], ...] = (
    *(_declared, _whole_characters, _own, _none, _negative_duration, _early_year, _json),
)


def _is_same(value: Any, other: Any) -> bool:
    """Whether they are equal and of one type, all the way down. NaN is the same as NaN."""
    if type(value) is not type(other):
        return False
    if isinstance(value, Mapping):
        return list(value) == list(other) and all(_is_same(value[key], other[key]) for key in value)
    if isinstance(value, (list, tuple)):
        return len(value) == len(other) and all(_is_same(one, two) for one, two in zip(value, other))
    return bool(value == other) or (value != value and other != other)


def _told(error: Exception, parameter: Any) -> str:
    """What is wrong with a text. Luigi's errors quote it, and only everybody's may be shown."""
    if type(error).__name__ == "TaskClassNotFoundException":  # Luigi: of a TaskParameter, with all classes there are
        return "it names a task whose module is not imported here; start this worker with --module of that task"
    if _is_hidden(parameter):
        return f"its text can't be read ({type(error).__name__})"
    return f"{type(error).__name__}: {error}"


def _is_hidden(parameter: Any) -> bool:
    return bool(int(getattr(parameter, "visibility", 0)))

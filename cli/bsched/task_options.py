"""A task's parameters as options of the command line, from the task's own definition; native tasks and luigi's."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from typing import Any

import click

from broker_sched.errors import BrokerSchedError
from broker_sched.model.contract import TaskLike, without_password
from broker_sched.model.register import find_class


def task_class(module: Any, name: str) -> Any:
    """The class of this name in the module, or of this family. Raises click.UsageError that names near matches."""
    found = getattr(module, name, None)
    if inspect.isclass(found) and hasattr(found, "get_task_family") and not _is_base(found):
        return found
    try:
        return find_class(module.__name__, name)
    except BrokerSchedError:
        own = [each for each, thing in vars(module).items() if hasattr(thing, "get_task_family") and each[0] != "_"]
        near = difflib.get_close_matches(name, own, 3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(sorted(own)) or 'no tasks'}."
        raise click.UsageError(f"{module.__name__} has no task {name}. {hint}") from None


def _is_base(cls: Any) -> bool:
    """A class to derive from, which the module has only imported."""
    return bool(cls.__module__.partition(".")[0] in ("luigi", "broker_sched"))


def make_task(cls: Any, words: Sequence[str], named: Sequence[str]) -> TaskLike:
    """The task of these options (`--date 2024-03-01`, `--verbose`) and NAME=VALUE pairs."""
    parameters = dict(cls.get_params())
    texts = _read(cls, parameters, words)
    for pair in named:
        name, equals, text = pair.partition("=")
        if not equals or name not in parameters:
            raise _unknown(cls, parameters, name)
        texts[name] = text
    for name, text in texts.items():
        try:
            parameters[name].parse(text)
        except Exception as error:
            told = without_password(f"--{_dashed(name)} {text!r} can't be used: {error}")
            raise click.UsageError(told) from None
    try:
        task: TaskLike = cls.from_str_params(texts)
    except Exception as error:
        raise click.UsageError(f"{error}\nIts options: {', '.join(_shown(parameters))}.") from None
    return task


def describe_options(cls: Any) -> str:
    """The help on a task: its options with defaults and descriptions."""
    lines = [f"Options of {cls.get_task_family()}:"]
    for name, parameter in cls.get_params():
        default = _default(cls, name, parameter)
        kind = "" if _is_flag(parameter) else f" {_kind(parameter).upper()}"
        about = getattr(parameter, "description", None) or ""
        lines.append(f"  --{_dashed(name)}{kind}  {about}{' ' if about else ''}[{default}]")
    return "\n".join(lines)


def _read(cls: Any, parameters: dict[str, Any], words: Sequence[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if not word.startswith("--"):
            raise click.UsageError(f"{word!r} stands alone; options are --name value. {_list(cls, parameters)}")
        option, equals, text = word[2:].partition("=")
        name, value = _name_and_value(parameters, option.replace("-", "_"))
        if name is None:
            raise _unknown(cls, parameters, option)
        if not equals and value is not None and (position == len(words) or words[position].startswith("--")):
            text = value
        elif not equals:
            if position == len(words):
                raise click.UsageError(f"--{option} needs a value.")
            text = words[position]
            position += 1
        if name in texts:
            raise click.UsageError(f"--{option} is given twice.")
        texts[name] = text
    return texts


def _name_and_value(parameters: dict[str, Any], name: str) -> tuple[str | None, str | None]:
    """The parameter, and the value that the option alone stands for, if any."""
    if name in parameters:
        return name, "true" if _is_flag(parameters[name]) else None
    positive = name.removeprefix("no_")
    if positive != name and positive in parameters and _is_flag(parameters[positive]):
        return positive, "false"
    return None, None


def _is_flag(parameter: Any) -> bool:
    return _kind(parameter) == "bool"


def _kind(parameter: Any) -> str:
    """`int`, `date` …: a native parameter knows its type, luigi's is told by its class; plain ones are text."""
    shown = getattr(getattr(parameter, "type", None), "shown", None)
    kind = shown or type(parameter).__name__.removesuffix("Parameter").lower()
    return "text" if kind in ("", "str") else str(kind).replace("datetime.", "")


def _default(cls: Any, name: str, parameter: Any) -> str:
    if hasattr(parameter, "has_task_value"):  # luigi's: a configuration file may give it, too
        family = cls.get_task_family()
        has_default = parameter.has_task_value(family, name)
        return f"default: {parameter.task_value(family, name)}" if has_default else "required"
    _, equals, default = str(parameter).partition(" = ")
    return f"default: {default}" if equals else "required"


def _unknown(cls: Any, parameters: dict[str, Any], option: str) -> click.UsageError:
    near = difflib.get_close_matches(option.replace("-", "_"), parameters, 1)
    hint = f" Did you mean --{_dashed(near[0])}?" if near else ""
    return click.UsageError(f"{cls.get_task_family()} has no option --{option}.{hint} {_list(cls, parameters)}")


def _list(cls: Any, parameters: dict[str, Any]) -> str:
    return f"Options of {cls.get_task_family()}: {', '.join(_shown(parameters)) or 'none'}."


def _shown(parameters: dict[str, Any]) -> list[str]:
    return [f"--{_dashed(name)}" for name in parameters]


def _dashed(name: str) -> str:
    return name.replace("_", "-")

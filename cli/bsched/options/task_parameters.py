"""A task's parameters as options of the command line, from the task's own definition; native tasks and luigi's.

Besides those of the task that is asked for there are those of all other tasks and of Config classes, with the family
before the name: --Sub-size 7; and luigi's own, such as --worker-keep-alive.
"""

from __future__ import annotations

import difflib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import click

from broker_sched.errors import BrokerSchedError
from broker_sched.tasks.loading import all_classes, find_class
from broker_sched.tasks.protocol import TaskLike, without_password
from bsched.options.luigi import FLAGS, SECTIONS, fate_of, instead_of
from bsched.terminal import echo

HELP_WORD = "-h"


class Place(NamedTuple):
    """The parameter that an option of the command line sets.

    section: a family, a Config class; None: the task itself.
    """

    section: str | None
    name: str
    is_flag: bool
    parse: Callable[[str], Any] | None  # None: whoever uses it finds out whether it can be used
    skips_empty: bool = False  # an empty text stands for no value


class Words(NamedTuple):
    """What the command line says of tasks and their parameters."""

    texts: dict[str, str]  # of the task itself: parameter → text
    given: dict[str, dict[str, str]]  # section → parameter → text
    wants_help: bool


def task_class(module: Any, name: str) -> Any:
    """Return the class of this name in the module, or of this family.

    Raises click.UsageError that names near matches.
    """
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


def task_of(cls: Any, texts: dict[str, str], failure_code: int = 40) -> TaskLike:
    """The task of parameters as text. Raises click.UsageError for what the command line got wrong; an error of the
    task's own code is shown with its trace, and ends the program with failure_code."""
    parameters = dict(cls.get_params())
    missing = [name for name, each in parameters.items() if name not in texts and _is_required(cls, name, each)]
    if missing:
        needed = " and ".join(f"--{_dashed(name)}" for name in missing)
        raise click.UsageError(f"{cls.get_task_family()} needs {needed}. {_list(cls)}")
    try:
        task: TaskLike = cls.from_str_params(texts)
    except Exception as error:
        if _is_about_parameters(error):
            raise click.UsageError(f"{error}\n{_list(cls)}") from None
        echo(f"No {cls.get_task_family()} could be made:\n{traceback.format_exc()}", err=True)
        raise click.exceptions.Exit(failure_code) from None
    return task


def _is_required(cls: Any, name: str, parameter: Any) -> bool:
    """Whether luigi's parameter has no default, nor the configuration one. Ours tell themselves, all in one error."""
    try:
        return hasattr(parameter, "has_task_value") and not parameter.has_task_value(cls.get_task_family(), name)
    except Exception:  # the configuration has what can't be read; making the task says so
        return False


def _is_about_parameters(error: Exception) -> bool:
    """Whether a value was refused, rather than the task's own code, its __init__ for example, went wrong."""
    if any(each.__name__ in ("ParameterException", "ParameterError") for each in type(error).__mro__):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in ("luigi", "broker_sched") or frame.f_code.co_name in ("parse", "normalize")


def read_words(cls: Any, words: Sequence[str], named: Sequence[str]) -> Words:
    """Read options and NAME=VALUE pairs. Raises click.UsageError naming the option, with near matches."""
    places = _places(cls)
    found = Words({}, {}, HELP_WORD in words[:1])
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == HELP_WORD:
            found = found._replace(wants_help=True)
            continue
        if not word.startswith("--"):
            raise click.UsageError(f"{word!r} stands alone; options are --name value. {_list(cls)}")
        option, equals, text = word[2:].partition("=")
        place, value = _place_and_value(places, option.replace("-", "_"))
        if place is None:
            raise _unknown(cls, places, option)
        if not equals and value is not None and (position == len(words) or words[position].startswith("-")):
            text = value
        elif not equals:
            if position == len(words):
                raise click.UsageError(f"--{option} needs a value.")
            if _is_option(places, words[position]):
                raise click.UsageError(
                    f"--{option} needs a value, and {words[position]} is an option; a text that begins so is given as "
                    f"--{option}={words[position]}"
                )
            text = words[position]
            position += 1
        _put(found, place, option, text)
    for pair in named:
        name, equals, text = pair.partition("=")
        place = places.get(name)
        if not equals or place is None or place.section is not None:
            raise _unknown(cls, places, name)
        found.texts.pop(name, None)
        _put(found, place, name, text)
    return found


def _put(found: Words, place: Place, option: str, text: str) -> None:
    if place.skips_empty and not text:
        return
    texts = found.texts if place.section is None else found.given.setdefault(place.section, {})
    if place.name in texts:
        raise click.UsageError(f"--{option} is given twice.")
    fate = None if place.section is None else fate_of(place.section, place.name)
    if fate is not None and not fate.commands and instead_of(fate, place.name, text):
        raise click.UsageError(f"--{_dashed(option)} is without effect: {fate.instead}.")
    if place.parse is not None:
        try:
            place.parse(text)
        except Exception as error:
            told = without_password(f"--{_dashed(option)} {text!r} can't be used: {error}")
            raise click.UsageError(told) from None
    texts[place.name] = text


def describe_options(cls: Any, *, with_all: bool = False) -> str:
    """The help on a task: its options with defaults and descriptions; with those of all other classes, too.

    What others have as defaults is left out: a configuration file may give it, and it may be a password.
    """
    lines = [f"Options of {cls.get_task_family()}:"]
    for name, parameter in cls.get_params():
        lines.append(_line(f"--{_dashed(name)}", parameter, f"[{_default(cls, name, parameter)}]"))
    for other in _classes() if with_all else ():
        family = other.get_task_family()
        if other is not cls and other.get_params():
            lines.append(f"Options of {family}:")
            lines += [_line(_global(other, name), parameter) for name, parameter in other.get_params()]
    return "\n".join(lines)


def _line(option: str, parameter: Any, default: str = "") -> str:
    kind = "" if _is_flag(parameter) else f" {_kind(parameter).upper()}"
    about = getattr(parameter, "description", None) or ""
    return f"  {option}{kind}  {' '.join(about.split())}{' ' if about else ''}{default}".rstrip()


def _places(cls: Any) -> dict[str, Place]:
    """Option, with underscores → what it sets. The task's own go before others, and luigi's own before the rest."""
    found: dict[str, Place] = {}
    for other in _classes():
        for name, parameter in other.get_params():
            is_luigis = hasattr(parameter, "has_task_value")
            place = Place(other.get_task_family(), name, _is_flag(parameter), parameter.parse, skips_empty=is_luigis)
            found[_global(other, name)[2:].replace("-", "_")] = place
    for section, options in SECTIONS.items():
        for name in options:
            if section != "core" and name != "*":
                found[f"{section}_{name}"] = Place(section, name, name in FLAGS.get(section, ()), None)
    for name, parameter in cls.get_params():
        found[name] = Place(None, name, _is_flag(parameter), parameter.parse)
    return found


def config_classes(sections: Iterable[str]) -> list[str]:
    """Return those of the sections that are luigi's Config classes, and no tasks."""
    base: Any = getattr(sys.modules.get("luigi.task"), "Config", None)
    own = [cls for cls in _classes() if base is not None and issubclass(cls, base)]
    return [cls.get_task_family() for cls in own if cls.get_task_family() in sections]


def _classes() -> Iterator[Any]:
    """All tasks and Config classes that are known: luigi's, then native ones."""
    register: Any = getattr(sys.modules.get("luigi.task_register"), "Register", None)
    for family in register.task_names() if register is not None else ():
        try:
            cls = register.get_task_cls(family)
        except Exception:  # ambiguous there: luigi passes over it, too
            continue
        if family != "core":  # those are options of the commands
            yield cls
    yield from all_classes()


def _global(cls: Any, name: str) -> str:
    """How luigi calls an option outside of its own task: with the family, unless the class does without."""
    has_family = getattr(cls, "use_cmdline_section", True)
    return f"--{_dashed(f'{cls.get_task_family()}_{name}' if has_family else name)}"


def _place_and_value(places: dict[str, Place], name: str) -> tuple[Place | None, str | None]:
    """What it sets, and the value that the option alone stands for, if any."""
    if name in places:
        return places[name], "true" if places[name].is_flag else None
    positive = name.removeprefix("no_")
    if positive != name and positive in places and places[positive].is_flag:
        return places[positive], "false"
    return None, None


def _is_option(places: dict[str, Place], word: str) -> bool:
    name = word.removeprefix("--").partition("=")[0].replace("-", "_")
    return word.startswith("--") and _place_and_value(places, name)[0] is not None


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


def _unknown(cls: Any, places: dict[str, Place], option: str) -> click.UsageError:
    near = difflib.get_close_matches(option.replace("-", "_"), places, 1)
    hint = f" Did you mean --{_dashed(near[0])}?" if near else ""
    return click.UsageError(f"{cls.get_task_family()} has no option --{option}.{hint} {_list(cls)}")


def _list(cls: Any) -> str:
    return f"Options of {cls.get_task_family()}: {', '.join(_shown(dict(cls.get_params()))) or 'none'}."


def _shown(parameters: dict[str, Any]) -> list[str]:
    return [f"--{_dashed(name)}" for name in parameters]


def _dashed(name: str) -> str:
    return name.replace("_", "-")

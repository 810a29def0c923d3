"""What a caller is told of a wrong argument: which field it is, and what it may be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from broker_sched.contract.registry import Method
from broker_sched.errors import InvalidArgument

_LENGTH = re.compile(r"Expected `(str|array)` of length (>=|<=) (\d+)$")
_PARTS = {"str": "characters", "array": "entries"}
_MAX_SHOWN = 100  # characters of a wrong value


def wrong_argument(method: Method, arguments: Mapping[str, Any], told: str) -> InvalidArgument:
    """Make an error that starts with the field of msgspec's "Expected `str`, got `int` - at `$.family`".

    A value that is out of range or no choice is told by the description of its type.
    """
    if "missing required field" in told:
        return InvalidArgument(told.split("`")[1], f"is missing; {method.name} needs it")
    if "unknown field" in told:
        return no_such_argument(method, told.split("`")[1])
    reason, _, path = told.partition(" - at ")
    field, wrong = _find(method, arguments, path)
    choices, description = _choices(wrong.type), _description(wrong.type)
    if reason.startswith("Invalid enum value"):
        allowed = description or f"one of {', '.join(map(str, choices))}"
        return InvalidArgument(field, f"is {_shown(wrong.value)}; it must be {allowed}")
    if length := _LENGTH.match(reason):
        if not wrong.value:
            return InvalidArgument(field, "is empty")
        bound = "at least" if length[2] == ">=" else "at most"
        return InvalidArgument(field, f"has {len(wrong.value)} {_PARTS[length[1]]}; {bound} {length[3]} are allowed")
    if description and "got" not in reason:
        return InvalidArgument(field, f"must be {description}")
    return InvalidArgument(field, reason[:1].lower() + reason[1:])


def no_such_argument(method: Method, name: str) -> InvalidArgument:
    """The error for an argument that the method does not take: it names the one that was probably meant."""
    known = [parameter.name for parameter in method.parameters]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known) or 'none'}"
    return InvalidArgument(name, f"is no argument of {method.name}; {hint}")


def check_spelling(method: Method, arguments: Mapping[str, Any], add_task: Method) -> None:
    """Raise InvalidArgument for a name that the method does not have, also where Luigi's wire ignores it.

    add_task: the method whose arguments the entries of a list of tasks may have.
    """
    if not method.collects:
        for name in arguments.keys() - _names_of(method):
            raise no_such_argument(method, name)
    tasks = arguments.get(method.list_of_tasks) if method.list_of_tasks else None
    if isinstance(tasks, (list, tuple)):
        for index, task in enumerate(tasks):
            try:
                check_spelling(add_task, task if isinstance(task, Mapping) else {}, add_task)
            except InvalidArgument as error:
                raise InvalidArgument(f"{method.list_of_tasks}[{index}].{error.field}", error.message) from None


_NAMES: dict[str, frozenset[str]] = {}  # method → its arguments'


def _names_of(method: Method) -> frozenset[str]:
    known = _NAMES.get(method.name)
    if known is None:
        known = _NAMES[method.name] = frozenset(parameter.name for parameter in method.parameters)
    return known


class _Typed(NamedTuple):
    """A value, where it stands, and what type it should have."""

    field: str
    type: Any
    value: Any


def _find(method: Method, arguments: Mapping[str, Any], path: str) -> tuple[str, _Typed]:
    """The field that a path of msgspec's leads to, and the innermost wrong value.

    msgspec does not name an object's entry: `$.resources[...]` is resources.db.
    """
    if method.collects:
        wrong = _innermost(_Typed("", method.collects.annotation, arguments))
        return wrong.field or "arguments", wrong
    named = re.search(r"\$\.(\w+)", path)
    if named is None:
        return "arguments", _Typed("", None, arguments)
    types = {p.name: p.annotation for p in method.parameters}
    wrong = _innermost(_Typed(named[1], types[named[1]], arguments[named[1]]))
    is_vague = "[...]" in path or "`key`" in path
    return wrong.field if is_vague else path.strip("`").removeprefix("$."), wrong


def _innermost(whole: _Typed) -> _Typed:
    """The first wrong entry of a list or of an object, or of one in it; else the value itself."""
    field, _, value = whole
    for member in _members(whole.type):
        origin, inner = get_origin(member), get_args(member)
        if origin is Mapping and isinstance(value, Mapping):
            for name, entry in _first_wrong(list(value.items()), GenericAlias(tuple, inner)):
                named = f"{field}.{name}" if field else str(name)
                if not _fits(name, inner[0]):
                    return _Typed(named, inner[0], name)
                return _innermost(_Typed(named, inner[1], entry))
        elif origin is Sequence and isinstance(value, (list, tuple)):
            for entry in _first_wrong(list(value), inner[0]):
                return _innermost(_Typed(field, inner[0], entry))
    return whole


def _first_wrong(entries: list[Any], kind: Any) -> list[Any]:
    """Return the first of many entries that does not fit, if any.

    Halves are tried whole, so that most of it happens in C.
    """
    if _fits(entries, GenericAlias(list, (kind,))):
        return []
    while len(entries) > 1:
        half = entries[: len(entries) // 2]
        entries = entries[len(half) :] if _fits(half, GenericAlias(list, (kind,))) else half
    return entries


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return False
    return True


def _members(kind: Any) -> list[Any]:
    """The types of which a value may have any, without what is said about them."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [member for each in get_args(kind) for member in _members(each)]
    return [kind]


def _choices(kind: Any) -> list[Any]:
    return [choice for member in _members(kind) if get_origin(member) is Literal for choice in get_args(member)]


def _description(kind: Any) -> str:
    """What the type, or one of a union, says about itself."""
    if get_origin(kind) is Annotated:
        told = [mark.description for mark in kind.__metadata__ if isinstance(mark, msgspec.Meta) and mark.description]
        return told[0] if told else _description(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return next(filter(None, map(_description, get_args(kind))), "")
    return ""


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"

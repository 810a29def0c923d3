"""From an annotation to values: checked by pydantic, frozen, and written as Luigi's parameters write them."""

from __future__ import annotations

import ast
import collections.abc
import json
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union

import pydantic
import pydantic_core
from pydantic import AfterValidator, PlainValidator, Strict, TypeAdapter

from broker_sched.tasks.frozen import FrozenDict, freeze_json
from broker_sched.tasks.scalars import reader_of, write_scalar

TUPLES = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
SETS = (set, frozenset, collections.abc.Set)


@dataclass(frozen=True)
class ValueType:
    """Knows which values one annotation allows, and how they are read and written.

    check: any value → the frozen value. read: text → the frozen value. Both raise ValueError that says what is right,
    without the value itself. write: the frozen value → text.
    """

    shown: str
    check: Callable[[Any], Any]
    read: Callable[[str], Any]
    write: Callable[[Any], str]


def value_type(annotation: Any) -> ValueType:
    """What the annotation allows. Raises TypeError when it is no type that can be checked."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(_frozen(annotation))
    except (pydantic.errors.PydanticUserError, pydantic_core.SchemaError, TypeError) as error:
        raise TypeError(f"{shown(annotation)} is no type for a parameter: {str(error).splitlines()[0]}") from None

    def check(value: Any) -> Any:
        try:
            found = adapter.validate_python(value)
            hash(found)
        except pydantic.ValidationError as error:
            raise ValueError(_described(error)) from None
        except TypeError:
            raise ValueError("a value with a hash is needed: make its class frozen") from None
        return found

    return _with_text(annotation, shown(annotation), check)


def shown(annotation: Any) -> str:
    """The annotation as one writes it."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        prefix = "" if annotation.__module__ in ("builtins", "__main__") else f"{annotation.__module__}."
        return annotation.__qualname__ if issubclass(annotation, Enum) else prefix + annotation.__qualname__
    return repr(annotation).replace("typing.", "")


def _bare(annotation: Any) -> Any:
    """Return the annotation without Annotated, NewType and type aliases around it."""
    while True:
        if typing.get_origin(annotation) is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


# What pydantic is to check


def _frozen(annotation: Any) -> Any:
    """The annotation for pydantic: scalars strict, or with our readers; containers that can't change."""
    if typing.get_origin(annotation) is Annotated:
        inner, *marks = typing.get_args(annotation)
        parts = (_frozen(inner), *marks)
        return Annotated[parts]
    kind = _bare(annotation)
    if isinstance(kind, (types.FunctionType, types.BuiltinFunctionType)):
        raise TypeError("it is a function.")
    if kind in (bool, int, float, str):
        return Annotated[kind, Strict()]
    if kind in (Any, object):
        return Annotated[Any, PlainValidator(freeze_json)]
    if reader := reader_of(kind):
        return Annotated[kind, PlainValidator(reader)]
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(_frozen(one) for one in inner)]  # noqa: UP007  # the members are known only here
    if origin in SETS:
        return frozenset[_frozen(inner[0] if inner else Any)]  # type: ignore[misc]  # a type made here
    if origin in TUPLES or (origin is tuple and not inner):
        return tuple[_frozen(inner[0] if inner else Any), ...]  # type: ignore[misc]
    if origin is tuple:
        return tuple[tuple(one if one is ... else _frozen(one) for one in inner)]  # type: ignore[misc]
    if origin in MAPPINGS:
        key, value = inner or (str, Any)
        loose_key = key if key in (int, float, bool) else _frozen(key)  # JSON has them as text
        return Annotated[dict[loose_key, _frozen(value)], AfterValidator(FrozenDict)]  # type: ignore[misc, valid-type]
    return kind


def _described(error: pydantic.ValidationError) -> str:
    """pydantic's findings in one line, without the values."""
    lines = []
    for found in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(step) for step in found["loc"] if not str(step).startswith("function-"))
        text = found["msg"].removeprefix("Value error, ").rstrip(".")
        text = text[:1].lower() + text[1:]
        lines.append(f"at {place}: {text}" if place else text)
    return "; ".join(lines)


# Text


def _with_text(annotation: Any, name: str, check: Callable[[Any], Any]) -> ValueType:
    kind = _bare(annotation)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType) and type(None) in inner:
        rest = tuple(one for one in inner if one is not type(None))
        # Annotated constraints hold for the whole; the text is that of what is left without None.
        return _optional(name, check, _with_text(Union[rest], name, check))  # noqa: UP007
    if origin is Literal:
        return _choices(name, check, inner)
    if kind is str:
        return ValueType(name, check, check, str)
    if kind in (int, float):
        return ValueType(name, check, lambda text: check(_number(kind, text)), str)
    if kind is bool:
        return ValueType(name, check, lambda text: check(_truth(text)), str)
    if reader_of(kind):
        return ValueType(name, check, check, write_scalar)
    return ValueType(name, check, lambda text: check(_parsed(text, origin or kind)), _written)


def _optional(name: str, check: Callable[[Any], Any], inner: ValueType) -> ValueType:
    """None is the empty text, so the empty text is None. Luigi: OptionalParameter."""
    return ValueType(
        name,
        lambda value: None if isinstance(value, str) and value == "" else check(value),
        lambda text: None if text == "" else inner.read(text),
        lambda value: "" if value is None else inner.write(value),
    )


def _choices(name: str, check: Callable[[Any], Any], choices: tuple[Any, ...]) -> ValueType:
    """Literal: each choice by its text. Luigi: ChoiceParameter."""
    texts = {choice: "" if choice is None else write_scalar(choice) for choice in choices}
    by_text = {text: choice for choice, text in texts.items()}
    if len(by_text) < len(choices):
        raise TypeError(f"{name} has choices with the same text; they could not be told apart.")

    def read(text: str) -> Any:
        if text not in by_text:
            raise ValueError(f"one of {', '.join(by_text)} is needed")
        return by_text[text]

    return ValueType(name, check, read, write_scalar if None not in texts else lambda value: texts[value])


def _number(kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError("a whole number is needed" if kind is int else "a number is needed") from None


def _truth(text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise ValueError("true or false is needed")


def _parsed(text: str, kind: Any) -> Any:
    """JSON; for a tuple also a Python literal, as in Luigi; else the text itself, for types of pydantic's own."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    if kind is tuple:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
    if kind in (*TUPLES, *MAPPINGS, *SETS, tuple):
        raise ValueError(f"JSON is needed: {'{...}' if kind in MAPPINGS else '[...]'}")
    return text


def _written(value: Any) -> str:
    """Write a value as JSON, with the separators that Luigi uses."""
    return json.dumps(_as_json(value))


def _as_json(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict):
        return {
            key if type(key) in (bool, int, float, str) else write_scalar(key): _as_json(inner)
            for key, inner in value.items()
        }
    if isinstance(value, tuple):
        return [_as_json(inner) for inner in value]
    if isinstance(value, frozenset):
        return sorted((_as_json(inner) for inner in value), key=json.dumps)  # a set has no order; its text has
    if reader_of(type(value)):
        return write_scalar(value)
    return pydantic_core.to_jsonable_python(value)

"""Checks a call's arguments against the method table before anything is sent to Redis.

Whatever is wrong is an InvalidArgument that names the field; nothing was changed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from broker_sched.contract.registry import Method
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.wrong_arguments import wrong_argument
from broker_sched.errors import InvalidArgument, UnknownMethod

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_encode = msgspec.json.Encoder().encode


def find_method(name: str) -> Method:
    """The method of this name; raises UnknownMethod."""
    try:
        return METHODS[name]
    except KeyError:
        raise UnknownMethod(name) from None


def check(method: Method, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments, defaults filled in and types checked, ready for the method's operation.

    Raises InvalidArgument. What is JSON may still hold NaN: to_json, which writes it, refuses that.
    """
    try:
        return _checked(method, arguments)
    except RecursionError:
        raise InvalidArgument(_deepest(arguments), "is nested too deeply") from None


def _checked(method: Method, arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        struct = msgspec.convert(arguments, ARGUMENT_TYPES[method.name])
    except msgspec.ValidationError as error:
        raise wrong_argument(method, arguments, str(error)) from None
    except UnicodeEncodeError:  # msgspec's, of a lone surrogate in a text where it wants something else
        return _checked(method, _without_surrogates(arguments))
    if method.collects:
        return {method.collects.name: struct}
    try:
        _encode(struct)
    except (UnicodeEncodeError, RecursionError, TypeError):  # lone surrogates are taken
        for name in struct.__struct_fields__:
            value = getattr(struct, name)
            if not isinstance(value, float):  # infinity, where its type allows it, is no JSON
                to_json(name, value)
    return msgspec.structs.asdict(struct)


def to_json(field: str, value: Any) -> str:
    """Write a JSON value for storing; a lone surrogate stays what it is.

    Raises InvalidArgument for NaN, infinity and what JSON can't hold.
    """
    if type(value) is dict and all(type(each) is str for pair in value.items() for each in pair):
        with contextlib.suppress(UnicodeEncodeError):
            return msgspec.json.encode(value).decode()  # Luigi's parameters are of this kind
    try:
        return _ENCODER.encode(value)
    except ValueError:
        raise InvalidArgument(field, "holds NaN, infinity or a circular value, which JSON can't carry") from None
    except TypeError as error:
        raise InvalidArgument(field, f"can't be written as JSON: {error}") from None
    except RecursionError:
        raise InvalidArgument(field, "is nested too deeply") from None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_without_surrogates(name): _without_surrogates(inner) for name, inner in value.items()}
    return [_without_surrogates(each) for each in value] if isinstance(value, (list, tuple)) else value


def _type_of_arguments(method: Method) -> Any:
    """What msgspec converts the arguments of a method to."""
    if method.collects:
        return method.collects.annotation
    required = [(p.name, p.annotation) for p in method.parameters if p.default is p.empty]
    optional = [(p.name, p.annotation, p.default) for p in method.parameters if p.default is not p.empty]
    return msgspec.defstruct(
        f"{method.name}_arguments", [*required, *optional], kw_only=True, forbid_unknown_fields=not method.takes_any
    )


def _deepest(arguments: Mapping[str, Any]) -> str:
    for name, value in arguments.items():
        try:
            json.dumps(value)
        except RecursionError:
            return name
        except (TypeError, ValueError):
            continue
    return "arguments"


# Method → what msgspec converts its arguments to.
ARGUMENT_TYPES = {method.name: _type_of_arguments(method) for method in METHODS.values()}

"""Checks a call's arguments against the method table before anything is sent to Redis.

Whatever is wrong is an InvalidArgument that names the field; nothing was changed.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from broker_sched.contract.registry import Method, no_such_argument
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.states import REPORTABLE
from broker_sched.errors import InvalidArgument, UnknownMethod

MAX_SAFE_INTEGER = 2**53  # beyond it a double, and so a sorted set's score, loses digits
MAX_BATCHED_ARGS = 100
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def find_method(name: str) -> Method:
    """The method of this name; raises UnknownMethod."""
    try:
        return METHODS[name]
    except KeyError:
        raise UnknownMethod(name) from None


def check(method: Method, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments, defaults filled in and types checked, ready for the method's steps."""
    if method.collects:
        return {"resources": {name: _limit(name, value) for name, value in arguments.items()}}
    try:
        struct = msgspec.convert(arguments, _STRUCTS[method.name])
    except msgspec.ValidationError as error:
        raise _naming_the_field(method, arguments, error) from None
    except RecursionError:
        raise InvalidArgument(_deepest(arguments), "is nested too deeply") from None
    except UnicodeEncodeError:  # msgspec's, of a lone surrogate in a text where it wants something else
        return check(method, _without_surrogates(arguments))
    try:
        msgspec.json.encode(struct)
    except (UnicodeEncodeError, RecursionError, TypeError):  # lone surrogates are taken
        for name in struct.__struct_fields__:
            to_json(name, getattr(struct, name))
    values = msgspec.structs.asdict(struct)
    for name, check_value in _CHECKS_OF[method.name]:
        if values[name] is not None:
            check_value(name, values[name])
    if method.name == "add_task":
        _status("status", values["status"])
    return values


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


def explained(expl: Any) -> str:
    """The text of an explanation that is none: JSON where that can hold it, else as it shows itself."""
    try:
        return json.dumps(expl)
    except (TypeError, ValueError, RecursionError):
        return str(expl)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_without_surrogates(name): _without_surrogates(inner) for name, inner in value.items()}
    return [_without_surrogates(each) for each in value] if isinstance(value, (list, tuple)) else value


def _struct_for(method: Method) -> type[msgspec.Struct]:
    required = [(p.name, p.annotation) for p in method.parameters if p.default is p.empty]
    optional = [(p.name, p.annotation, p.default) for p in method.parameters if p.default is not p.empty]
    return msgspec.defstruct(
        f"{method.name}_arguments", [*required, *optional], kw_only=True, forbid_unknown_fields=not method.takes_any
    )


def _naming_the_field(method: Method, arguments: Mapping[str, Any], error: Exception) -> InvalidArgument:
    """Turn msgspec's message (`Expected …, got … - at `$.priority``) into one that starts with the field."""
    text = str(error)
    if "missing required field" in text:
        return InvalidArgument(text.split("`")[1], f"is missing; {method.name} needs it")
    if "unknown field" in text:
        return no_such_argument(method, text.split("`")[1])
    reason, _, path = text.partition(" - at ")
    field = path.strip("`").removeprefix("$.") or "arguments"
    return InvalidArgument(field, reason[:1].lower() + reason[1:])


def _deepest(arguments: Mapping[str, Any]) -> str:
    for name, value in arguments.items():
        try:
            json.dumps(value)
        except RecursionError:
            return name
        except (TypeError, ValueError):
            continue
    return "arguments"


def _finite(field: str, value: float) -> float:
    if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:  # false for NaN too
        raise InvalidArgument(field, "must be a finite number within ±2^53")
    return value


def _amounts(field: str, value: Mapping[str, float]) -> None:
    for name, amount in value.items():
        _finite(f"{field}.{name}", amount)


def _limit(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(name, f"a resource's limit is a number, not {value!r}")
    return _finite(name, value)


def _status(field: str, value: str) -> None:
    if value not in REPORTABLE:
        raise InvalidArgument(field, f"is {value!r}; it must be one of {', '.join(REPORTABLE)}")


def _visibilities(field: str, value: Mapping[str, int]) -> None:
    if not isinstance(value, Mapping):
        raise InvalidArgument(field, "must be an object of parameter names and 0 (public), 1 (hidden) or 2 (private)")
    for name, visibility in value.items():
        if visibility not in (0, 1, 2):
            raise InvalidArgument(f"{field}.{name}", "must be 0 (public), 1 (hidden) or 2 (private)")


def _policy(field: str, value: Mapping[str, float | None]) -> None:
    for name, limit in value.items():
        if name not in ("retry_count", "disable_hard_timeout", "disable_window"):
            raise InvalidArgument(
                f"{field}.{name}", "is unknown; use retry_count, disable_hard_timeout, disable_window"
            )
        if limit is not None:
            _finite(f"{field}.{name}", limit)


def _batch_size(field: str, value: float) -> None:
    if math.isnan(value):
        raise InvalidArgument(field, "is NaN; it must be a number")


def _few(field: str, value: list[str]) -> None:
    if len(value) > MAX_BATCHED_ARGS:
        raise InvalidArgument(field, f"has {len(value)} names; {MAX_BATCHED_ARGS} at the most")


# By the argument's name, whatever the method.
_CHECKS: dict[str, Any] = {
    "priority": _finite,
    "progress_percentage": _finite,
    "resources": _amounts,
    "decrease_resources": _amounts,
    "param_visibilities": _visibilities,
    "retry_policy_dict": _policy,
    "max_batch_size": _batch_size,
    "batched_args": _few,
}
_STRUCTS = {method.name: _struct_for(method) for method in METHODS.values()}
_CHECKS_OF = {
    method.name: [(p.name, _CHECKS[p.name]) for p in method.parameters if p.name in _CHECKS]
    for method in METHODS.values()
}

"""From the bytes of a request to the arguments of a call."""

from __future__ import annotations

import binascii
import json
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.types import Scope

from broker_sched.errors import InvalidArgument

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 100  # of nested values: what is stored must be readable by every program, however deep its own stack is
MAX_FIELDS = 100  # of a form or a query, of which Luigi sends one
LONGEST_NAME = len("%64%61%74%61") + 1  # bytes of a field's name that may be `data`, and one more
MAX_DOUBTFUL = 20_000  # signs of escapes in a value where not all are escapes: others would wait for more than 10 ms
FORM = b"application/x-www-form-urlencoded"
JSON_TYPE = b"application/json"


def path_of(scope: Scope) -> str:
    """Return the path that is asked for, without what stands before it where an ASGI server mounts the application."""
    path: str = scope["path"]
    root = scope.get("root_path")
    return path.removeprefix(root) if root else path


class UnsupportedType(InvalidArgument):
    """Raised when the body of a request is neither a form nor JSON."""

    def __init__(self, content_type: str) -> None:
        super().__init__("Content-Type", f"is {content_type!r}; send {FORM.decode()} or {JSON_TYPE.decode()}")


def from_query(query: bytes) -> dict[str, Any]:
    """Read the arguments in `?data=<JSON>`; {} without `data`. Raises InvalidArgument."""
    return from_json(_form_field(query)) if query else {}


def from_body(content_type: bytes, body: bytes, query: bytes) -> dict[str, Any]:
    """Read the arguments of a POST: a JSON body, a form field `data`, or, like Luigi's, `data` in the query.

    Raises InvalidArgument.
    """
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == JSON_TYPE:
        return from_json(_text(body)) if body else {}
    if kind in (FORM, b""):
        return from_json(_form_field(body)) if body else from_query(query)
    if not body:
        return from_query(query)
    raise UnsupportedType(content_type.decode("latin-1"))


def from_json(text: str) -> dict[str, Any]:
    """The object of arguments in this text. Of a name that stands twice, the last value counts, as for Luigi."""
    try:
        arguments = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        arguments = _decode_slowly(text)
    if not isinstance(arguments, dict):
        raise InvalidArgument("data", f"is a JSON object of arguments, not {_kind(arguments)}")
    if text.count("[") + text.count("{") > MAX_DEPTH:
        for name, value in arguments.items():
            if _is_deeper(value, MAX_DEPTH):
                raise InvalidArgument(name, f"is nested deeper than {MAX_DEPTH} levels")
    return arguments


def _decode_slowly(text: str) -> Any:
    """Decode what the fast decoder refuses: Infinity, Luigi's max_batch_size, and errors, told more clearly."""
    try:
        return json.loads(text)
    except RecursionError:
        raise InvalidArgument("data", "is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError, or an integer with more digits than Python converts
        raise InvalidArgument("data", f"is not JSON: {error}") from None


def _form_field(form: bytes) -> str:
    """Return the field `data` of a form; '{}' when there is none."""
    found: bytes | None = None
    if form.count(b"&") >= MAX_FIELDS:
        raise InvalidArgument("data", f"is one of more than {MAX_FIELDS} fields; send it alone")
    for pair in form.split(b"&") if b"&" in form else (form,):
        name, _, value = pair.partition(b"=")
        if name == b"data" or (b"%" in name[:LONGEST_NAME] and unquote_to_bytes(name[:LONGEST_NAME]) == b"data"):
            if found is not None:
                raise InvalidArgument("data", "is given twice")
            found = value
    return "{}" if found is None else _text(_unquote(found))


def _unquote(value: bytes) -> bytes:
    """Decode a form's value as unquote_to_bytes does, which takes 20 µs for a task, whose JSON is full of escapes.

    Quoted-printable differs in its sign and in what a line's end means, and the standard library decodes it in C. Each
    escape makes the text two shorter: what does not add up holds some that are none, and is decoded slowly.
    """
    value = value.replace(b"+", b" ")
    if b"=" not in value and b"\n" not in value and b"\r" not in value:
        found = binascii.a2b_qp(value.replace(b"%", b"="))
        if len(found) == len(value) - 2 * value.count(b"%"):
            return found
    value = value.replace(b"=", b"%3D").replace(b"\n", b"%0A").replace(b"\r", b"%0D")  # these mean something there
    found = binascii.a2b_qp(value.replace(b"%", b"="))
    if len(found) == len(value) - 2 * value.count(b"%"):
        return found
    if value.count(b"%") > MAX_DOUBTFUL:
        raise InvalidArgument("data", "holds a % that begins no escape: encode it as a form's value")
    return unquote_to_bytes(value)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument("data", f"is not UTF-8 at byte {error.start}") from None


def _is_deeper(value: Any, levels: int) -> bool:
    """Tell whether lists and objects are nested more than so many levels; without recursion."""
    wave = [value]
    for _ in range(levels + 1):
        wave = [
            inner
            for outer in wave
            if isinstance(outer, (list, dict))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not wave:
            return False
    return True


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")

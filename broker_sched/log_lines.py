"""What a line of a log looks like: text, or one JSON object with the fields that docs/logs.md lists.

`logging` does all else. `cli/bsched/logs.py` sets it up for the commands; a program of one's own puts a `JSONFormatter`
on a handler. Whatever is logged, `JSONFormatter` makes one line of it that is JSON and shorter than 16 KB, at which
Docker would cut it in two.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
OUTPUT_LOGGER = "bsched.task.output"  # of lines that a task has written
# Beside time, level, logger, message, pid and error.
FIELDS = ("namespace", "worker", "task_id", "request_id", "trace_id", "span_id")
FIELD_BYTES, MESSAGE_BYTES, SHORT_MESSAGE_BYTES, ERROR_BYTES, TRACEBACK_BYTES = 300, 12_000, 4_000, 1_000, 7_000

_of_process: dict[str, str] = {}
_of_context: ContextVar[Mapping[str, str]] = ContextVar("fields of log lines", default={})  # noqa: B039  # never changed
_chosen = TEXT  # for lines that this process writes beside `logging`


def note_process(**fields: str | None) -> None:
    """Give these fields to all lines of this process, in all threads; None takes a field away."""
    for name, value in fields.items():
        if value is None:
            _of_process.pop(name, None)
        else:
            _of_process[name] = value


@contextlib.contextmanager
def with_fields(**fields: str | None) -> Iterator[None]:
    """Give these fields to the lines that are logged in the block, by its thread or asyncio task; None adds nothing."""
    token = _of_context.set({**_of_context.get(), **{name: text for name, text in fields.items() if text is not None}})
    try:
        yield
    finally:
        _of_context.reset(token)


def field_here(name: str) -> str | None:
    """Return what with_fields() says of this field here and now; None where it says nothing."""
    return _of_context.get().get(name)


def choose(form: str) -> None:
    """Have all that this process writes to its log from now on be text or JSON; see is_json()."""
    global _chosen
    _chosen = form


def is_json() -> bool:
    """Return whether lines that are written beside `logging`, such as the output of tasks, are to be JSON."""
    return _chosen == JSON


def chosen_in_environment() -> str:
    """Return the format that BSCHED_LOG_FORMAT names: "text" where it names none. What it says is not checked."""
    return os.environ.get("BSCHED_LOG_FORMAT", "").strip().lower() or TEXT


def formatter(form: str) -> logging.Formatter:
    """Make the formatter for "text" or "json"."""
    return JSONFormatter() if form == JSON else logging.Formatter(TEXT_FORMAT)


def write_text() -> None:
    """Have this process, whose output another one makes JSON of, log text, and tell of exceptions as Python does."""
    global _chosen
    _chosen = TEXT
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JSONFormatter):
            handler.setFormatter(formatter(TEXT))
    sys.excepthook, threading.excepthook = sys.__excepthook__, threading.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__


class JSONFormatter(logging.Formatter):
    """Writes a record as one JSON object on one line, in ASCII. No record makes it fail."""

    def __init__(self, *unused: object, **more: object) -> None:  # fileConfig() gives a format
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record, whatever it has; it never raises."""
        try:
            message = record.getMessage()
        except Exception as problem:  # arguments that don't fit, or whose __str__ raises
            message = f"{record.msg!r} can't be written with its arguments: {type(problem).__name__}"
        raised = _error_of(record)
        if record.stack_info:
            message = f"{message}\n{record.stack_info}"
        where: dict[str, Any] = {"level": record.levelname, "logger": record.name, "pid": record.process}
        return line(message, created=record.created, error=raised, **where)


def line(
    message: str,
    *,
    level: str = "INFO",
    logger: str = OUTPUT_LOGGER,
    created: float | None = None,
    pid: int | None = None,
    error: Mapping[str, str] | None = None,
    fields: Mapping[str, str | None] | None = None,
) -> str:
    """Return a line of the log as JSON, without a line end.

    created: seconds since 1970; None: now. error: its type, message and traceback. fields: those of FIELDS that are not
    taken from note_process(), with_fields() and the current span of OpenTelemetry.
    """
    told: dict[str, Any] = {
        "time": _written_time(time.time() if created is None else created),
        "level": _cut(level.lower(), FIELD_BYTES),
        "logger": _cut(logger, FIELD_BYTES),
        "message": _cut(message, SHORT_MESSAGE_BYTES if error else MESSAGE_BYTES),
        "pid": pid or os.getpid(),
    }
    known = {**_of_process, **_of_context.get(), **_span_fields(), **(fields or {})}
    told.update({name: _cut(text, FIELD_BYTES) for name in FIELDS if (text := known.get(name))})
    if error:
        told["error"] = {
            "type": _cut(error["type"], FIELD_BYTES),
            "message": _cut(error["message"], ERROR_BYTES),
            "traceback": _cut(error["traceback"], TRACEBACK_BYTES, keeps_end=True),
        }
    return json.dumps(told)


def output_lines(text: str, fields: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the line of the log for a line that a task has written; several for a long one, of which nothing is cut."""
    step = MESSAGE_BYTES // 2 if text.isascii() and text.isprintable() else MESSAGE_BYTES // 12
    for start in range(0, len(text) or 1, step):
        yield line(text[start : start + step], fields=fields)


def _written_time(seconds: float) -> str:
    whole = int(seconds // 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((seconds - whole) * 1e6):06d}Z"


def _error_of(record: logging.LogRecord) -> dict[str, str] | None:
    """Return what a record says of an exception; None where it has none."""
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, trace = record.exc_info
        try:
            text = str(error)
        except Exception:
            text = "(its text can't be made)"
        try:
            is_short = len(text) <= ERROR_BYTES  # else it would leave no room for where it comes from
            written = "".join(
                traceback.format_exception(kind, error, trace) if is_short else traceback.format_tb(trace)
            )
        except Exception:
            written = ""
        return {"type": _type_name(kind), "message": text, "traceback": written.rstrip("\n")}
    if record.exc_text:
        return {"type": "", "message": "", "traceback": record.exc_text}
    return None


def _type_name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _span_fields() -> dict[str, str]:
    """Return the ids of OpenTelemetry's current span, where a program has loaded OpenTelemetry and one is there."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None or not hasattr(api, "get_current_span"):
        return {}
    context = api.get_current_span().get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"} if context.is_valid else {}


def _cut(text: str, size: int, keeps_end: bool = False) -> str:
    """Return the text without lone surrogates, and so short that its JSON has no more bytes than this."""
    count = len(text)
    if count > size:
        text = text[-size:] if keeps_end else text[:size]
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) * 12 > size:  # else it fits even if each character becomes two escapes
        while (length := len(json.dumps(text))) > size:
            kept = max(0, len(text) * size // length - 1)
            text = text[len(text) - kept :] if keeps_end else text[:kept]
    if len(text) < count:  # an escaped surrogate makes it longer
        return f"… {text}" if keeps_end else f"{text} … ({count} characters)"
    return text

"""Texts for people: whatever stands in an id or an error, a terminal only shows it."""

from __future__ import annotations

import logging
from typing import Any

import click

from broker_sched import log_lines
from broker_sched.plain_text import shown

OURS = "bsched"


def echo(text: str, err: bool = False) -> None:
    """Print a line, on stderr where that is wanted, without control characters.

    On stderr it is a line of the log where that is JSON.
    """
    click.echo(for_stderr(text) if err else shown(text), err=err)


def for_stderr(text: str, level: str = "WARNING") -> str:
    """Return what to write on stderr for this text: the text, or an object where the log is JSON."""
    return log_lines.line(text, level=level, logger=OURS) if log_lines.is_json() else shown(text)


def escape_in_log() -> None:
    """Let no control character of an id or a path come into what our loggers write, whoever configured the handlers."""
    logging.setLogRecordFactory(_record)


class _Record(logging.LogRecord):
    def getMessage(self) -> str:
        return shown(super().getMessage())


def _record(name: str, *details: Any, **more: Any) -> logging.LogRecord:
    is_ours = name == OURS or name.startswith(f"{OURS}.")
    return (_Record if is_ours else logging.LogRecord)(name, *details, **more)

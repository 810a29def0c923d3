"""The options that choose tasks: the filters of the method `tasks`, and the tasks that it finds."""

from __future__ import annotations

import datetime
import functools
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar, cast, get_args

import click

from broker_sched.contract.types import StateFilter
from broker_sched.plain_text import named
from bsched.checked_scheduler import nearest

F = TypeVar("F", bound=Callable[..., Any])
STATES: tuple[str, ...] = get_args(StateFilter)
NAMES = ("family", "status", "params", "worker", "text", "error", "failed_since", "updated_since", "date")
Looked: TypeAlias = Callable[[int, int], None]
PAGE = 1000  # tasks in one call, at the most
UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(min|[smhdw])")


class Duration(click.ParamType):  # type: ignore[type-arg]  # of an older click it has none
    """Seconds, written as `90`, `30m`, `1h`, `2d` or `1h30m`."""

    name = "duration"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return seconds_of(value)
        except ValueError:
            self.fail(f"{value!r} is no duration; write 90, 30m, 1h, 2d or 1h30m.", parameter, context)


class Moment(click.ParamType):  # type: ignore[type-arg]  # of an older click it has none
    """Seconds since the epoch, written as how long ago it was (`1h`), or as local date and time."""

    name = "when"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return time.time() - seconds_of(value)
        except ValueError:
            pass
        try:
            return datetime.datetime.fromisoformat(value).timestamp()
        except ValueError:
            told = f"{value!r} is no time; write how long ago it was, as 30m, 1h or 2d, or 2026-01-31T08:00."
            self.fail(told, parameter, context)


class State(click.ParamType):  # type: ignore[type-arg]  # of an older click it has none
    """A status, or a state of PENDING tasks, in any case. more: what else it may be."""

    name = "status"

    def __init__(self, *more: str) -> None:
        self._states = (*STATES, *more)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        found = str(value).upper()
        if found in self._states:
            return found
        known = "There are " + ", ".join(self._states)
        self.fail(f"There is no status {named(value)}. {nearest(found, self._states, known)}")


def seconds_of(text: str) -> float:
    """Return the seconds that a text such as `90`, `30m` or `1h30m` stands for. Raises ValueError for any other."""
    try:
        return float(text)
    except ValueError:
        parts = _PART.findall(text)
        if not parts or _PART.sub("", text).strip():
            raise
        return sum(float(amount) * UNITS[unit] for amount, unit in parts)


def filter_options(function: F) -> F:
    """Add the options that choose tasks; the command gets them as filters, the arguments of the method `tasks`."""

    @functools.wraps(function)
    def with_filters(*arguments: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in NAMES}
        filters = {name: value for name, value in given.items() if value not in (None, ())}
        if "params" in filters:
            filters["params"] = dict(_pair(each) for each in filters["params"])
        return function(*arguments, filters=filters, **options)

    command = cast(F, with_filters)
    for decorate in reversed(
        (
            click.option("--family", metavar="NAME", help="Tasks of this family."),
            click.option(
                "--status", type=State(), help="Of this status; of PENDING ones also READY, WAITING or BLOCKED."
            ),
            click.option(
                "--param", "params", multiple=True, metavar="NAME=VALUE", help="With this parameter; may be repeated."
            ),
            click.option("--worker", metavar="ID", help="That this worker runs, or may run."),
            click.option("--text", metavar="WORDS", help="With all these words in family and parameters, in any case."),
            click.option("--error", metavar="TEXT", help="With this text in the last line of the error, in any case."),
            click.option("--failed-since", type=Moment(), help="FAILED or DISABLED since 30m, 1h, 2026-01-31T08:00."),
            click.option("--updated-since", type=Moment(), help="Whose status has changed since then."),
            click.option("--date", metavar="DATE", help="For this day, as in 2024-03-01, or month: see family dates."),
        )
    ):
        command = decorate(command)
    return command


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--param {text}: write NAME=VALUE.")
    return name, value


def found_tasks(
    scheduler: Any, filters: Mapping[str, Any], limit: int, order: str = "newest", looked: Looked | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the first tasks for which the filters hold, so many at the most, page by page.

    looked: called when a page has come, with how many tasks were looked at, and of how many.
    """

    def ask(**where: Any) -> Any:
        page = scheduler.tasks(**filters, order=order, **where)
        if looked is not None:
            looked(page["looked_at"], page["of"])
        return page

    return paged(ask, "tasks", limit)


def paged(ask: Callable[..., Any], name: str, limit: int) -> Iterator[dict[str, Any]]:
    """Yield up to `limit` entries of a method that answers by pages.

    ask: takes `cursor` and `limit`. name: what its reply calls the entries.
    """
    cursor, left = None, limit
    while left > 0:
        page = ask(cursor=cursor, limit=min(PAGE, left))
        yield from page[name]
        cursor, left = page["cursor"], left - len(page[name])
        if cursor is None:
            return

"""How a command answers: a table on a terminal, aligned columns in a pipe, and JSON with the API's names for programs.

A list is printed in JSON as one object a line, anything else as one object. No id, error or message of somebody else's
reaches the terminal with its control characters.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import click

from broker_sched.plain_text import on_one_line
from bsched.terminal import echo

F = TypeVar("F", bound=Callable[..., Any])
AS_JSON = "bsched.as_json"  # in click's context
NONE = "-"  # where there is no value
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
STYLES = {  # of words that say how something stands; each word says it without its colour, too
    **dict.fromkeys(("FAILED", "DISABLED", "disabled", "silent"), "red"),
    **dict.fromkeys(("DONE", "active"), "green"),
    **dict.fromkeys(("RUNNING", "BATCH_RUNNING"), "cyan"),
    **dict.fromkeys(("BLOCKED", "paused"), "yellow"),
}


class Column(NamedTuple):
    """A column of a table: its title, and the text that it has for an object of the list."""

    title: str
    text: Callable[[Mapping[str, Any]], str]
    is_number: bool = False  # stands to the right


def column(title: str, field: str | None = None, form: Callable[[Any], str] | None = None) -> Column:
    """Return the column that shows a field, named like the title where no other name is given, in this form.

    A number is set to the right. A value that is not there is shown as `-`.
    """
    name = field or title.lower().replace(" ", "_")
    shown_as = form or text
    return Column(title, lambda each: shown_as(each.get(name)), form in (number, duration))


def json_option(function: F) -> F:
    """Add --json; the command gets output, an Output."""

    def remember(context: click.Context, parameter: click.Parameter, value: bool) -> Output:
        context.meta[AS_JSON] = value or context.meta.get(AS_JSON, False)  # `config --json get` is `config get --json`
        return Output(context.meta[AS_JSON])

    help_ = "Print JSON with the API's field names: one object, or one a line."
    return click.option("--json", "output", is_flag=True, callback=remember, help=help_)(function)


class Section(NamedTuple):
    """A part of a screen: a title, and rows of texts, the first of each a label."""

    title: str
    rows: Sequence[Sequence[str]]


class Output:
    """Where a command puts its answer, in the form that was asked for."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def page(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], limit: int, nothing: str) -> None:
        """Print the first rows of a list, so many at the most, and say to people whether there are more.

        As JSON they are printed as they come. nothing: as in rows().
        """
        if self.as_json:
            self.rows(itertools.islice(rows, limit), columns)
            return
        found = list(itertools.islice(rows, limit + 1))
        self.rows(found[:limit], columns, nothing)
        if len(found) > limit:
            self.note(f"There are more; --limit {10 * limit} shows up to as many.")

    def thing(self, thing: Any, lines: Callable[[], str | Iterable[str]]) -> None:
        """Print one thing: as JSON, else the text or the lines that the function makes."""
        if self.as_json:
            print_json(thing)
            return
        told = lines()
        for line in [told] if isinstance(told, str) else told:
            echo(line)

    def rows(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], nothing: str = "") -> int:
        """Print a list: as JSON one object a line, else as a table. Returns how many there were.

        nothing: what is said, on stderr, instead of an empty table.
        """
        if self.as_json:
            printed = 0
            for row in rows:
                print_json(row)
                printed += 1
            return printed
        found = list(rows)
        if found:
            print_table(found, columns)
        elif nothing:
            echo(nothing, err=True)
        return len(found)

    def sections(self, thing: Any, sections: Callable[[], Iterable[Section]]) -> None:
        """Print one thing of many parts: as JSON, else the sections that the function makes."""
        if self.as_json:
            print_json(thing)
        elif sys.stdout.isatty():
            _console().print(drawn_sections(sections()))
        else:
            for line in section_lines(sections()):
                click.echo(line)

    def note(self, told: str) -> None:
        """Say something beside the answer, to people only, on stderr."""
        if not self.as_json:
            echo(told, err=True)


def print_json(thing: Any) -> None:
    """Print a reply as JSON on one line, no control character in it."""
    echo(json.dumps(thing, ensure_ascii=False))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    """Print a table: with rules and colours on a terminal, elsewhere plain columns, two spaces apart."""
    cells = [[one_cell(column.text(row)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _rich_table(cells, columns)
    else:
        for line in plain_lines([[each.title.upper() for each in columns], *cells], [c.is_number for c in columns]):
            click.echo(line)


def plain_lines(cells: Sequence[Sequence[str]], are_numbers: Sequence[bool]) -> list[str]:
    """Return rows of texts as lines with aligned columns."""
    from rich.cells import cell_len  # here: `bsched call` needs none

    widths = [max(map(cell_len, each)) for each in zip(*cells)]
    lines = []
    for row in cells:
        padded = []
        for cell, width, is_number in zip(row, widths, are_numbers):
            blank = " " * (width - cell_len(cell))
            padded.append(blank + cell if is_number else cell + blank)
        lines.append("  ".join(padded).rstrip())
    return lines


def section_lines(sections: Iterable[Section]) -> list[str]:
    """Return sections as lines: the title, and below it, indented, its rows with aligned columns."""
    lines = []
    for title, rows in sections:
        cells = _even(rows)
        lines += [title, *(f"  {line}" for line in plain_lines(cells, [False] * len(cells[0]) if cells else []))]
    return lines


def drawn_sections(sections: Iterable[Section]) -> Any:
    """Return sections as rich draws them: a bold title, and below it the rows with aligned columns."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    drawn: list[Any] = []
    for title, rows in sections:
        grid = Table.grid(padding=(0, 2))
        for _ in range(max(map(len, rows), default=0)):
            grid.add_column(overflow="fold")
        for row in _even(rows):
            grid.add_row(*(Text(cell, STYLES.get(cell.partition(" ")[0], "")) for cell in row))
        drawn += [Text(title, "bold"), Padding.indent(grid, 2)]
    return Group(*drawn)


def _even(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The rows with as many cells each, none of which has a control character."""
    width = max(map(len, rows), default=0)
    return [[*map(one_cell, row), *[""] * (width - len(row))] for row in rows]


def _console() -> Any:
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def _rich_table(cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False)
    for each in columns:
        # folded, never cut: an id is there to be copied
        table.add_column(each.title, justify="right" if each.is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in row))
    _console().print(table)


def one_cell(value: str) -> str:
    """Return a text as it may stand in a table: on one line, and without control characters."""
    return on_one_line(value).replace("\t", "\\t")


def text(value: Any) -> str:
    """Return any value of a reply as people read it."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={text(each)}" for name, each in value.items()) or NONE
    if isinstance(value, (list, tuple)):
        return ", ".join(text(each) for each in value) or NONE
    return str(value)


def number(value: float | None) -> str:
    """Return a number with separated thousands: `1,234`, `0.25`."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.1f}"


def duration(seconds: float | None) -> str:
    """Return how long something took: `0.25 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{max(0.0, seconds):.2g} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    for unit, name, below, small in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if whole >= unit:
            rest = int(whole % unit // below)
            return f"{int(whole // unit)} {name}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def when(seconds: float | None) -> str:
    """Return a moment in local time, and how far it is: `2026-01-31 14:03:12 (5 min ago)`."""
    if seconds is None:
        return NONE
    try:
        moment = datetime.fromtimestamp(seconds).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):  # behind the year 9999, as after a retry_delay of 1e12
        moment = f"{seconds:.6g} s after 1970"
    return f"{moment} ({distance(seconds)})"


def distance(seconds: float | None) -> str:
    """Return how far a moment is from now: `5 min ago`, `in 2 h 3 min`, `now`."""
    if seconds is None:
        return NONE
    away = seconds - time.time()
    if abs(away) < 1:
        return "now"
    told = duration(round(abs(away)))
    return f"in {told}" if away > 0 else f"{told} ago"


def quantity(n: int, one: str, many: str | None = None) -> str:
    """Return a number with what it counts: `1 task`, `1,234 tasks`, `2 families`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def memory(size: int | None) -> str:
    """Return a number of bytes as `512 B`, `3.4 MB`, `1.2 GB`."""
    if size is None:
        return NONE
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.3g} {unit}" if amount < 1000 else f"{amount:,.0f} {unit}"
        amount /= 1000
    return NONE

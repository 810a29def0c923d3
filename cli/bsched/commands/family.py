"""`bsched family list` and `dates`: the families of tasks, with how they fare, and for which dates they have tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from bsched.options.filters import paged
from bsched.options.place import Place, place_options
from bsched.output import Column, Output, column, distance, duration, json_option, number

STATES = ("READY", "RUNNING", "WAITING", "BLOCKED", "FAILED", "DISABLED", "DONE")


def _count(state: str) -> Column:
    return Column(state.title(), lambda each: number(each["tasks"].get(state, 0)), True)


def _failed(each: Mapping[str, Any]) -> str:
    told = number(each["failed_last_hour"])
    return told if each["last_failed"] is None else f"{told}, {distance(each['last_failed'])}"


COLUMNS = (
    Column("Family", lambda each: (each["family"] or "(none)") + (" (paused)" if each["paused"] else "")),
    *map(_count, STATES),
    column("Mean", "mean_seconds", duration),
    column("p95", "p95_seconds", duration),
    Column("Failed last hour, last", _failed),
    column("Last error"),
)


@click.group()
def family() -> None:
    """Show the families of tasks. `bsched pause FAMILY` pauses one."""


@family.command("list")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="So many at the most.")
@place_options
@json_option
def list_(limit: int, place: Place, output: Output) -> None:
    """List families, those with most tasks first: tasks by state, mean run time and 95th percentile, failures."""
    output.page(paged(place.scheduler().families, "families", limit + 1), COLUMNS, limit, "No tasks.")


DATE_COLUMNS = (
    Column("Family", lambda each: each["family"] or "(none)"),
    column("Date"),
    *map(_count, (*STATES, "UNKNOWN")),
)


@family.command("dates")
@click.option("--family", "name", metavar="NAME", help="Only this family.")
@click.option("--month", metavar="MONTH", help="As in 2024-03; without it the last one for which there are tasks.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="So many families at the most.")
@place_options
@json_option
def dates(name: str | None, month: str | None, limit: int, place: Place, output: Output) -> None:
    """Count the tasks of families for each day of a month: by the date in their parameters, as in date=2024-03-01.

    What ran for a day is listed, and changed, with --date: `bsched task retry --family NAME --date 2024-03-01`.
    """
    scheduler = place.scheduler()

    def ask(**where: Any) -> Any:
        return scheduler.family_dates(family=name, month=month, **where)

    families = list(paged(ask, "families", limit + 1))
    output.rows(_days(families[:limit]), DATE_COLUMNS, "No tasks with a date.")
    if len(families) > limit and not output.as_json:
        output.note(f"There are more families; --limit {10 * limit} shows up to as many.")


def _days(families: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a row for each date of each family."""
    for each in families:
        for date, by_state in each["dates"].items():
            yield {"family": each["family"], "date": date, "tasks": by_state}

"""`bsched timeline`: which task ran where, from when to when."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from bsched.drawn_runs import drawn_rows
from bsched.options.filters import Moment, paged
from bsched.options.place import Place, place_options
from bsched.output import Column, Output, column, distance, duration, json_option, number, when

MOST_DRAWN = 5000  # runs


def _took(run: Mapping[str, Any]) -> str:
    if run["started"] is None:
        return "unknown"
    return duration((time.time() if run["ended"] is None else run["ended"]) - run["started"])


COLUMNS = (
    column("Began", "started", when),
    Column("Took", _took, is_number=True),
    column("Outcome"),
    column("Task", "task_id"),
    column("Worker"),
)
DRAWN_COLUMNS = (
    column("Runs", form=number),
    column("Failed", form=number),
    Column("Busy", lambda row: f"{row['busy']:.0%}", is_number=True),
    column("Longest idle", "longest_idle_seconds", duration),
    column("Drawn"),
)


@click.command()
@click.option("--since", type=Moment(), default="1h", show_default=True, help="That ended since 30m, 2026-01-31T08:00.")
@click.option("--until", type=Moment(), help="That ended, or began, until then; else until now.")
@click.option("--worker", metavar="ID", help="On this worker.")
@click.option("--family", metavar="NAME", help="Of this family.")
@click.option("--by", type=click.Choice(["worker", "family"]), help="Draw a line for each, instead of listing runs.")
@click.option("--limit", type=click.IntRange(1), help=f"So many runs at the most.  [50; with --by {MOST_DRAWN}]")
@place_options
@json_option
def timeline(
    since: float, until: float | None, by: str | None, limit: int | None, place: Place, output: Output, **only: Any
) -> None:
    """Show which tasks ran where, from when to when; the last ones first, and those that run before them.

    With --by, a line for each worker or family: how many runs, for which part of the time at least one of them, the
    longest time without any; and all of it drawn, the higher the more ran at once, `!` where one failed.

    Known are all runs of the last 10,000 events or so, and of each task that is there its last one.
    """
    filters = {name: value for name, value in {**only, "until": until}.items() if value is not None}
    scheduler = place.scheduler()

    def ask(**page: Any) -> Any:
        return scheduler.timeline(since=since, **filters, **page)

    if by is None:
        output.page(paged(ask, "runs", (limit or 50) + 1), COLUMNS, limit or 50, "No such runs.")
        return
    end = time.time() if until is None else until
    runs = list(paged(ask, "runs", limit or MOST_DRAWN))
    rows = drawn_rows(runs, by, since, end)
    output.rows([each.shown() for each in rows], (column(by.capitalize(), "name"), *DRAWN_COLUMNS), "No such runs.")
    if rows:
        output.note(f"Drawn from {_moment(since)} to {_moment(end)}.")
    if len(runs) >= (limit or MOST_DRAWN):
        output.note(f"There are more runs than the last {len(runs):,}; --limit {10 * len(runs)} draws as many.")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).isoformat(" ", "seconds") + f" ({distance(seconds)})"

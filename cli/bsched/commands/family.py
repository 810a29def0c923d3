"""`bsched family list`: the families of tasks, with how they fare."""

from __future__ import annotations

from collections.abc import Mapping
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

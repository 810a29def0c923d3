"""`bsched events`: the changes of tasks' statuses, as they happen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from bsched.options.filters import State
from bsched.options.place import Place, place_options
from bsched.outages import ask_patiently
from bsched.output import Column, Output, column, json_option, print_json, when
from bsched.signals import Interruption
from bsched.terminal import echo

PAGE = 1000  # events in one call
POLL_SECONDS = 1.0


def _change(each: Mapping[str, Any]) -> str:
    refused = f" (refused: {each['refused']})" if each.get("refused") else ""
    return f"{each['from'] or '(new)'} → {each['to'] or '(removed)'}{refused}"


COLUMNS = (
    column("Time", form=when),
    Column("Change", _change),
    column("Task", "task_id"),
    column("Worker"),
)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with those to come, until Ctrl-C.")
@click.option("--family", metavar="NAME", help="Of tasks of this family.")
@click.option("--status", type=State(), help="Changes to this status.")
@click.option("--limit", type=click.IntRange(1, PAGE), default=50, show_default=True, help="So many of the last ones.")
@click.option("--after", metavar="ID", help="Those behind the event with this id, as --json tells it.")
@place_options
@json_option
def events(follow: bool, limit: int, after: str | None, place: Place, output: Output, **only: Any) -> None:
    """Show the last changes of tasks' statuses, oldest first. The last 10,000 or so are kept."""
    scheduler = place.scheduler()
    filters = {name: value for name, value in only.items() if value is not None}
    found = scheduler.events(after=after, limit=limit, **filters)
    if only["family"] is not None and not found["events"]:
        scheduler.require_family(only["family"])
    _tell_of_gap(found, output)
    if not follow:
        output.rows(found["events"], COLUMNS, "No such changes.")
        return
    interruption = Interruption()
    interruption.take()
    try:
        _follow(scheduler, found, filters, output)
    except KeyboardInterrupt:
        interruption.leave()


def _follow(scheduler: Any, found: Mapping[str, Any], filters: Mapping[str, Any], output: Output) -> None:
    while True:
        for each in found["events"]:
            print_json(each) if output.as_json else echo(_line(each))
        if not found["events"]:
            time.sleep(POLL_SECONDS)
        # "0-0": an empty stream has no last event, and whatever comes is behind its beginning
        after = found["last"] or "0-0"
        found = ask_patiently(lambda after=after: scheduler.events(after=after, limit=PAGE, **filters))  # type: ignore[misc]
        _tell_of_gap(found, output)


def _tell_of_gap(found: Mapping[str, Any], output: Output) -> None:
    if not found.get("complete", True):  # a server of an older version does not tell
        output.note(
            "Some changes are left out here: they were dropped before this was asked, as only the last 10,000 are kept."
        )


def _line(each: Mapping[str, Any]) -> str:
    """A line that says when, since those above it don't move: a table would have to know what is to come."""
    moment = datetime.fromtimestamp(each["time"]).strftime("%H:%M:%S")
    on = f"  on {each['worker']}" if each["worker"] else ""
    return f"{moment}  {_change(each)}  {each['task_id']}{on}"

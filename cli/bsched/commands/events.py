"""`bsched events`: the changes of tasks' statuses, as they happen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from bsched.following import PAGE, show
from bsched.options.filters import State
from bsched.options.place import Place, place_options
from bsched.output import Column, Output, column, json_option, when


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
@click.option("--task", "task_id", metavar="ID", help="Of this task; it need not be there any more.")
@click.option("--limit", type=click.IntRange(1, PAGE), default=50, show_default=True, help="So many of the last ones.")
@click.option("--after", metavar="ID", help="Those behind the event with this id, as --json tells it.")
@place_options
@json_option
def events(follow: bool, limit: int, after: str | None, place: Place, output: Output, **only: Any) -> None:
    """Show the last changes of tasks' statuses, oldest first. The last 10,000 or so are kept.

    With --family, --status or --task, those among the last 1,000.
    """
    scheduler = place.scheduler()
    filters = {name: value for name, value in only.items() if value is not None}
    found = scheduler.events(after=after, limit=limit, **filters)
    if only["family"] is not None and not found["events"]:
        scheduler.require_family(only["family"])

    def ask(behind: str) -> Mapping[str, Any]:
        more: Mapping[str, Any] = scheduler.events(after=behind, limit=PAGE, **filters)
        _tell_of_gap(more, output)
        return more

    _tell_of_gap(found, output)
    show(found, "events", output, COLUMNS, "No such changes.", line=_line, ask=ask if follow else None)


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

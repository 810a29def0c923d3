"""`bsched audit`: who has asked for which change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

import click

from broker_sched.contract.types import AuditResult
from bsched.following import PAGE, show
from bsched.options.filters import Moment
from bsched.options.place import Place, place_options
from bsched.output import Column, Output, column, json_option, number, when

MAX_SHOWN = 60  # characters of the arguments in a table


def _who(each: Mapping[str, Any]) -> str:
    name = each["who"] or each["kind"]
    return f"{name} from {each['address']}" if each["address"] else str(name)


def _asked(each: Mapping[str, Any]) -> str:
    told = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in each["arguments"].items())
    return told if len(told) <= MAX_SHOWN else f"{told[:MAX_SHOWN]}…"


def _result(each: Mapping[str, Any]) -> str:
    why = f": {each['why']}" if each["why"] else ""
    times = f" ({each['times']} times)" if each["times"] > 1 else ""
    return f"{each['result']}{why}{times}"


COLUMNS = (
    column("Time", form=when),
    Column("Who", _who),
    column("Method"),
    column("Tasks", form=number),
    Column("Result", _result),
    Column("Arguments", _asked),
)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with those to come, until Ctrl-C.")
@click.option("--since", type=Moment(), help="Since 30m, 1h, 2026-01-31T08:00.")
@click.option("--who", metavar="NAME", help="Of this user, token, or user@host.")
@click.option("--method", metavar="NAME", help="Calls of this method, such as change_tasks, or login.")
@click.option(
    "--result", type=click.Choice(get_args(AuditResult)), help="Only what was done, refused, or is not known."
)
@click.option("--limit", type=click.IntRange(1, PAGE), default=50, show_default=True, help="So many of the last ones.")
@click.option("--after", metavar="ID", help="Those behind the record with this id, as --json tells it.")
@click.option("--before", metavar="ID", help="The newest before the record with this id.")
@place_options
@json_option
def audit(
    follow: bool, limit: int, after: str | None, before: str | None, place: Place, output: Output, **only: Any
) -> None:
    """Show who has asked for which change, and what was refused, oldest first.

    Over HTTP it wants the role operator or admin. What is not finished yet stands at the end, with the result begun.
    """
    scheduler = place.scheduler()
    filters = {name: value for name, value in only.items() if value is not None}
    found = scheduler.audit(after=after, before=before, limit=limit, **filters)
    if not follow:
        found = {**found, "records": [*found["records"], *found["unfinished"]]}
    show(
        *(found, "records", output, COLUMNS, "No such records."),
        line=_line,
        ask=(lambda behind: scheduler.audit(after=behind, limit=PAGE, **filters)) if follow else None,
    )


def _line(each: Mapping[str, Any]) -> str:
    moment = datetime.fromtimestamp(each["time"]).strftime("%Y-%m-%d %H:%M:%S")
    tasks = "" if each["tasks"] is None else f"  {each['tasks']} tasks"
    return f"{moment}  {_who(each)}  {each['method']}  {_asked(each)}{tasks}  {_result(each)}"

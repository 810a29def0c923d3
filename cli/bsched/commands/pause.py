"""`bsched pause` and `bsched resume`: hand out no work for a while, of all tasks or of a family."""

from __future__ import annotations

from typing import Any

import click

from broker_sched.errors import UnknownMethod
from bsched.options.place import Place, place_options
from bsched.output import Output, json_option, quantity

OFF = "pause_enabled is off in this namespace, so nothing is paused: bsched config set pause_enabled=true"


@click.command()
@click.argument("family", required=False)
@click.option("--yet-to-come", is_flag=True, help="There is no task of the family so far.")
@place_options
@json_option
def pause(family: str | None, yet_to_come: bool, place: Place, output: Output) -> None:
    """Hand out nothing new, of FAMILY or of all; what runs goes on. `bsched resume` ends it."""
    scheduler = place.scheduler()
    _refuse_where_off(scheduler)
    if family is None:
        scheduler.pause()
        output.thing(scheduler.is_paused(), lambda: "Nothing is handed out; what runs goes on. End it: bsched resume")
        return
    if not yet_to_come:
        scheduler.require_family(family)
    reply = scheduler.pause_family(family=family)
    told = f"{family} ({quantity(reply['tasks'], 'task')}) is not handed out. End it: bsched resume {family}"
    output.thing(reply, lambda: told if reply["changed"] else f"{family} was paused already.")


@click.command()
@click.argument("family", required=False)
@place_options
@json_option
def resume(family: str | None, place: Place, output: Output) -> None:
    """Hand out work again, of FAMILY or of all. Families that are paused by name stay so until they are named."""
    scheduler = place.scheduler()
    if family is not None:
        reply = scheduler.unpause_family(family=family)
        told = f"{family} is handed out again." if reply["changed"] else f"{family} was not paused."
        output.thing(reply, lambda: told)
        return
    _refuse_where_off(scheduler)
    scheduler.unpause()
    output.thing(scheduler.is_paused(), lambda: "Work is handed out again.")
    try:
        paused = scheduler.overview()["paused_families"]
    except UnknownMethod:  # of a luigid, which pauses no family
        return
    if paused:
        output.note(f"Still paused, by name: {', '.join(paused)}")


def _refuse_where_off(scheduler: Any) -> None:
    if not scheduler.is_pause_enabled()["enabled"]:
        raise click.ClickException(OFF)

"""`bsched resource`: the limits of resources, and who holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from bsched.checked_scheduler import missing
from bsched.options.numbers import FiniteNumber
from bsched.options.place import Place, place_options
from bsched.output import Output, Section, column, json_option, number, quantity, text, when

COLUMNS = (column("Resource", "name"), column("Limit", form=number), column("Used", form=number))


@click.group()
def resource() -> None:
    """Show and set the limits of resources. One without a limit of its own has 1."""


NONE = "No resource has a limit of its own or is in use. One without a limit has 1."


@resource.command("list")
@place_options
@json_option
def list_(place: Place, output: Output) -> None:
    """List the resources that have a limit, or are in use."""
    output.rows(place.scheduler().overview()["resources"], COLUMNS, NONE)


@resource.command()
@click.argument("name")
@place_options
@json_option
def show(name: str, place: Place, output: Output) -> None:
    """Show a resource, the running tasks that hold it, and the ready tasks that want it."""
    scheduler = place.scheduler()
    found = scheduler.resource_details(resource=name)
    if found is None:
        names = [each["name"] for each in scheduler.overview()["resources"]]
        raise missing("resource", name, names, "bsched resource list shows all")
    output.sections(found, lambda: _sections(found))


def _sections(found: Mapping[str, Any]) -> Iterator[Section]:
    name = found["name"]
    yield Section(name, [["used", f"{number(found['used'])} of {number(found['limit'])}"]])
    if holders := found["holders"]:
        rows = [
            [each["task_id"], number(each["amount"]), text(each["worker"]), when(each["since"])] for each in holders
        ]
        at_least = "" if found["complete"] else "at least "
        yield Section(
            f"held by {at_least}{quantity(found['n_holders'], 'task')}", [["task", "amount", "worker", "since"], *rows]
        )
    if waiters := found["waiters"]:
        rows = [
            [each["task_id"], number(each["amount"]), number(each["priority"]), when(each["since"])] for each in waiters
        ]
        count = quantity(found["n_waiters"], "ready task")
        yield Section(f"wanted by {count}", [["task", "amount", "priority", "since"], *rows])


@resource.command("set")
@click.argument("name")
@click.argument("limit", type=FiniteNumber(0))
@place_options
@json_option
def set_(name: str, limit: float, place: Place, output: Output) -> None:
    """Set the limit of a resource, for all workers at once. 0 hands out nothing that needs it."""
    scheduler = place.scheduler()
    before = {each["name"] for each in scheduler.overview()["resources"]}
    scheduler.update_resources(**{name: int(limit) if limit == int(limit) else limit})
    output.thing({"name": name, "limit": limit}, lambda: f"{name} has the limit {number(limit)}.")
    if name not in before:
        output.note(f"No resource was called {name} so far; tasks that want it name it in `resources`.")


@resource.command()
@click.argument("name")
@place_options
@json_option
def unset(name: str, place: Place, output: Output) -> None:
    """Take away the limit of a resource, which has 1 then."""
    reply = place.scheduler().remove_resource(resource=name)
    told = "has the limit 1, as any resource without one of its own" if reply["removed"] else "had no limit of its own"
    output.thing(reply, lambda: f"{name} {told}.")

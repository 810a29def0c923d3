"""`bsched resource`: the limits of resources, and who holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from bsched.checked_scheduler import missing
from bsched.options.numbers import FiniteNumber
from bsched.options.place import Place, place_options
from bsched.output import Output, Section, column, json_option, number, quantity, when

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
    """Show a resource, and the running tasks that want it."""
    scheduler = place.scheduler()
    listed = scheduler.overview()["resources"]
    found = next((each for each in listed if each["name"] == name), None)
    if found is None:
        raise missing("resource", name, [each["name"] for each in listed], "bsched resource list shows all")
    held: dict[str, Any] = next((each["running"] for each in scheduler.resource_list() if each["name"] == name), {})
    told = {**found, "running": held}
    output.sections(told, lambda: _sections(told))


def _sections(found: Mapping[str, Any]) -> Iterator[Section]:
    name = found["name"]
    yield Section(name, [["used", f"{number(found['used'])} of {number(found['limit'])}"]])
    if found["running"]:
        rows = [
            [task_id, number(_amount(task, name)), task["worker_running"] or "", when(task["time_running"])]
            for task_id, task in found["running"].items()
        ]
        yield Section(f"held by {quantity(len(rows), 'task')}", [["task", "amount", "worker", "since"], *rows])


def _amount(task: Mapping[str, Any], name: str) -> float:
    held = task["resources_running"]
    return float((task["resources"] if held is None else held).get(name, 0))


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

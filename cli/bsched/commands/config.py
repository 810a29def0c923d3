"""`bsched config`: read and change a namespace's options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from broker_sched import luigi_config
from broker_sched.config import OPTIONS
from broker_sched.this_user import user_at_host
from bsched.checked_scheduler import nearest
from bsched.options.luigi_translation import sections_of_tasks, translated
from bsched.options.place import Place, place_options
from bsched.options.settings import RESOURCE, from_arguments
from bsched.output import NONE, Column, Output, column, json_option, when


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _set_by(each: Mapping[str, Any]) -> str:
    if each["set_at"] is None:
        return NONE if each["value"] == each["default"] else "not known"
    return f"{each['set_by'] or 'not told'}, {when(each['set_at'])}"


COLUMNS = (
    column("Option", "name"),
    column("Value", form=_text),
    Column("Default", lambda each: NONE if each["value"] == each["default"] else _text(each["default"])),
    Column("Set by", _set_by),
)


TRANSLATION = (
    column("Section", form=lambda section: f"[{section}]"),
    column("Option"),
    column("Value"),
    column("Taken by", form=lambda takers: ", ".join(takers) or NONE),
    Column("Here", lambda each: each["problem"] or each["here"] or each["instead"] or NONE),
)


@click.group(invoke_without_command=True)
@place_options
@json_option
@click.pass_context
def config(context: click.Context, place: Place, output: Output) -> None:
    """Show the namespace's options, or get or set some. All its processes follow at once.

    DEFAULT is shown where an option has another value, with who has set it last.
    """
    if context.invoked_subcommand is None:
        output.rows(place.scheduler().option_list(), COLUMNS)


@config.command()
@click.argument("name", callback=lambda *given: _known(given[2]))
@place_options
@json_option
def get(name: str, place: Place, output: Output) -> None:
    """Print the value that an option has."""
    found = next(each for each in place.scheduler().option_list() if each["name"] == name)
    output.thing(found, lambda: _text(found["value"]))


@config.command(name="set")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@place_options
@json_option
def set_(settings: tuple[str, ...], place: Place, output: Output) -> None:
    """Change options (retry_delay=60) and resource limits (resources.db=3)."""
    given = from_arguments(settings)
    scheduler = place.scheduler(may_be_new=True)
    found = scheduler.update_options(options=given.options, by=user_at_host()) if given.options else []
    if given.resources:
        scheduler.update_resources(**given.resources)
    _show([*found, *({"name": RESOURCE + name, "value": limit} for name, limit in given.resources.items())], output)


@config.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", callback=lambda *given: [*map(_known, given[2])])
@place_options
@json_option
def unset(names: list[str], place: Place, output: Output) -> None:
    """Give options their defaults again."""
    _show(place.scheduler().update_options(options=dict.fromkeys(names), by=user_at_host()), output)


@config.command(name="from-luigi")
@click.argument("file", required=False, metavar="[FILE]")
@json_option
def from_luigi(file: str | None, output: Output) -> None:
    """Show what of a luigi.cfg (or luigi.toml) becomes what here.

    Without FILE it is the configuration that luigi would find. The commands read it as it is: TAKEN BY says which. HERE
    is how to say it without the file, or what to do about an option that nobody takes.
    """
    found = luigi_config.read_file(file) if file else luigi_config.read()
    rows = [each._asdict() for each in translated(found)]
    told = "no options of luigi's own are set" if found.files else "luigi would find no configuration"
    output.rows(rows, TRANSLATION, nothing=f"{', '.join(found.files)}: {told}." if found.files else f"Here {told}.")
    for remark in found.remarks:
        output.note(remark)
    if others := sections_of_tasks(found):
        output.note(f"Your tasks read the other sections by themselves: {', '.join(f'[{each}]' for each in others)}.")


def _known(name: str) -> str:
    if name not in OPTIONS:
        raise click.UsageError(f"There is no option {name!r}. {nearest(name, OPTIONS, 'Known: ' + ', '.join(OPTIONS))}")
    return name


def _show(changed: Iterable[Mapping[str, Any]], output: Output) -> None:
    for each in changed:
        output.thing(each, lambda each=each: f"{each['name']} = {_text(each['value'])}")  # type: ignore[misc]

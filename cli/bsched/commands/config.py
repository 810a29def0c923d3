"""`bsched config`: read and change a namespace's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from broker_sched.config import OPTIONS
from bsched.checked_scheduler import nearest
from bsched.options.place import Place, redis_options
from bsched.options.settings import from_arguments
from bsched.output import Output, json_option


@click.group(invoke_without_command=True)
@redis_options
@json_option
@click.pass_context
def config(context: click.Context, place: Place, output: Output) -> None:
    """Show the namespace's options, or get or set some. All its processes follow at once."""
    if context.invoked_subcommand is None:
        _show(_read(place), output)


@config.command()
@click.argument("name")
@redis_options
@json_option
def get(name: str, place: Place, output: Output) -> None:
    """Print the value that an option has."""
    if name not in OPTIONS:
        raise click.UsageError(f"There is no option {name!r}. {nearest(name, OPTIONS, 'Known: ' + ', '.join(OPTIONS))}")
    value = _read(place)[name]
    output.thing(value, lambda: _text(value))


@config.command(name="set")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@redis_options
@json_option
def set_(settings: tuple[str, ...], place: Place, output: Output) -> None:
    """Change options (retry_delay=60) and resource limits (resources.db=3)."""
    given = from_arguments(settings)
    stored = asdict(place.made(resources=given.resources, **given.options).config())
    changed = {name: stored[name] for name in given.options}
    _show({**changed, **{f"resources.{name}": limit for name, limit in given.resources.items()}}, output)


def _read(place: Place) -> dict[str, Any]:
    return asdict(place.existing().config())


def _show(values: Mapping[str, Any], output: Output) -> None:
    output.thing(values, lambda: [f"{name} = {_text(value)}" for name, value in values.items()])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""`bsched config`: read and change a namespace's options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from broker_sched.config import OPTIONS
from bsched.options.namespace import checked_namespace, namespace_options, open_existing, open_scheduler
from bsched.options.settings import from_arguments
from bsched.terminal import echo

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _also_here(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """`bsched config set … --redis URL` is as good as `bsched config --redis URL set …`."""
    if value is not None:
        redis_url, namespace = context.obj
        context.obj = (
            (value, namespace)
            if parameter.name == "redis"
            else (redis_url, checked_namespace(context, parameter, value))
        )


_redis = click.option("--redis", metavar="URL", expose_value=False, callback=_also_here, help="Where Redis is.")
_namespace = click.option("--namespace", expose_value=False, callback=_also_here, help="Which scheduler's options.")


@click.group(invoke_without_command=True)
@namespace_options
@_as_json
@click.pass_context
def config(context: click.Context, redis_url: str | None, namespace: str, as_json: bool) -> None:
    """Show the namespace's options, or get or set some. All its processes follow at once."""
    context.obj = (redis_url, namespace)
    if context.invoked_subcommand is None:
        _show(_read(context), as_json)


@config.command()
@click.argument("name")
@_redis
@_namespace
@_as_json
@click.pass_context
def get(context: click.Context, name: str, as_json: bool) -> None:
    """Print the value that an option has."""
    if name not in OPTIONS:
        raise click.UsageError(f"There is no option {name!r}. Known: {', '.join(sorted(OPTIONS))}.")
    value = _read(context)[name]
    echo(json.dumps(value) if as_json else _text(value))


@config.command(name="set")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@_redis
@_namespace
@_as_json
@click.pass_context
def set_(context: click.Context, settings: tuple[str, ...], as_json: bool) -> None:
    """Change options (retry_delay=60) and resource limits (resources.db=3)."""
    given = from_arguments(settings)
    redis_url, namespace = context.obj
    scheduler = open_scheduler(redis_url, namespace, resources=given.resources, **given.options)
    stored = asdict(scheduler.config())
    scheduler.close()
    changed = {name: stored[name] for name in given.options}
    _show({**changed, **{f"resources.{name}": limit for name, limit in given.resources.items()}}, as_json)


def _read(context: click.Context) -> dict[str, Any]:
    redis_url, namespace = context.obj
    scheduler = open_existing(redis_url, namespace)
    stored = asdict(scheduler.config())
    scheduler.close()
    return stored


def _show(values: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        echo(json.dumps(values))
    for name, value in {} if as_json else values.items():
        echo(f"{name} = {_text(value)}")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

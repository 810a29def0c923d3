"""`bsched redis`: the private Redis behind `local:`, and where things are in any Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from broker_sched.redis_backend import embedded_server as embedded
from bsched.commands.redis_acl import acl
from bsched.commands.redis_keys import keys
from bsched.exit_codes import DONE, NOT_FOUND
from bsched.output import Output, json_option

F = TypeVar("F", bound=Callable[..., Any])

_data_dir: Callable[[F], F] = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it keeps its data; default: BSCHED_DATA_DIR, else the user's data directory.",
)


@click.group()
def redis() -> None:
    """The private Redis server behind local:, which starts by itself when first used; and where things are in Redis."""


redis.add_command(keys)
redis.add_command(acl)


@redis.command()
@_data_dir
@json_option
def start(data_dir: Path | None, output: Output) -> None:
    """Start the private Redis, unless it runs, and print its URL."""
    url = embedded.start(data_dir)
    output.thing({"url": url}, lambda: url)


@redis.command()
@_data_dir
@json_option
def stop(data_dir: Path | None, output: Output) -> None:
    """Stop the private Redis; its data stay on disk."""
    stopped = embedded.stop(data_dir)
    output.thing({"stopped": stopped}, lambda: "Stopped; its data are on disk." if stopped else "It does not run.")


@redis.command()
@_data_dir
@json_option
@click.pass_context
def status(context: click.Context, data_dir: Path | None, output: Output) -> None:
    """Say whether it runs, and where; as JSON null when it does not. Exit code 1 when it does not."""
    found = embedded.status(data_dir)
    output.thing(found, lambda: [f"{name} = {value}" for name, value in (found or {}).items()])
    if found is None:
        output.note("It does not run; it starts when first used, or with `bsched redis start`.")
    context.exit(DONE if found else NOT_FOUND)

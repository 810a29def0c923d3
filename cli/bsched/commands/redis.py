"""`bsched redis`: the private Redis behind `local:`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from broker_sched.redis_backend import embedded_server as embedded
from bsched.terminal import echo

F = TypeVar("F", bound=Callable[..., Any])

_data_dir: Callable[[F], F] = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it keeps its data; default: BSCHED_DATA_DIR, else the user's data directory.",
)


@click.group()
def redis() -> None:
    """The private Redis server behind local:, which starts by itself when first used."""


@redis.command()
@_data_dir
def start(data_dir: Path | None) -> None:
    """Start the private Redis, unless it runs, and print its URL."""
    echo(embedded.start(data_dir))


@redis.command()
@_data_dir
def stop(data_dir: Path | None) -> None:
    """Stop the private Redis; its data stay on disk."""
    stopped = embedded.stop(data_dir)
    echo("Stopped; its data are on disk." if stopped else "It does not run.")


@redis.command()
@_data_dir
@click.option("--json", "as_json", is_flag=True, help="Print JSON; null when it does not run.")
@click.pass_context
def status(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """Say whether it runs, and where. Exit code 1 when it does not."""
    found = embedded.status(data_dir)
    if as_json:
        echo(json.dumps(found))
    elif found is None:
        echo("It does not run; it starts when first used, or with `bsched redis start`.")
    for name, value in {} if as_json or found is None else found.items():
        echo(f"{name} = {value}")
    context.exit(0 if found else 1)

"""`bsched worker disable` and so on: what operators do with the workers of a fleet."""

from __future__ import annotations

import click

from bsched.options.place import Place, place_options
from bsched.output import Output, json_option


@click.command()
@click.argument("worker")
@place_options
@json_option
def disable(worker: str, place: Place, output: Output) -> None:
    """Give a worker no more work; what it runs, it may finish. It stays so until it is started anew."""
    place.scheduler().disable_worker(worker=worker)
    output.thing({"worker": worker, "state": "disabled"}, lambda: f"{worker} gets no more work; what it runs goes on.")


@click.command("set-processes")
@click.argument("worker")
@click.argument("n", type=click.IntRange(1))
@place_options
@json_option
def set_processes(worker: str, n: int, place: Place, output: Output) -> None:
    """Ask a worker to run N tasks at once from now on. It is told with its next heartbeat, within a second or so."""
    place.scheduler().set_worker_processes(worker=worker, n=n)
    output.thing({"worker": worker, "slots": n}, lambda: f"Asked {worker} to run {n} tasks at once.")


COMMANDS = {str(each.name): each for each in (disable, set_processes)}

"""`bsched task`: stop a running task, and show what it wrote."""

from __future__ import annotations

import time
from typing import Any

import click

from bsched.exit_codes import NOT_FOUND, REFUSED
from bsched.options.place import Place, place_options
from bsched.output import Output, json_option, print_json

LOOK_SECONDS = 1.0  # between two looks at a log
GOES_ON = ("PENDING", "RUNNING", "BATCH_RUNNING")


@click.group()
def task() -> None:
    """Stop a running task, or show what it wrote."""


@task.command()
@click.argument("task_id")
@click.option("--disable", is_flag=True, help="It is DISABLED then, and not tried again; without this, FAILED.")
@place_options
@json_option
def stop(task_id: str, disable: bool, place: Place, output: Output) -> None:
    """End a running task: its worker terminates it, and kills it after a grace. Exits with 1 when nobody runs it.

    Workers of stock Luigi can't do that.
    """
    reply = place.scheduler().stop_task(task_id=task_id, disable=disable)
    worker = reply["worker"]
    output.thing(reply, lambda: () if worker is None else f"Asked {worker} to stop {task_id}.")
    if worker is None:
        hint = place.calling("task_search", task_str=task_id)
        output.note(f"{task_id} does not run. Its status, where it is known: {hint}")
        click.get_current_context().exit(REFUSED)


@task.command()
@click.argument("task_id")
@click.option("--follow", "-f", is_flag=True, help="Go on until the task has ended.")
@place_options
@json_option
def logs(task_id: str, follow: bool, place: Place, output: Output) -> None:
    """What the task's latest run wrote: the last 16,384 characters, kept for a day. Exits with 1 when there is nothing.

    Workers keep it that capture output, as bsched worker does; it may be some seconds old.
    """
    if follow and output.as_json:
        raise click.UsageError("Give one of --follow and --json.")
    scheduler = place.scheduler()
    found = scheduler.task_log(task_id=task_id)
    if output.as_json:
        print_json(found)
    else:
        _write(found["log"] or "")
    is_over = not follow
    while not is_over:
        is_over = found["status"] not in GOES_ON  # its last words may come a moment after its status
        time.sleep(LOOK_SECONDS)
        found = _show_more(found, scheduler.task_log(task_id=task_id))
    if found["log"] is None:
        output.note(f"Nothing is kept of {task_id}. More, maybe: {place.calling('fetch_error', task_id=task_id)}")
        click.get_current_context().exit(NOT_FOUND)


def _show_more(seen: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was written since; all of it of a new run."""
    fresh = found["size"] - (seen["size"] if found["run"] == seen["run"] else 0)
    if fresh > 0:
        _write((found["log"] or "")[-fresh:])
    return found


def _write(log: str) -> None:
    """What a task wrote, as it wrote it: with its colours, in pieces that end anywhere."""
    click.echo(log, nl=False)

"""`bsched task`: tasks as they stand, why, what they wrote; and what is done with them."""

from __future__ import annotations

import time
from typing import Any

import click

from bsched.commands.task_changes import COMMANDS as CHANGES
from bsched.commands.task_list import deps, list_, show
from bsched.commands.task_message import message
from bsched.exit_codes import NOT_FOUND
from bsched.options.place import Place, place_options
from bsched.outages import ask_patiently
from bsched.output import Output, json_option, print_json
from bsched.signals import Interruption
from bsched.why_text import why_lines

LOOK_SECONDS = 1.0  # between two looks at a log
GOES_ON = ("PENDING", "RUNNING", "BATCH_RUNNING")


@click.group()
def task() -> None:
    """Look at tasks, see why they don't run, retry, stop and change them."""


for command in (list_, show, deps, message, *CHANGES):
    task.add_command(command)


@task.command()
@click.argument("task_id")
@place_options
@json_option
def why(task_id: str, place: Place, output: Output) -> None:
    """Say why a task does not run, to the root cause, and with which command it is mended.

    Exits with 1 when there is no such task; why it was removed is told as long as that is known.
    """
    scheduler = place.scheduler()
    reply = scheduler.why(task_id=task_id)
    output.thing(reply, lambda: why_lines(reply))
    if reply["code"] == "unknown":
        scheduler.require_tasks([task_id])


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
    if follow:
        interruption = Interruption()
        interruption.take()
        try:
            found = _follow(scheduler, task_id, found)
        except KeyboardInterrupt:
            interruption.leave()
    if found["log"] is None:
        output.note(f"Nothing is kept of {task_id}. More, maybe: {place.command('task', 'show', task_id)}")
        click.get_current_context().exit(NOT_FOUND)


def _follow(scheduler: Any, task_id: str, found: dict[str, Any]) -> dict[str, Any]:
    """Show what is written, until the task has ended. Returns the last that was found."""
    is_over = False
    while not is_over:
        is_over = found["status"] not in GOES_ON  # its last words may come a moment after its status
        time.sleep(LOOK_SECONDS)
        found = _show_more(found, ask_patiently(lambda: scheduler.task_log(task_id=task_id)))
    return found


def _show_more(seen: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was written since; all of it of a new run."""
    fresh = found["size"] - (seen["size"] if found["run"] == seen["run"] else 0)
    if fresh > 0:
        _write((found["log"] or "")[-fresh:])
    return found


def _write(log: str) -> None:
    """What a task wrote, as it wrote it: with its colours, in pieces that end anywhere."""
    click.echo(log, nl=False)

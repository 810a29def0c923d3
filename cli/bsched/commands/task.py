"""`bsched task`: stop a running task, and show what it wrote."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import Any

import click

from bsched.options.namespace import calling, namespace_options, reach_scheduler, url_option
from bsched.terminal import echo

NOT_RUNNING = NO_LOG = 1  # exit codes
LOOK_SECONDS = 1.0  # between two looks at a log
GOES_ON = ("PENDING", "RUNNING", "BATCH_RUNNING")


@click.group()
def task() -> None:
    """Stop a running task, or show what it wrote."""


@task.command()
@click.argument("task_id")
@click.option("--disable", is_flag=True, help="It is DISABLED then, and not tried again; without this, FAILED.")
@namespace_options
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON on one line.")
def stop(task_id: str, disable: bool, redis_url: str | None, namespace: str, url: str | None, as_json: bool) -> None:
    """End a running task: its worker terminates it, and kills it after a grace. Exits with 1 when nobody runs it.

    Workers of stock Luigi can't do that.
    """
    with closing(reach_scheduler(url, redis_url, namespace)) as scheduler:
        reply = scheduler.stop_task(task_id=task_id, disable=disable)
    worker = reply["worker"]
    if as_json:
        echo(json.dumps(reply, ensure_ascii=False))
    elif worker is None:
        hint = calling("task_search", task_str=task_id)
        echo(f"{task_id} does not run. Its status, where it is known: {hint}", err=True)
    else:
        echo(f"Asked {worker} to stop {task_id}.")
    if worker is None:
        click.get_current_context().exit(NOT_RUNNING)


@task.command()
@click.argument("task_id")
@click.option("--follow", "-f", is_flag=True, help="Go on until the task has ended.")
@namespace_options
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON on one line.")
def logs(task_id: str, follow: bool, redis_url: str | None, namespace: str, url: str | None, as_json: bool) -> None:
    """What the task's latest run wrote: the last 16,384 characters, kept for a day. Exits with 1 when there is nothing.

    Workers keep it that capture output, as bsched worker does; it may be some seconds old.
    """
    if follow and as_json:
        raise click.UsageError("Give one of --follow and --json.")
    with closing(reach_scheduler(url, redis_url, namespace)) as scheduler:
        found = scheduler.task_log(task_id=task_id)
        if as_json:
            echo(json.dumps(found, ensure_ascii=False))
        else:
            click.echo(found["log"] or "", nl=False)
        is_over = not follow
        while not is_over:
            is_over = found["status"] not in GOES_ON  # its last words may come a moment after its status
            time.sleep(LOOK_SECONDS)
            found = _show_more(found, scheduler.task_log(task_id=task_id))
    if found["log"] is None:
        echo(f"Nothing is kept of {task_id}. More, maybe: {calling('fetch_error', task_id=task_id)}", err=True)
        click.get_current_context().exit(NO_LOG)


def _show_more(seen: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was written since; all of it of a new run."""
    fresh = found["size"] - (seen["size"] if found["run"] == seen["run"] else 0)
    if fresh > 0:
        click.echo((found["log"] or "")[-fresh:], nl=False)
    return found

"""`bsched task`: see to a single task."""

from __future__ import annotations

import json
from contextlib import closing

import click

from bsched.namespace import namespace_options, reach_scheduler, url_option

NOT_RUNNING = 1  # exit code


@click.group()
def task() -> None:
    """See to a single task."""


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
        click.echo(json.dumps(reply, ensure_ascii=False))
    elif worker is None:
        click.echo(f"{task_id} does not run; bsched call task_list search={task_id} shows what it does.", err=True)
    else:
        click.echo(f"Asked {worker} to stop {task_id}.")
    if worker is None:
        click.get_current_context().exit(NOT_RUNNING)

"""`bsched call`: one call of any method, straight to Redis or to a server."""

from __future__ import annotations

import json
from typing import Any

import click

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check
from bsched.checked_scheduler import nearest
from bsched.options.place import Place, place_options
from bsched.output import Output, json_option
from bsched.terminal import echo


@click.command()
@click.argument("method")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@place_options
@json_option
def call(method: str, arguments: tuple[str, ...], place: Place, output: Output) -> None:
    """Call METHOD. A VALUE is JSON where it can be read as such, else text. Exits with 1 when a task, a worker or a
    status that it names is not there. The error of fetch_error is printed as text, the whole reply with --json.

    \b
    bsched call get_work worker=me current_tasks='[]'
    bsched call --scheduler-url http://127.0.0.1:8082 task_list status=PENDING
    """
    if method not in METHODS:
        known = f"Known: {', '.join(sorted(METHODS))}"
        raise click.UsageError(f"There is no method {method!r}. {nearest(method, METHODS, known)}")
    given = dict(_pair(argument) for argument in arguments)
    if place.url is None:
        check(METHODS[method], given)  # what is wrong is told before Redis is asked
    result = getattr(place.scheduler(), method)(**given)
    if method == "fetch_error" and not output.as_json:
        _show_error(given.get("task_id"), result["error"])
    else:
        output.thing(result, lambda: json.dumps(result, ensure_ascii=False, indent=2))


def _show_error(task_id: Any, error: str | None) -> None:
    """The error as text. Luigi's worker sends it as JSON, a text within a text."""
    if not error:
        return echo(f"No error is kept of {task_id}: bsched call task_search task_str={task_id}", err=True)
    try:
        text = json.loads(error)
    except (ValueError, RecursionError):
        text = error
    echo(text if isinstance(text, str) else error)


def _pair(argument: str) -> tuple[str, Any]:
    name, equals, text = argument.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{argument!r} is not KEY=VALUE.")
    try:
        return name, json.loads(text)
    except (ValueError, RecursionError):
        return name, text

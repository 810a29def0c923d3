"""`bsched call`: one call of any method, straight to Redis or to a server."""

from __future__ import annotations

import difflib
import json
from contextlib import closing
from typing import Any

import click

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check
from bsched.options.namespace import namespace_options, reach_scheduler, url_option
from bsched.terminal import echo


@click.command()
@click.argument("method")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@namespace_options
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON on one line.")
def call(
    method: str, arguments: tuple[str, ...], redis_url: str | None, namespace: str, url: str | None, as_json: bool
) -> None:
    """Call METHOD. A VALUE is JSON where it can be read as such, else text. Exits with 1 when a task, a worker or a
    status that it names is not there. The error of fetch_error is printed as text, the whole reply with --json.

    \b
    bsched call get_work worker=me current_tasks='[]'
    bsched call --url http://127.0.0.1:8082 task_list status=PENDING
    """
    if method not in METHODS:
        close = difflib.get_close_matches(method, METHODS, 1)
        hint = f" Did you mean {close[0]}?" if close else f" Known: {', '.join(sorted(METHODS))}."
        raise click.UsageError(f"There is no method {method!r}.{hint}")
    given = dict(_pair(argument) for argument in arguments)
    if url is None:
        check(METHODS[method], given)  # what is wrong is told before Redis is asked
    with closing(reach_scheduler(url, redis_url, namespace)) as scheduler:
        result = getattr(scheduler, method)(**given)
    if method == "fetch_error" and not as_json:
        _show_error(given.get("task_id"), result["error"])
    else:
        echo(json.dumps(result, ensure_ascii=False, indent=None if as_json else 2))


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

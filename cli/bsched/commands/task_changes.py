"""`bsched task retry` and so on: one thing done with tasks that are named, or that filters choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from bsched.changes import AT_ONCE, FAILED, RETRY, STOP, Action, Choice, change
from bsched.exit_codes import REFUSED
from bsched.options.filters import filter_options
from bsched.options.place import Place, place_options
from bsched.output import Output, json_option

F = TypeVar("F", bound=Callable[..., Any])
NAMED_OR_CHOSEN = """

    TASK_IDs name them, or filters choose them{chosen}. Many are changed after a question, or with --yes. Exits with 1
    when one that is named is not there, or can't be changed: the reasons are told.
    """


def _help(told: str, action: Action) -> str:
    """The help of a command that does this: what it does, and with which tasks."""
    among = ", ".join(each for each in action.statuses if each)
    return told + NAMED_OR_CHOSEN.format(
        chosen=f", of those that are {among} unless --status is given" if among else ""
    )


def chosen_tasks(function: F) -> F:
    """Add the arguments and options that choose tasks and say how they are changed, and where."""
    for decorate in (
        json_option,
        place_options,
        click.option(
            "--limit",
            type=click.IntRange(1),
            default=AT_ONCE,
            show_default=True,
            help="So many at the most: when more are chosen, nothing is changed.",
        ),
        click.option("--yes", "-y", is_flag=True, help="Don't ask."),
        click.option("--dry-run", is_flag=True, help="Only say what would be changed, and why others would not."),
        filter_options,
        click.argument("task_ids", nargs=-1, metavar="[TASK_ID]..."),
    ):
        function = decorate(function)
    return function


def _command(action: Action, help_: str) -> click.Command:
    @click.command(action.name, help=_help(help_, action))
    @chosen_tasks
    def command(task_ids: tuple[str, ...], filters: dict[str, Any], place: Place, output: Output, **how: Any) -> None:
        change(action, Choice(task_ids, filters), place.scheduler(), output, **how)

    return command


@click.command()
@click.option("--downstream", is_flag=True, help="Also what depends on them and is FAILED or DISABLED.")
@click.option("--upstream-failed", is_flag=True, help="Also what they depend on that is FAILED or DISABLED.")
@chosen_tasks
def retry(
    task_ids: tuple[str, ...],
    filters: dict[str, Any],
    downstream: bool,
    upstream_failed: bool,
    place: Place,
    output: Output,
    **how: Any,
) -> None:
    """Run FAILED and DISABLED tasks again at once. A disable is lifted, whoever made it."""
    choice = Choice(task_ids, filters, downstream, upstream_failed)
    change(RETRY, choice, place.scheduler(), output, **how)


@click.command()
@click.option("--disable", is_flag=True, help="It is DISABLED then, and not tried again; without this, FAILED.")
@chosen_tasks
def stop(
    task_ids: tuple[str, ...], filters: dict[str, Any], disable: bool, place: Place, output: Output, **how: Any
) -> None:
    """End running tasks: their workers terminate them, and kill them after a grace. Workers of stock Luigi can't."""
    if len(task_ids) == 1 and not filters and not how["dry_run"]:
        _stop_one(task_ids[0], disable, place, output)
    elif disable:
        raise click.UsageError("--disable goes with one task that is named.")
    else:
        change(STOP, Choice(task_ids, filters), place.scheduler(), output, **how)


for each, action in ((retry, RETRY), (stop, STOP)):
    each.help = _help(str(each.help), action)


def _stop_one(task_id: str, disable: bool, place: Place, output: Output) -> None:
    reply = place.scheduler().stop_task(task_id=task_id, disable=disable)
    worker = reply["worker"]
    output.thing(reply, lambda: () if worker is None else f"Asked {worker} to stop {task_id}.")
    if worker is None:
        output.note(f"{task_id} does not run. How it stands: {place.command('task', 'show', task_id)}")
        click.get_current_context().exit(REFUSED)


COMMANDS = (
    retry,
    stop,
    _command(
        Action("forgive", "PENDING again, their failures forgotten", FAILED),
        "Run FAILED and DISABLED tasks again at once, and forget their failures, so that retry_count begins anew.",
    ),
    _command(
        Action("enable", "enabled", ["DISABLED"]),
        "Let DISABLED tasks be FAILED, their failures forgotten; they are retried after retry_delay.",
    ),
    _command(
        Action("disable", "DISABLED", ["PENDING", "FAILED", "UNKNOWN"]),
        "Have nobody run these tasks until retry, forgive, enable or done, whoever schedules them again.",
    ),
    _command(
        Action("done", "DONE", ["PENDING", "RUNNING", "FAILED", "DISABLED", "UNKNOWN"]),
        "Take tasks for DONE: what waits for them goes on.",
    ),
    _command(
        Action("remove", "removed"),
        "Forget tasks. Not those that run, nor those that a task needs which is not DONE.",
    ),
)

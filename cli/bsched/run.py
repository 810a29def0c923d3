"""`bsched run`: schedule a task with all it needs, and run it here."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import traceback
from typing import Any

import click

from broker_sched.worker.summary import ReturnCodes, return_code
from broker_sched.worker.worker import Worker
from bsched.progress import progress
from bsched.reaching import import_path, reach, scheduler_options, start_logging, worker_settings
from bsched.task_options import describe_options, make_task, task_class

INTERRUPTED = 130
UNPARSED = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@click.command(context_settings=UNPARSED)
@click.argument("module", required=False)
@click.argument("task", required=False)
@click.option("--help", "-h", "wants_help", is_flag=True, help="This page; after a task, its options.")
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="So many tasks at once.")
@scheduler_options
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter whose option means something here."
)
@click.option("--parallel-scheduling", is_flag=True, help="Ask several tasks at once whether they are complete.")
@click.option("--retcode", "retcodes", multiple=True, metavar="NAME=CODE", help="An exit code, such as task_failed=1.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on one line.")
@click.option("--no-progress", is_flag=True, help="No live line on a terminal.")
@click.pass_context
def run(context: click.Context, /, module: str | None, task: str | None, wants_help: bool, **options: Any) -> None:
    """Run TASK of MODULE with all it needs; its parameters are options: --date 2024-03-01.

    \b
    Exit codes, Luigi's names for --retcode: 0 all is done, 10 already_running, 20 missing_data, 25 not_run,
    30 task_failed, 35 scheduling_error, 40 unhandled_exception; 2 wrong usage, 130 interrupted.
    """
    if module is None or task is None:
        if not wants_help:
            raise click.UsageError("Give a module and a task: bsched run MODULE TASK [--name value]...")
        click.echo(context.get_help())
        return
    codes = _codes(options["retcodes"])
    cls = task_class(_imported(module, codes), task)
    if wants_help:
        click.echo(describe_options(cls))
        return
    made = make_task(cls, context.args, options["params"])
    settings = worker_settings(options["settings"], os.environ)
    reached = reach(options["scheduler_url"], options["redis_url"], options["namespace"], options["local_scheduler"])
    start_logging(options["log_level"], "info")
    worker = Worker(reached.scheduler, worker_processes=options["workers"], **settings)
    try:
        with progress(worker, not options["no_progress"]), worker:
            worker.add(made, multiprocess=options["parallel_scheduling"])
            worker.run()
    except KeyboardInterrupt:
        click.echo("Interrupted: task processes were ended, their tasks will fail.", err=True)
        context.exit(INTERRUPTED)
    summary = worker.summary()
    code = return_code(summary, codes)
    click.echo(json.dumps({**summary.as_dict(), "exit_code": code}) if options["as_json"] else summary.text)
    context.exit(code)


def _imported(name: str, codes: ReturnCodes) -> Any:
    """The user's module. What it raises is shown as it is."""
    import_path()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise click.UsageError(f"There is no module {name} here or on PYTHONPATH.") from None
        _show_import_error(name)
    except Exception:
        _show_import_error(name)
    raise click.exceptions.Exit(codes.unhandled_exception)


def _show_import_error(name: str) -> None:
    click.echo(f"The module {name} can't be imported:", err=True)
    click.echo(traceback.format_exc(), err=True)


def _codes(pairs: tuple[str, ...]) -> ReturnCodes:
    names = [each.name for each in dataclasses.fields(ReturnCodes)]
    found = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in names or not text.isdigit() or int(text) > 255:
            raise click.UsageError(f"--retcode {pair}: write NAME=CODE, a code up to 255; names: {', '.join(names)}.")
        found[name] = int(text)
    return ReturnCodes(**found)

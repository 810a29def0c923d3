"""`bsched run`: schedule a task with all it needs, and run it here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import click

from broker_sched.model.contract import TaskLike
from broker_sched.worker import interrupts
from broker_sched.worker.summary import ExecutionSummary, ReturnCodes, return_code
from broker_sched.worker.worker import Worker
from bsched.local_mails import mails_of_local
from bsched.progress import is_shown, progress
from bsched.reaching import reach, scheduler_options, start_logging, worker_settings
from bsched.task_options import describe_options, make_task
from bsched.wanted import UNPARSED, failures_told, shows_page, task_arguments, wanted_class

STDOUT, STDERR = 1, 2  # file descriptors
INTERRUPTED = 130


@click.command(context_settings=UNPARSED)
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="So many tasks at once.")
@task_arguments
@scheduler_options
@click.option("--retcode", "retcodes", multiple=True, metavar="NAME=CODE", help="An exit code, such as task_failed=1.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on one line.")
@click.option("--no-progress", is_flag=True, help="No live line on a terminal.")
@click.pass_context
def run(context: click.Context, /, **options: Any) -> None:
    """Run TASK of MODULE with all it needs; its parameters are options: --date 2024-03-01.

    \b
    Exit codes, Luigi's names for --retcode: 0 all is done, 10 already_running, 20 missing_data, 25 not_run,
    30 task_failed, 35 scheduling_error, 40 unhandled_exception; 2 wrong usage, 130 interrupted.
    """
    if shows_page(context, options):
        return
    codes = _codes(options["retcodes"])
    with _result_alone_on_stdout(options["as_json"]):
        cls = wanted_class(options, codes.unhandled_exception)
        is_run = not options["wants_help"]
        summary = _carried_out(make_task(cls, context.args, options["params"]), codes, options) if is_run else None
    if summary is None:
        click.echo(describe_options(cls))
        return
    code = return_code(summary, codes)
    click.echo(json.dumps({**summary.as_dict(), "exit_code": code}) if options["as_json"] else summary.text)
    context.exit(code)


def _carried_out(task: TaskLike, codes: ReturnCodes, options: Mapping[str, Any]) -> ExecutionSummary:
    """Schedule and run it."""
    settings = worker_settings(options["settings"], os.environ)
    is_live = not options["no_progress"]
    start_logging(options["log_level"], "warning" if is_shown(is_live) else "info")
    interruption = Interruption()
    signal.signal(signal.SIGINT, interruption.handle)
    try:
        with failures_told(codes.unhandled_exception):
            place = (options["scheduler_url"], options["redis_url"], options["namespace"], options["local_scheduler"])
            scheduler = reach(*place).scheduler
            worker = Worker(scheduler, worker_processes=options["workers"], **settings)
            with mails_of_local(scheduler, options["local_scheduler"]), progress(worker, is_live), worker:
                interruption.kills = True  # what is running now only asks whether tasks are complete
                worker.add(task, multiprocess=options["parallel_scheduling"])
                interruption.kills = False
                worker.run()
    except KeyboardInterrupt:
        click.echo("Interrupted: task processes were ended, their tasks given back.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    return worker.summary()


class Interruption:
    """What to do at a signal that ends a worker now: the worker terminates its task processes; at the next, kills them.

    Ctrl-C reaches the whole process group. Processes forked from this one pass over it, since this one ends them.
    """

    def __init__(self) -> None:
        self.kills = False  # whether to kill all processes at once
        self._pid = os.getpid()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal handler. Raises KeyboardInterrupt, or has the worker do it where that is safe."""
        if os.getpid() != self._pid:
            return
        if self.kills:
            for process in multiprocessing.active_children():
                process.kill()
        if not interrupts.hold(frame):
            raise KeyboardInterrupt


@contextlib.contextmanager
def _result_alone_on_stdout(is_wanted: bool) -> Iterator[None]:
    """What the user's module and tasks print goes to stderr, whatever they print with, so that stdout is the JSON."""
    if not is_wanted:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, STDOUT)
        os.close(kept)


def _codes(pairs: tuple[str, ...]) -> ReturnCodes:
    names = [each.name for each in dataclasses.fields(ReturnCodes)]
    found = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in names or not text.isdecimal() or int(text) > 255:
            raise click.UsageError(f"--retcode {pair}: write NAME=CODE, a code up to 255; names: {', '.join(names)}.")
        found[name] = int(text)
    return ReturnCodes(**found)

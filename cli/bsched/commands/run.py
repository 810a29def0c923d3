"""`bsched run`: schedule a task with all it needs, and run it here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from broker_sched import luigi_config
from broker_sched.log_lines import JSON, note_process
from broker_sched.luigi_config import LuigiConfig
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.default_scheduler import number, truth
from broker_sched.worker.summary import ExecutionSummary, ReturnCodes, return_code
from broker_sched.worker.worker import Worker
from bsched.local_mails import mails_of_local
from bsched.logs import start_logging
from bsched.options.scheduler import (
    is_direct,
    is_local,
    mail_settings,
    reach,
    scheduler_options,
    tell_unhonoured,
    worker_settings,
)
from bsched.options.task import UNPARSED, failures_told, requested_task, scheduling, task_arguments
from bsched.options.task_parameters import task_of
from bsched.progress import is_shown, progress
from bsched.signals import Interruption
from bsched.terminal import echo

STDOUT, STDERR = 1, 2  # file descriptors
log = logging.getLogger("bsched.worker")


@click.command(context_settings=UNPARSED)
@click.option("--workers", type=click.IntRange(0), help="So many tasks at once; 1 if not given.")
@click.option("--assistant", is_flag=True, help="Run what others have scheduled, too.")
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
    30 task_failed, 35 scheduling_error, 40 unhandled_exception; 2 wrong usage, 3 nobody answered.
    Ctrl-C, SIGTERM and SIGHUP end what runs and give it back, at once the second time: 130, 143, 129.
    """
    codes = return_codes(options["retcodes"], luigi_config.read())
    with _result_alone_on_stdout(options["as_json"]):
        found = requested_task(context, options, codes.unhandled_exception)
        if not isinstance(found, str):
            task = task_of(found.cls, found.words.texts, codes.unhandled_exception)
            codes = return_codes(options["retcodes"], found.config)
            length = number(found.config, "execution_summary", "summary_length", int, 0)
            summary = _carried_out(task, codes, options, found.config)
    if isinstance(found, str):
        echo(found)
        return
    code = return_code(summary, codes)
    echo(json.dumps({**summary.as_dict(), "exit_code": code}) if options["as_json"] else summary.shortened(length))
    context.exit(code)


def _carried_out(
    task: TaskLike, codes: ReturnCodes, options: Mapping[str, Any], config: LuigiConfig
) -> ExecutionSummary:
    """Schedule the task and run all that it needs. Returns the summary of the run."""
    settings, mails = worker_settings(options["settings"], os.environ, config), mail_settings(config)
    is_live = not options["no_progress"] and options["log_format"] != JSON
    otherwise = "warning" if is_shown(is_live) else "info"
    start_logging(config, options["log_level"], otherwise, options["logging_conf_file"], form=options["log_format"])
    workers = options["workers"]
    if workers is None:
        workers = number(config, "core", "workers", int, 1)
    is_assistant = options["assistant"] or truth(config, "core", "assistant")
    worker: Worker | None = None
    interruption = Interruption()
    interruption.take()
    try:
        with failures_told(codes.unhandled_exception):
            local = is_local(options, config)
            tell_unhonoured(config, "run", has_local_scheduler=local)
            reached = reach(options, config, "run")
            log.info("Working for %s.", reached.name)
            worker = Worker(reached.scheduler, None, workers, is_assistant, mails=mails, **settings)
            note_process(worker=worker.id, namespace=options["namespace"] if is_direct(options, config) else None)
            with mails_of_local(reached.scheduler, local, mails), progress(worker, is_live), worker:
                interruption.kills = True  # what is running now only asks whether tasks are complete
                worker.add(task, **scheduling(options, config))
                interruption.kills = False
                worker.run()
    except KeyboardInterrupt:
        interruption.leave(_interrupted(worker.not_given_back if worker is not None else ()))
    return worker.summary()


def _interrupted(not_given_back: Sequence[str]) -> str:
    """Return what to tell the user when the run was interrupted."""
    if not not_given_back:
        return "Interrupted: task processes were ended, their tasks given back."
    return (
        f"Interrupted: task processes were ended. Not given back: {', '.join(not_given_back)}. The scheduler runs them "
        "again when it has missed this worker."
    )


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


def return_codes(pairs: tuple[str, ...], config: LuigiConfig) -> ReturnCodes:
    """Return the exit codes of --retcode, else of [retcode], which --retcode-task-failed and the like set, too."""
    names = [each.name for each in dataclasses.fields(ReturnCodes)]
    section = config.section("retcode")
    found = {name: number(config, "retcode", name, int) for name in names if name in section}
    for name, code in found.items():
        if code > 255:
            raise click.UsageError(f"{config.where('retcode', name)} is {code}; an exit code is at most 255.")
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in names or not text.isdecimal() or int(text) > 255:
            raise click.UsageError(f"--retcode {pair}: write NAME=CODE, a code up to 255; names: {', '.join(names)}.")
        found[name] = int(text)
    return ReturnCodes(**found)

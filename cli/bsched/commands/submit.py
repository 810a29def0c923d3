"""`bsched submit`: schedule a task with all it needs, and leave."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from broker_sched import luigi_config
from broker_sched.log_lines import JSON, note_process
from broker_sched.worker.submit import Submitter
from bsched.commands.run import return_codes
from bsched.logs import start_logging
from bsched.options.luigi import without_effect
from bsched.options.scheduler import (
    is_direct,
    mail_settings,
    reach,
    scheduler_options,
    tell_unhonoured,
    worker_settings,
)
from bsched.options.task import UNPARSED, failures_told, requested_task, scheduling, task_arguments
from bsched.options.task_parameters import config_classes, task_of
from bsched.progress import is_shown, progress
from bsched.signals import Interruption
from bsched.terminal import echo

NO_RUN = "bsched submit only schedules; `bsched worker` runs what is submitted"


@click.command(context_settings=UNPARSED)
@without_effect("--workers", NO_RUN)
@without_effect("--assistant", NO_RUN, is_flag=True)
@task_arguments
@scheduler_options
@click.option("--json", "as_json", is_flag=True, help="Print the submission as JSON on one line.")
@click.option("--no-progress", is_flag=True, help="No live line on a terminal.")
@click.pass_context
def submit(context: click.Context, /, **options: Any) -> None:
    """Schedule TASK of MODULE with all it needs, print the submission's id, and leave: `bsched worker` runs it.

    \b
    bsched wait ID follows it; bsched submission cancel ID ends it.
    Exit codes: 0 submitted, 35 a part could not be scheduled and is left out, 40 unhandled exception, 2 wrong usage,
    3 nobody answered;
    130, 143, 129 ended by Ctrl-C, SIGTERM, SIGHUP.
    """
    codes = return_codes((), luigi_config.read())
    found = requested_task(context, options, codes.unhandled_exception)
    if isinstance(found, str):
        echo(found)
        return
    if options["local_scheduler"]:
        raise click.UsageError("--local-scheduler: a scheduler in this process is gone with it; use bsched run.")
    config, codes = found.config, return_codes((), found.config)
    task = task_of(found.cls, found.words.texts, codes.unhandled_exception)
    is_live = not options["no_progress"] and options["log_format"] != JSON
    otherwise = "warning" if is_shown(is_live) else "info"
    start_logging(config, options["log_level"], otherwise, options["logging_conf_file"], form=options["log_format"])
    settings = {**worker_settings(options["settings"], os.environ, config), "mails": mail_settings(config)}
    for name in config_classes(found.words.given):
        echo(
            f"Warning: what is given for {name} holds while tasks are scheduled. The workers that run them read their "
            f"own luigi.cfg, [{name}].",
            err=True,
        )
    interruption = Interruption()
    interruption.kills = True  # processes that only ask whether tasks are complete
    interruption.take()
    try:
        with failures_told(codes.unhandled_exception):
            tell_unhonoured(config, "submit")
            reached = reach(options, config, "submit")
            submitter = Submitter(reached.scheduler, **settings)
            note_process(worker=submitter.id, namespace=options["namespace"] if is_direct(options, config) else None)
            with progress(submitter.worker, is_live):
                submitter.submit(task, **scheduling(options, config))
    except KeyboardInterrupt:
        interruption.leave("Interrupted: nothing is submitted, and what was scheduled will be forgotten.")
    count = submitter.worker.counts()["scheduled"]
    told = {"submission": submitter.id, "task": task.task_id, "scheduled": count, "complete": submitter.succeeded}
    echo(json.dumps(told) if options["as_json"] else submitter.id)
    if not submitter.succeeded:
        echo("A part could not be scheduled, see above; the rest is submitted.", err=True)
        context.exit(codes.scheduling_error)

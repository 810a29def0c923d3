"""`bsched submit`: schedule a task with all it needs, and leave."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from broker_sched.worker.submitting import Submitter
from broker_sched.worker.summary import ReturnCodes
from bsched.namespace import refuse_memory
from bsched.progress import is_shown, progress
from bsched.reaching import reach, scheduler_options, start_logging, worker_settings
from bsched.run import INTERRUPTED
from bsched.task_options import describe_options, make_task
from bsched.wanted import UNPARSED, failures_told, shows_page, task_arguments, wanted_class

CODES = ReturnCodes()


@click.command(context_settings=UNPARSED)
@task_arguments
@scheduler_options
@click.option("--json", "as_json", is_flag=True, help="Print the submission as JSON on one line.")
@click.option("--no-progress", is_flag=True, help="No live line on a terminal.")
@click.pass_context
def submit(context: click.Context, /, **options: Any) -> None:
    """Schedule TASK of MODULE with all it needs, print the submission's id, and leave: `bsched worker` runs it.

    \b
    bsched wait ID follows it; bsched submission cancel ID ends it.
    Exit codes: 0 submitted, 35 a part could not be scheduled and is left out, 40 unhandled exception, 2 wrong usage.
    """
    if shows_page(context, options):
        return
    if options["local_scheduler"]:
        raise click.UsageError("--local-scheduler: a scheduler in this process is gone with it; use bsched run.")
    if options["scheduler_url"] is None:
        refuse_memory(options["redis_url"])
    cls = wanted_class(options, CODES.unhandled_exception)
    if options["wants_help"]:
        click.echo(describe_options(cls))
        return
    task = make_task(cls, context.args, options["params"])
    is_live = not options["no_progress"]
    start_logging(options["log_level"], "warning" if is_shown(is_live) else "info")
    settings = worker_settings(options["settings"], os.environ)
    try:
        with failures_told(CODES.unhandled_exception):
            reached = reach(options["scheduler_url"], options["redis_url"], options["namespace"], False)
            submitter = Submitter(reached.scheduler, **settings)
            with progress(submitter.worker, is_live):
                submitter.submit(task, multiprocess=options["parallel_scheduling"])
    except KeyboardInterrupt:
        click.echo("Interrupted: nothing is submitted, and what was scheduled will be forgotten.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    count = submitter.worker.counts()["scheduled"]
    told = {"submission": submitter.id, "task": task.task_id, "scheduled": count, "complete": submitter.succeeded}
    click.echo(json.dumps(told) if options["as_json"] else submitter.id)
    if not submitter.succeeded:
        click.echo("A part could not be scheduled, see above; the rest is submitted.", err=True)
        context.exit(CODES.scheduling_error)

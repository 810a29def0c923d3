"""`bsched worker`: one of a fleet, which runs what anybody schedules; and beside it the commands about the fleet.

`bsched worker --burst` runs a worker, `bsched worker list` lists them: a worker takes options only, never a word, so
that the two can't be mistaken for each other. The options that say where to ask may stand before the word, too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from types import FrameType
from typing import Any

import click

from broker_sched import luigi_config
from broker_sched.errors import Unreachable
from broker_sched.log_lines import note_process
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.default_scheduler import number
from broker_sched.worker.retrying_scheduler import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS
from broker_sched.worker.worker import Worker
from bsched.commands.run import STDERR
from bsched.logs import start_logging
from bsched.options.executor import WorkerPlace, executor_for, executor_options
from bsched.options.numbers import FiniteNumber
from bsched.options.place import remember_place
from bsched.options.scheduler import (
    Reached,
    import_path,
    is_direct,
    is_local,
    mail_settings,
    reach,
    scheduler_options,
    tell_unhonoured,
    worker_settings,
)
from bsched.options.task import imported
from bsched.signals import ENDING, Interruption
from bsched.terminal import echo, for_stderr

log = logging.getLogger("bsched.worker")

FAILED = 1  # exit code
LEAVING = "bsched worker: leaving when what runs has ended, at most {:g} s; SIGTERM again ends it now"


class _WorkerCommands(click.Group):
    """The commands about workers, which are imported only when they are asked for: one that runs needs none."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(_about_workers())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return _about_workers().get(name)


def _about_workers() -> Mapping[str, click.Command]:
    return import_module("bsched.commands.workers").COMMANDS  # type: ignore[no-any-return]  # a module is of any type


@click.group(cls=_WorkerCommands, invoke_without_command=True, subcommand_metavar="[COMMAND [ARGS]...]")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="So many tasks at once; one for each processor, or each rq worker, if not given.",
)
@click.option("--module", "modules", multiple=True, metavar="NAME", help="Import this module first.")
@click.option("--allow-module", "allowed", multiple=True, metavar="PATTERN", help="Load tasks only from such modules.")
@click.option("--max-tasks", type=click.IntRange(1), help="Leave after so many runs of tasks.")
@click.option("--burst", is_flag=True, help="Leave when there is nothing to do.")
@click.option(
    "--drain-timeout",
    type=FiniteNumber(0),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long running tasks may go on after SIGTERM; then they are given back, for others to run.",
)
@click.option("--name", help="The worker's id; made of host, user and pid if not given.")
@executor_options
@scheduler_options
@click.pass_context
def worker(context: click.Context, /, **options: Any) -> None:
    """Run tasks that others schedule, until SIGTERM. With a COMMAND: look at the workers, or change what they do.

    SIGTERM lets running tasks finish, for --drain-timeout; a second one gives them back at once, as Ctrl-C and SIGHUP
    do (exit codes 130, 129).
    SIGUSR1 takes no more work, and waits for ever.
    """
    if context.invoked_subcommand is None:
        _run(**options)
        return
    for parameter in context.command.params:
        is_given = context.get_parameter_source(str(parameter.name)) is click.core.ParameterSource.COMMANDLINE
        if is_given and parameter.name not in ("scheduler_url", "redis_url", "namespace"):
            told = f"{parameter.opts[0]} is for a worker that runs tasks, and `{context.invoked_subcommand}` runs none."
            raise click.UsageError(told)
    remember_place(context, {**options, "url": options["scheduler_url"]})


def _run(
    processes: int | None,
    modules: tuple[str, ...],
    allowed: tuple[str, ...],
    max_tasks: int | None,
    burst: bool,
    drain_timeout: float,
    name: str | None,
    settings: tuple[str, ...],
    log_level: str | None,
    logging_conf_file: str | None,
    log_format: str | None,
    **place: Any,
) -> None:
    config = luigi_config.read()
    start_logging(config, log_level, "info", logging_conf_file, form=log_format)
    import_path()
    if not modules and config.section("core").get("module"):
        modules = (config.section("core")["module"],)
    for module in modules:
        imported(module, FAILED)
    config = luigi_config.read()  # one of them may have changed it
    if processes is None and "workers" in config.section("core"):
        processes = max(1, number(config, "core", "workers", int))
    options: dict[str, Any] = {
        "keep_alive": True,
        "capture_output": True,
        **worker_settings(settings, os.environ, config, stays=True),
        "force_multiprocessing": True,
    }
    if burst:
        options["keep_alive"] = False
    if allowed:
        options["allow_modules"] = allowed
    if max_tasks:
        options["max_tasks"] = max_tasks
    schedulers_redis = place["redis_url"] if is_direct(place, config) else None
    kill_after = WorkerConfig.parse(options).kill_after
    runs_tasks = executor_for(place, WorkerPlace(schedulers_redis, processes is None, kill_after))
    mails = mail_settings(config)
    tell_unhonoured(config, "worker", has_local_scheduler=is_local(place, config))
    patience = WorkerConfig.parse(options).patience
    reached = _reached(lambda: reach(place, config, "worker"), patience)
    interruption = Interruption()
    try:
        with runs_tasks(reached.scheduler) as given:
            count = processes or int(given.capacity(1) if given else os.cpu_count() or 1) or 1
            made = Worker(reached.scheduler, name, count, assistant=True, executor=given, mails=mails, **options)
            note_process(worker=made.id, namespace=place["namespace"] if is_direct(place, config) else None)
            _stop_on_signals(made, drain_timeout, interruption)
            limit = f"up to {count} tasks" if processes or not given else f"a task on each {given.runs_on}"
            echo(f"bsched worker: {made.id} runs {limit} at once for {reached.name}")
            with made:
                made.run()
    except KeyboardInterrupt:
        interruption.leave("bsched worker: stopped; what ran was ended")
    echo(f"bsched worker: {made.runs} task(s) run, leaving")


def _reached(open_: Callable[[], Reached], patience_seconds: float) -> Reached:
    """What it opens; tried again while Redis is away or refuses, as a worker does later, too."""
    wait, deadline, told = FIRST_WAIT_SECONDS, time.monotonic() + patience_seconds, ""
    while True:
        try:
            return open_()
        except Unreachable as error:
            if time.monotonic() + wait > deadline:
                raise
            if str(error) != told:
                told = str(error)
                log.warning("The scheduler can't be reached: %s It is asked again.", told)
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def _stop_on_signals(made: Worker, drain_timeout: float, interruption: Interruption) -> None:
    """SIGTERM drains, the second one at once, the third kills, as Ctrl-C does, and a terminal that is closed."""
    terms = 0

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal terms
        terms += 1
        if terms > 2:
            interruption.handle(number, frame)
            return
        made.drain(drain_timeout if terms == 1 else 0)
        with contextlib.suppress(OSError):  # nobody reads stderr any more
            if terms == 1:
                os.write(
                    STDERR, for_stderr(LEAVING.format(drain_timeout), "INFO").encode() + b"\n"
                )  # unbuffered: a signal may interrupt a write

    interruption.take([signal.SIGTERM], leave)
    interruption.take(number for number in ENDING if number != signal.SIGTERM)

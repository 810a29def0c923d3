"""`bsched worker`: one of a fleet, which runs what anybody schedules."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType
from typing import Any

import click

from broker_sched.worker.worker import Worker
from bsched.reaching import import_path, reach, scheduler_options, start_logging, worker_settings
from bsched.run import INTERRUPTED, STDERR, Interruption, imported

FAILED = 1  # exit code
LEAVING = b"bsched worker: leaving when what runs has ended; SIGTERM again ends it now\n"


@click.command()
@click.option("--processes", type=click.IntRange(1), help="So many tasks at once; one for each processor if not given.")
@click.option("--module", "modules", multiple=True, metavar="NAME", help="Import this module first.")
@click.option("--allow-module", "allowed", multiple=True, metavar="PATTERN", help="Load tasks only from such modules.")
@click.option("--max-tasks", type=click.IntRange(1), help="Leave after so many runs of tasks.")
@click.option("--burst", is_flag=True, help="Leave when there is nothing to do.")
@click.option("--name", help="The worker's id; made of host, user and pid if not given.")
@scheduler_options
def worker(
    processes: int | None,
    modules: tuple[str, ...],
    allowed: tuple[str, ...],
    max_tasks: int | None,
    burst: bool,
    name: str | None,
    scheduler_url: str | None,
    redis_url: str | None,
    namespace: str,
    local_scheduler: bool,
    settings: tuple[str, ...],
    log_level: str | None,
) -> None:
    """Run tasks that others schedule, until SIGTERM.

    SIGUSR1 and SIGTERM let running tasks finish; a second SIGTERM, and Ctrl-C, ends them.
    """
    start_logging(log_level, "info")
    import_path()
    for module in modules:
        imported(module, FAILED)
    options: dict[str, Any] = {"keep_alive": True, **worker_settings(settings, os.environ)}
    if burst:
        options["keep_alive"] = False
    if allowed:
        options["allow_modules"] = allowed
    if max_tasks:
        options["max_tasks"] = max_tasks
    reached = reach(scheduler_url, redis_url, namespace, local_scheduler)
    count = processes or os.cpu_count() or 1
    made = Worker(reached.scheduler, name, count, assistant=True, force_multiprocessing=True, **options)
    _stop_on_signals(made)
    click.echo(f"bsched worker: {made.id} runs up to {count} tasks at once for {reached.name}")
    try:
        with made:
            made.run()
    except KeyboardInterrupt:
        click.echo("bsched worker: stopped; what ran was ended", err=True)
        raise SystemExit(INTERRUPTED) from None
    click.echo(f"bsched worker: {made.runs} task(s) run, leaving")


def _stop_on_signals(made: Worker) -> None:
    """The first SIGTERM asks for no more work, the second stops at once, as Ctrl-C does."""
    interruption = Interruption()
    is_asked_to_leave = False  # not made.is_stopping: that may be so for SIGUSR1 or max_tasks

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal is_asked_to_leave
        if is_asked_to_leave:
            interruption.handle(number, frame)
            return
        is_asked_to_leave = True
        made.stop_asking()
        with contextlib.suppress(OSError):  # nobody reads stderr any more
            os.write(STDERR, LEAVING)  # unbuffered: a signal may come in the middle of a buffered write

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, interruption.handle)

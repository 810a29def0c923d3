"""`bsched top`: a namespace on a full screen, live."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click

from broker_sched.redis_backend.urls import describe
from bsched.options.place import Place, place_options


@click.command()
@place_options
def top(place: Place) -> None:
    """Show families, tasks, workers, resources, failures and events on a full screen, live.

    1 to 6 or a click choose the tab. Enter opens what is selected: of a family, a worker or a failure its tasks.
    / types a filter, which esc ends. w says why a task does not run, l shows its log, s stops it, r retries it; of a
    failure all tasks that failed so. u asks at once for what is shown. q quits.
    """
    try:
        from bsched.top.app import TopApp
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise click.ClickException(
            "bsched top needs textual, which the extra brings: pip install 'broker-sched[top]'"
        ) from None
    scheduler = place.unchecked()
    scheduler.overview()  # nobody there is told before the screen is taken, and so is a stock luigid
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("bsched top needs a terminal. For a program: bsched call overview.")
    TopApp(scheduler, _name_of(place)).run()


def _name_of(place: Place) -> str:
    """What the scheduler is called on the screen, without a password."""
    if place.url is None:
        return f"Redis {describe(place.redis_url)}"
    parts = urlsplit(place.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"

"""`bsched failures`: what failed lately, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from bsched.changes import AT_ONCE, RETRY, Choice, change
from bsched.options.filters import Duration
from bsched.options.place import Place, place_options
from bsched.output import Output, column, distance, duration, json_option, number, quantity, when

HOUR = 3600.0
COLUMNS = (
    column("Count", form=number),
    column("Tasks", form=number),
    column("Family"),
    column("Error"),
    column("First", form=distance),
    column("Last", form=distance),
    column("Example"),
)


@click.command()
@click.option("--since", type=Duration(), default="1h", show_default=True, help="Of so long: 30m, 1h, 2d.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many groups.")
@click.option("--retry", is_flag=True, help="Retry the tasks that failed since then and still are FAILED or DISABLED.")
@click.option("--family", metavar="NAME", help="With --retry: only of this family.")
@click.option("--error", metavar="TEXT", help="With --retry: only those with this text in the last line of the error.")
@click.option(
    "--most", type=click.IntRange(1), default=AT_ONCE, show_default=True, help="With --retry: so many tasks, or none."
)
@click.option("--dry-run", is_flag=True, help="With --retry: only say what would be retried.")
@click.option("--yes", "-y", is_flag=True, help="With --retry: don't ask.")
@place_options
@json_option
def failures(
    since: float,
    limit: int,
    retry: bool,
    place: Place,
    output: Output,
    most: int,
    dry_run: bool,
    yes: bool,
    **only: str,
) -> None:
    """Show what failed in the last hour, by family and last line of the error, most failures first.

    EXAMPLE is the task that failed last: `bsched task show` tells more of it. Runs are counted, also of tasks that are
    DONE by now.
    """
    filters = {name: value for name, value in only.items() if value is not None}
    if not retry and (filters or dry_run or yes):
        raise click.UsageError("--family, --error, --dry-run and --yes go with --retry.")
    scheduler = place.scheduler()
    found = scheduler.failures(since_seconds=since, limit=limit)
    if retry:
        filters["failed_since"] = found["since"]
        change(RETRY, Choice((), filters), scheduler, output, dry_run=dry_run, yes=yes, limit=most)
        return
    output.rows(found["failures"], COLUMNS, f"Nothing has failed in the last {duration(since)}.")
    _tell_rest(found, output)


def _tell_rest(found: Mapping[str, Any], output: Output) -> None:
    left = found["groups"] - len(found["failures"])
    if left > 0:
        output.note(f"{quantity(found['total'], 'failure')} in all; {left:,} more kinds with --limit.")
    if not found["complete"]:
        output.note(f"More failed than is kept: these are the failures since {when(found['since'])}.")

"""`bsched critical-path`: the chain of deps that takes longest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import click

from broker_sched.contract.types import PathMeasure
from bsched.checked_scheduler import missing
from bsched.options.place import Place, place_options
from bsched.output import Column, Output, column, distance, duration, json_option, quantity

COLUMNS = (
    column("Task", "task_id"),
    column("State"),
    column("Spent", "spent_seconds", duration),
    Column(
        "Expected",
        lambda step: "unknown" if step["expected_seconds"] is None else duration(step["expected_seconds"]),
        is_number=True,
    ),
    column("Began", "started", distance),
    column("Worker"),
)


@click.command("critical-path")
@click.argument("task_id", metavar="[TASK]", required=False)
@click.option("--submission", metavar="ID", help="Of what was submitted: the chain that ends with one of its tasks.")
@click.option(
    "--by",
    type=click.Choice(get_args(PathMeasure)),
    default="total",
    show_default=True,
    help="What counts: the time that was spent, the time that is expected, or both.",
)
@place_options
@json_option
def critical_path(task_id: str | None, submission: str | None, by: str, place: Place, output: Output) -> None:
    """Show the chain of deps that takes longest, and ends with TASK: the last of it is done no sooner.

    A task takes what its runs took, and for a run to come what runs of its family take on average. Of what it waits for
    workers or resources nothing is known. At most 1,000 tasks are looked at, the nearest ones.
    """
    if (task_id is None) == (submission is None):
        raise click.UsageError("Give either a TASK or --submission ID.")
    wanted = {"task_id": task_id} if submission is None else {"submission": submission}
    scheduler = place.scheduler()
    found = scheduler.critical_path(**wanted, by=by)
    if found is None:
        known = (each["submission"] for each in scheduler.submission_list())
        raise missing("submission", str(submission), known, "bsched submission list shows all")
    if output.as_json:
        output.thing(found, lambda: ())
        return
    output.rows(found["steps"], COLUMNS, "None of its tasks is there any more.")
    for told in left_out(found):
        output.note(told)


def left_out(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is said below a path: how long it takes, and what it does not know."""
    spent, expected = duration(found["spent_seconds"]), duration(found["expected_seconds"])
    yield f"{quantity(len(found['steps']), 'task')}: {spent} spent, {expected} expected."
    if found["unknown_families"]:
        more = ", …" if found["n_unknown_families"] > len(found["unknown_families"]) else ""
        yield (
            "Expected times are too short: no run was DONE yet of " + ", ".join(found["unknown_families"]) + more + "."
        )
    if found["missing"]:
        more = ", …" if found["n_missing"] > len(found["missing"]) else ""
        yield "Missing deps: " + ", ".join(found["missing"]) + more + "."
    if found["cycle"]:
        yield "These need each other in a ring: " + " → ".join([*found["cycle"], found["cycle"][0]]) + "."
    if not found["complete"]:
        yield (
            f"There may be a longer one: {quantity(found['looked_at'], 'task')} were looked at, and "
            f"{quantity(found['further'], 'dep')} of them not."
        )

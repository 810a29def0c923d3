"""`bsched task list`, `show` and `deps`: tasks as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from bsched.options.filters import State, filter_options, found_tasks, paged
from bsched.options.place import Place, place_options
from bsched.output import Output, Section, column, distance, duration, json_option, memory, text, when
from bsched.progress import counting

SHOWN = 50  # tasks, unless more are asked for
MANY = 5  # workers shown
RUN_TITLES = ("run", "ended", "took", "outcome", "worker", "host", "error")
COLUMNS = (
    column("Task", "task_id"),
    column("State"),
    column("Since", form=distance),
    column("Priority"),
    column("Worker"),
    column("Error"),
)


@click.command("list")
@filter_options
@click.option("--oldest-first", is_flag=True, help="Those first that have been longest in their state.")
@click.option("--limit", type=click.IntRange(1), default=SHOWN, show_default=True, help="So many at the most.")
@place_options
@json_option
def list_(filters: Mapping[str, Any], oldest_first: bool, limit: int, place: Place, output: Output) -> None:
    """List tasks, those first that changed last. SINCE is when a task came into its state."""
    order = "oldest" if oldest_first else "newest"
    with counting("tasks looked at") as looked:
        found = found_tasks(place.scheduler(), filters, limit + 1, order, None if output.as_json else looked)
        output.page(found, COLUMNS, limit, "No such tasks.")


@click.command()
@click.argument("task_id")
@place_options
@json_option
def show(task_id: str, place: Place, output: Output) -> None:
    """Show all that is known of a task: parameters, deps, its last runs and the error of the last."""
    found = place.scheduler().task_details(task_id=task_id)
    output.sections(found, lambda: _sections(found))


@click.command()
@click.argument("task_id")
@click.option("--dependents", "direction", flag_value="dependents", help="What depends on it, instead.")
@click.option("--status", type=State("MISSING"), help="Of this status, or READY, WAITING, BLOCKED, MISSING.")
@click.option("--unmet", is_flag=True, help="Only what is not DONE.")
@click.option("--limit", type=click.IntRange(1), default=SHOWN, show_default=True, help="So many at the most.")
@place_options
@json_option
def deps(
    task_id: str, direction: str | None, status: str | None, unmet: bool, limit: int, place: Place, output: Output
) -> None:
    """List what a task depends on directly, and where each stands: what needs attention first, what is DONE last.

    MISSING is what nobody has scheduled, or what was removed.
    """
    scheduler = place.scheduler()

    def ask(**where: Any) -> Any:
        found = scheduler.task_deps(
            task_id=task_id, direction=direction or "deps", status=status, include_done=not unmet, **where
        )
        return {**found, "tasks": [{**(each["task"] or {}), **_named(each)} for each in found["tasks"]]}

    output.page(paged(ask, "tasks", limit + 1), COLUMNS, limit, "No such tasks.")


def _named(each: Mapping[str, Any]) -> dict[str, Any]:
    return {"task_id": each["task_id"], "state": each["state"]}


def _sections(found: Mapping[str, Any]) -> Iterator[Section]:
    state = found["state"] if found["state"] == found["status"] else f"{found['state']} ({found['status']})"
    rows = [
        ["state", f"{state} since {when(found['since'])}"],
        ["family", text(found["family"])],
        ["module", text(found["module"])],
        *([f"parameter {name}", text(value)] for name, value in found["params"].items()),
        ["priority", text(found["priority"])],
        ["resources", text(found["resources"])],
        ["created", when(found["created"])],
        ["deps", f"{found['n_deps']:,}, of which {found['n_unmet']:,} not DONE"],
        ["dependents", f"{found['n_dependents']:,}"],
        ["workers that may run it", text(found["workers"][:MANY]) + _more(found["n_workers"])],
    ]
    rows += [
        [label, form(found[name])]
        for label, name, form in (
            ("runs on" if found["status"] == "RUNNING" else "ran last on", "worker", text),
            ("memory", "memory", memory),
            ("progress", "progress", lambda value: f"{value:g} %"),
            ("message", "message", text),
            ("tracking", "tracking_url", text),
            ("retried", "retry_at", when),
            ("disabled until", "disabled_until", when),
            ("disabled by", "disabled_by", text),
            ("log", "log_size", lambda value: f"{value:,} characters"),
        )
        if found.get(name) is not None
    ]
    yield Section(found["task_id"], rows)
    if found["attempts"]:
        yield Section("last runs", [RUN_TITLES, *map(_run, found["attempts"])])
    if found["error"]:
        yield Section("error", [[line] for line in found["error"].splitlines()])


def _more(count: int) -> str:
    return f" and {count - MANY:,} more" if count > MANY else ""


def _run(run: Mapping[str, Any]) -> list[str]:
    took = None if run["started"] is None else run["ended"] - run["started"]
    words = [run["outcome"], run["worker"], run["host"], run["error"]]
    return [str(run["attempt"]), when(run["ended"]), duration(took), *map(text, words)]

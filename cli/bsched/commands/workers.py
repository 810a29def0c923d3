"""`bsched worker list` and so on: the workers of a fleet, and what operators do with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from broker_sched.this_user import user_at_host
from bsched.exit_codes import REFUSED
from bsched.options.filters import PAGE, Duration, paged
from bsched.options.place import Place, place_options
from bsched.output import Column, Output, Section, column, distance, json_option, memory, number, quantity, text, when
from bsched.questions import ask_before

COLUMNS = (
    column("Worker"),
    column("State"),
    column("Host"),
    column("Version"),
    Column("Running", lambda each: f"{number(each['running'])} of {number(each['slots'])}"),
    column("Failed last hour", form=number),
    column("Done last hour", form=number),
    column("Last contact", form=distance),
    column("Started", form=distance),
    column("Refuses"),
)


@click.command("list")
@click.option("--limit", type=click.IntRange(1), default=PAGE, show_default=True, help="So many at the most.")
@place_options
@json_option
def list_(limit: int, place: Place, output: Output) -> None:
    """List workers and submissions. A sick one is silent, fails much and does little, or refuses modules."""
    output.page(
        paged(place.scheduler().workers, "workers", limit + 1), COLUMNS, limit, "No workers; `bsched worker` is one."
    )


@click.command()
@click.argument("worker")
@place_options
@json_option
def show(worker: str, place: Place, output: Output) -> None:
    """Show what a worker runs since when, what it failed at and why, what it can't load."""
    found = place.scheduler().worker_details(worker=worker)
    output.sections(found, lambda: _sections(found))


def _sections(found: Mapping[str, Any]) -> Iterator[Section]:
    yield Section(
        found["worker"],
        [
            ["state", found["state"]],
            ["host", text(found["host"])],
            ["version", text(found["version"])],
            ["started", when(found["started"])],
            ["last contact", when(found["last_contact"])],
            ["runs", f"{number(found['running'])} of {number(found['slots'])} at once"],
            ["last hour", f"{number(found['done_last_hour'])} done, {number(found['failed_last_hour'])} failed"],
            ["takes tasks of others", "yes" if found["assistant"] else "no"],
            *([["only of modules", text(found["modules"])]] if found["modules"] else []),
            *([f"told {name}", text(value)] for name, value in found["info"].items()),
        ],
    )
    if found["running_tasks"]:
        yield Section(
            "running",
            [
                ["task", "since", "memory"],
                *([each["task_id"], when(each["since"]), memory(each["memory"])] for each in found["running_tasks"]),
            ],
        )
    if found["failures"]:
        yield Section(
            "failed last",
            [
                ["task", "when", "error"],
                *([each["task_id"], when(each["time"]), text(each["error"])] for each in found["failures"]),
            ],
        )
    if found["refusals"]:
        yield Section(
            "could not load",
            [["what", "not given until"], *([each["label"], when(each["until"])] for each in found["refusals"])],
        )


@click.command()
@click.argument("worker")
@place_options
@json_option
def disable(worker: str, place: Place, output: Output) -> None:
    """Give a worker no more work; what it runs, it may finish. It stays so until it is started anew."""
    place.scheduler().disable_worker(worker=worker)
    output.thing({"worker": worker, "state": "disabled"}, lambda: f"{worker} gets no more work; what it runs goes on.")


@click.command()
@click.argument("worker")
@click.option("--timeout", type=Duration(), help="What runs for longer is ended and given back: 90, 10m, 1h.")
@place_options
@json_option
def drain(worker: str, timeout: float | None, place: Place, output: Output) -> None:
    """Ask a worker to take no more work, to finish what it runs, and to leave. It reads that within a second or so."""
    reply = place.scheduler().drain_worker(worker=worker, seconds=timeout)
    asked = f"Asked {worker} to finish what it runs, and to leave."
    disabled = f"{worker} is Luigi's, and can't be asked to leave: it gets no more work."
    output.thing(reply, lambda: disabled if reply["disabled"] else asked)


@click.command("set-processes")
@click.argument("worker")
@click.argument("n", type=click.IntRange(1))
@place_options
@json_option
def set_processes(worker: str, n: int, place: Place, output: Output) -> None:
    """Ask a worker to run N tasks at once from now on. It is told with its next heartbeat, within a second or so."""
    place.scheduler().set_worker_processes(worker=worker, n=n)
    output.thing({"worker": worker, "slots": n}, lambda: f"Asked {worker} to run {n} tasks at once.")


@click.command()
@click.argument("worker")
@click.option("--force", is_flag=True, help="Also one that was heard of a moment ago; it comes back when it is alive.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask, though it runs tasks.")
@place_options
@json_option
def forget(worker: str, force: bool, yes: bool, place: Place, output: Output) -> None:
    """Remove a worker that has died, at once: what it ran has failed, and is retried as any failure."""
    scheduler = place.scheduler()
    running = scheduler.worker_details(worker=worker)["running"]
    if running:
        ask_before(f"Forget {worker}, and fail the {quantity(running, 'task')} that it runs", yes)
    reply = scheduler.forget_worker(worker=worker, force=force, by=user_at_host())
    told = f"{worker} is forgotten; {quantity(reply['tasks'], 'task')} that it ran failed."
    output.thing(reply, lambda: told if reply["forgotten"] else ())
    if not reply["forgotten"]:
        output.note(f"{worker} is not forgotten. {reply['reason']}")
        click.get_current_context().exit(REFUSED)


COMMANDS = {str(each.name): each for each in (list_, show, disable, drain, set_processes, forget)}

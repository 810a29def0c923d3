"""`bsched status`: how a namespace stands, on one screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from bsched.options.numbers import FiniteNumber
from bsched.options.place import Place, place_options
from bsched.outages import ask_patiently
from bsched.output import (
    Output,
    Section,
    distance,
    drawn_sections,
    json_option,
    memory,
    number,
    quantity,
    section_lines,
    text,
    when,
)
from bsched.signals import Interruption

ORDER = ("READY", "RUNNING", "BATCH_RUNNING", "WAITING", "BLOCKED", "FAILED", "DISABLED", "UNKNOWN", "DONE")
MEANING = {
    "READY": "could run now",
    "WAITING": "for deps",
    "BLOCKED": "by a DISABLED dep",
    "UNKNOWN": "known only as deps",
}
PERIODS = {"minute": "last minute", "ten_minutes": "last 10 minutes", "hour": "last hour"}
SHOWN = 20  # resources, servers


@click.command()
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
@click.option("--interval", type=FiniteNumber(0.2), default=2.0, show_default=True, metavar="SECONDS")
@place_options
@json_option
def status(watch: bool, interval: float, place: Place, output: Output) -> None:
    """Show how the namespace stands: tasks by state, workers, throughput, when it will end, resources, Redis."""
    scheduler = place.scheduler()
    if not watch:
        found = scheduler.overview()
        output.sections(found, lambda: sections_of(found))
        return
    interruption = Interruption()
    interruption.take()
    try:
        _follow(scheduler, interval, output)
    except KeyboardInterrupt:
        interruption.leave()


def _follow(scheduler: Any, interval: float, output: Output) -> None:
    """On a terminal the screen is drawn anew in its place; elsewhere one answer follows the other."""
    found = scheduler.overview()
    if output.as_json or not sys.stdout.isatty():
        while True:
            output.thing(found, lambda found=found: [*section_lines(sections_of(found)), ""])  # type: ignore[misc]
            time.sleep(interval)
            found = ask_patiently(scheduler.overview)
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
        while True:
            live.update(drawn_sections(sections_of(found)), refresh=True)
            time.sleep(interval)
            found = ask_patiently(scheduler.overview)


def sections_of(found: Mapping[str, Any]) -> Iterator[Section]:
    """Return the screen of an overview, part by part."""
    yield Section(f"namespace {found['namespace']}, {when(found['time'])}", list(_paused(found)))
    yield Section("tasks", list(_tasks(found)) or [["none"]])
    workers = found["workers"]
    states = [f"{workers[each]:,} {each}" for each in ("active", "disabled", "silent", "submissions")]
    slots = f"{number(workers['slots_in_use'])} of {number(workers['slots'])} slots in use"
    yield Section("workers", [[", ".join(states)], [slots]])
    yield Section("ended a second", [["", "done", "failed"], *_throughput(found["throughput"])])
    end = found["estimated_end"]
    yield Section("all will have ended", [[when(end["at"]) if end["at"] else f"not known: {end['reason']}"]])
    if found["resources"]:
        rows = [
            [each["name"], f"{number(each['used'])} of {number(each['limit'])} in use"] for each in found["resources"]
        ]
        yield Section("resources", rows[:SHOWN] + ([[f"and {len(rows) - SHOWN} more"]] if len(rows) > SHOWN else []))
    yield Section("redis", list(_redis(found["redis"])))
    yield Section("versions", list(_versions(found["versions"])) or [["no server, no worker"]])


def _paused(found: Mapping[str, Any]) -> Iterator[list[str]]:
    if found["paused"]:
        yield ["paused: nothing is handed out; bsched resume ends that"]
    if found["paused_families"]:
        yield [f"paused families: {', '.join(found['paused_families'])}"]


def _tasks(found: Mapping[str, Any]) -> Iterator[list[str]]:
    tasks = found["tasks"]
    for state in ORDER:
        if tasks.get(state):
            told = MEANING.get(state, "")
            if state == "READY" and found["oldest_ready"] is not None:
                told += f", the oldest since {distance(found['oldest_ready'])}"
            yield [state, f"{tasks[state]:,}", told]
    upstream = found["upstream"]
    failed = upstream["UPSTREAM_FAILED"]
    if failed["count"]:
        yield ["", f"{'' if failed['exact'] else '≥ '}{failed['count']:,}", "of those WAITING: for a FAILED dep"]


def _throughput(found: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, told in PERIODS.items():
        rates = found[name]
        yield [told, number(rates["done_per_second"]), number(rates["failed_per_second"])]


def _redis(found: Mapping[str, Any]) -> Iterator[list[str]]:
    most = f" of {memory(found['max_memory'])}" if found["max_memory"] else ", no limit"
    yield ["version", text(found["version"])]
    yield ["memory", memory(found["used_memory"]) + most]
    yield ["persistence", text(found["persistence"])]
    if found["last_save_ok"] is not None:
        yield ["last write to disk", "worked" if found["last_save_ok"] else "FAILED: see Redis's log"]


def _versions(found: Mapping[str, Any]) -> Iterator[list[str]]:
    for each in found["servers"][:SHOWN]:
        yield ["server", each["version"], f"{each['host']}, pid {each['pid']}, {text(each['address'])}"]
    if len(found["servers"]) > SHOWN:
        yield ["", "", f"and {len(found['servers']) - SHOWN} more servers"]
    for version, count in found["workers"].items():
        yield ["workers", version or "tells none", quantity(count, "worker")]

"""Prints the results and writes docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.bench import Bench, Result
from benchmarks.longest_script import SLOWLOG_US, Longest

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
HEADERS = ("what", "target", "ours", "luigid", "ratio", "reached")

EVENT_HEADERS = ("what happens", "longest script, ms", "which", "longest other command, ms", "which")
LONGEST_KEY = 30  # characters, of those that are told whole
PLAIN_WIDTH = 180  # characters, where the output is no terminal

INTRODUCTION = """# Benchmarks

Written by `make bench`; change nothing here by hand. Both schedulers run on the same machine in the same run, filled
with the same tasks, called by the same client, and take turns. Times are medians as the client sees them; the clients
use the same processors, which a process of idle priority keeps from halting: a virtual processor wakes slowly (not
where looks and the longest script are measured, which it would disturb). Redis has an append-only file, synced every
second.
"""

EVENTS = """
## The longest script, event by event

On one namespace, in this order; SLOWLOG measured. Each line is the longest of all scripts, and of all other commands,
that ran while this happened. SLOWLOG counts the time that other processes have the processor, too; so this Redis goes
before them (nice -20), where the system allows it. It does not rewrite its append-only file meanwhile: while it does,
each page of memory that a script is the first to change is copied, and scripts of 20 to 40 ms were seen.
"""

COMMANDS = """
## The commands of a cycle

What the scripts of a get_work and of a DONE report send to Redis, one after the other, with the key where there is one.
The task has a date, and neither deps nor resources; the worker has no other, and is no assistant.
"""


def cells(result: Result) -> list[str]:
    """One line of the table."""
    verdict = "yes" if result.reached else "**no**"
    return [result.what, result.target, result.ours, result.luigid, result.ratio, verdict]


def event_cells(event: Longest) -> list[str]:
    """One line of the table of events."""
    return [event.what, milliseconds(event.script_us), event.script, milliseconds(event.other_us), event.other]


def milliseconds(duration_us: int) -> str:
    """What SLOWLOG has, or that it has nothing."""
    return f"{duration_us / 1000:.1f}" if duration_us else f"< {SLOWLOG_US / 1000:g}"


def show(results: list[Result], events: list[Longest]) -> None:
    """Print the tables."""
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    table = Table(*HEADERS)
    for result in results:
        table.add_row(*(cell.replace("*", "") for cell in cells(result)), style="" if result.reached else "bold red")
    console.print(table)
    if events:
        table = Table(*EVENT_HEADERS)
        for event in events:
            table.add_row(*event_cells(event))
        console.print(table)


def write(results: list[Result], bench: Bench, document: Path) -> None:
    """Write the table and what it was measured on."""
    events = bench.events
    lines = [
        INTRODUCTION,
        f"- Machine: {os.cpu_count()} cores, {processor()}, {memory_gb():.0f} GB, {platform.system()}",
        f"- Versions: Redis {bench.redis_version}, luigi {version('luigi')}, redis-py {version('redis')}, "
        f"httptools {version('httptools')}, Python {platform.python_version()}",
        f"- Date: {datetime.now(timezone.utc):%Y-%m-%d}",
        f"- Command: `{' '.join(['python -m benchmarks', *sys.argv[1:]])}`",
        "",
        *markdown(HEADERS, map(cells, results)),
    ]
    if events:
        lines += [EVENTS, *markdown(EVENT_HEADERS, map(event_cells, events))]
    if bench.commands:
        lines += [COMMANDS, *scripts_of(bench.commands)]
    document.write_text("\n".join(lines) + "\n")


def scripts_of(commands: list[list[bytes]]) -> Iterator[str]:
    """A paragraph for each script: every one begins with TIME."""
    starts = [index for index, command in enumerate(commands) if command == [b"TIME"]]
    for name, start, end in zip(("get_work", "DONE"), starts, [*starts[1:], len(commands)]):
        told = ", ".join(f"`{name_and_key(command)}`" for command in commands[start:end])
        yield f"- **{name}**, {end - start} commands: {told}"


def name_and_key(command: list[bytes]) -> str:
    """The command's name and, without the namespace, its key; of a long one its kind."""
    name, *arguments = (word.decode() for word in command)
    key = next((each.partition("}:")[2] for each in arguments if each.startswith("bsched:")), "")
    return f"{name} {key if len(key) <= LONGEST_KEY else key.partition(':')[0] + ':…'}".strip()


def markdown(headers: Sequence[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """The lines of a table."""
    for row in (headers, ["---"] * len(headers), *rows):
        yield "| " + " | ".join(row) + " |"


def processor() -> str:
    """The model's name."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def memory_gb() -> float:
    """What the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9

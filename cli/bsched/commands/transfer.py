"""`bsched export`, `bsched import` and `bsched import-luigi`: a namespace as a file, and back."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import click

from broker_sched.errors import ImportRefused
from broker_sched.luigi_state.converting import Conversion
from broker_sched.luigi_state.reading import LuigiState, read_state
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.maintenance import Maintenance
from broker_sched.scheduler.transfer.exporting import Export
from broker_sched.scheduler.transfer.importing import Import
from broker_sched.scheduler.transfer.lines import CheckedFile, LineWriter, TaskLine, check_file, tasks_in
from bsched.options.namespace import refuse_memory
from bsched.options.place import Place, redis_options
from bsched.output import Output, json_option
from bsched.progress import live_line
from bsched.signals import ending_tidily
from bsched.terminal import echo

STANDARD = "-"  # stands for stdin or stdout
NOTHING = "Nothing was imported."


@click.command(name="export")
@click.argument("file", default=STANDARD, metavar="[FILE]")
@redis_options
@json_option
def export(file: str, place: Place, output: Output) -> None:
    """Write the namespace to FILE, or stdout, as lines of JSON. Work goes on meanwhile.

    \b
    bsched export backup.jsonl
    bsched export | gzip > backup.jsonl.gz
    bsched export --redis redis://old | bsched import --redis redis://new
    """
    scheduler = place.existing()
    with ending_tidily(), _written(file) as target:
        writer = LineWriter(target)
        exported = Export(scheduler.namespace, writer)
        with live_line(lambda: f"{writer.tasks:,} of {exported.of:,} tasks written"):
            scheduler.drive(exported.commands())
            writer.close()
    done = {"namespace": place.namespace, "file": file, "tasks": writer.tasks, "workers": writer.workers}
    told = f"Exported {writer.tasks:,} tasks and {writer.workers:,} workers of namespace {place.namespace}."
    if file == STANDARD:
        output.note(told)
    else:
        output.thing(done, lambda: told)


@click.command(name="import")
@click.argument("file", default=STANDARD, metavar="[FILE]")
@redis_options
@json_option
def import_(file: str, place: Place, output: Output) -> None:
    """Bring what `bsched export` wrote into an empty namespace, from FILE or stdin.

    The whole file is checked first. Nobody sees anything before all is there. A task that ran is RUNNING: its worker
    has as long to call as it had when the file was written.
    """
    with ending_tidily(NOTHING), _read(file) as source:
        with live_line(lambda: "checking the file"):
            checked = check_file(source, SCHEMA_VERSION)
        done = _bring_in(_scheduler(place), checked, lambda: tasks_in(source))
    output.thing(done, lambda: _told(done))


@click.command(name="import-luigi")
@click.argument("state", metavar="STATE")
@redis_options
@json_option
def import_luigi(state: str, place: Place, output: Output) -> None:
    """Bring the state that a stock luigid has left (STATE, state.pickle) into an empty namespace.

    luigid writes its state when it gets SIGTERM. The file is read in a process that can make nothing but luigi's own
    objects. What was left out is told. Options and resource limits are not in it: `bsched server` takes them from
    luigi.cfg.
    """
    with ending_tidily(NOTHING), contextlib.closing(_state(state)) as found:
        scheduler = _scheduler(place)
        conversion = Conversion(found, scheduler.config())
        done = _bring_in(scheduler, conversion.checked(), conversion.tasks)
    done["left"] = [{"what": what, "count": count, "ids": ids} for what, (count, ids) in conversion.left.items()]
    output.thing(done, lambda: [_told(done), *map(_told_left, done["left"])])


def _state(path: str) -> LuigiState:
    with live_line(lambda: f"reading {path}"):
        return read_state(path)


def _scheduler(place: Place) -> Maintenance:
    refuse_memory(place.redis_url)
    scheduler = Maintenance(place.redis_url, place.namespace, prune_interval_seconds=None)
    click.get_current_context().call_on_close(scheduler.close)
    return scheduler


def _bring_in(scheduler: Maintenance, checked: CheckedFile, tasks: Callable[[], Iterable[TaskLine]]) -> dict[str, Any]:
    importing, name = Import(scheduler), scheduler.namespace.name
    try:
        with live_line(lambda: f"{importing.tasks:,} of {checked.tasks:,} tasks imported"):
            importing.run(checked, tasks)
    except BaseException:
        if importing.is_left:
            echo(
                f"Redis went away meanwhile, and namespace {name} has parts of the file, which nobody can see. Import "
                "again: that begins anew.",
                err=True,
            )
        raise
    return {"namespace": name, "tasks": importing.tasks, "workers": len(checked.workers)}


def _told(done: dict[str, Any]) -> str:
    return f"Imported {done['tasks']:,} tasks and {done['workers']:,} workers into namespace {done['namespace']}."


def _told_left(left: dict[str, Any]) -> str:
    ids = ", ".join(left["ids"]) + (", …" if left["count"] > len(left["ids"]) else "")
    return f"  {left['count']:,} times: {left['what']}" + (f" ({ids})" if left["ids"] else "")


@contextlib.contextmanager
def _written(file: str) -> Iterator[IO[bytes]]:
    """The file to write to. Raises click.ClickException when that is not possible, as on a full disk."""
    try:
        with _opened(file) as target:
            yield target
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f"{file} can't be written: {error.strerror}.") from None


@contextlib.contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """Stdout, a device or a pipe, as they are; else a file that is there only when all is in it."""
    if file == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = os.path.realpath(file)  # a link stays: what it leads to is replaced
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as device:
            yield device
        return
    folder, name = os.path.split(path)
    target = tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}.", delete=False)  # noqa: SIM115
    try:
        with target:
            yield target
            os.fsync(target.fileno())
        os.replace(target.name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target.name)
        raise


@contextlib.contextmanager
def _read(file: str) -> Iterator[IO[bytes]]:
    """The file to read, twice; what comes through a pipe is kept in a temporary file for that."""
    try:
        source = sys.stdin.buffer if file == STANDARD else open(file, "rb")  # noqa: SIM115
    except OSError as error:
        raise ImportRefused(f"{file} can't be read: {error.strerror}.") from None
    with source:
        if source.seekable():
            yield source
            return
        with tempfile.TemporaryFile() as kept:
            with live_line(lambda: f"{kept.tell() / 2**20:,.0f} MB read"):
                shutil.copyfileobj(source, kept, 2**20)
            kept.seek(0)
            yield kept

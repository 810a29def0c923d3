"""The task that a command is about: MODULE TASK [--name value]..."""

from __future__ import annotations

import contextlib
import importlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import click

from broker_sched.errors import BrokerSchedError
from broker_sched.scheduler.embedded import NoRedisServer
from bsched.reaching import import_path
from bsched.task_options import task_class

F = TypeVar("F", bound=Callable[..., Any])
UNPARSED = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def task_arguments(function: F) -> F:
    """Add MODULE, TASK, --help, --param and --parallel-scheduling; for a command with the settings UNPARSED."""
    for decorate in (
        click.option(
            "--parallel-scheduling", is_flag=True, help="Ask several tasks at once whether they are complete."
        ),
        click.option(
            "--param",
            "params",
            multiple=True,
            metavar="NAME=VALUE",
            help="A parameter whose option means something here.",
        ),
        click.option("--help", "wants_help", is_flag=True, help="This page; after a task, its options."),
        click.argument("task", required=False),
        click.argument("module", required=False),
    ):
        function = decorate(function)
    return function


def shows_page(context: click.Context, options: Mapping[str, Any]) -> bool:
    """Show the command's own help when that is asked for. Raises click.UsageError without a task."""
    if options["module"] is not None and options["task"] is not None:
        return False
    if not options["wants_help"]:
        raise click.UsageError(f"Give a module and a task: {context.command_path} MODULE TASK [--name value]...")
    click.echo(context.get_help())
    return True


def wanted_class(options: Mapping[str, Any], failure_code: int) -> Any:
    """The task's class. A module that fails to be imported ends the program with that code."""
    return task_class(imported(options["module"], failure_code), options["task"])


@contextlib.contextmanager
def failures_told(code: int) -> Iterator[None]:
    """An error ends the program with this code and one line: it is of the user's tasks, and its trace is logged."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, NoRedisServer):
        raise
    except Exception as error:
        kind = "" if isinstance(error, BrokerSchedError) else f"{type(error).__name__}: "
        click.echo(f"Error: {kind}{' '.join(str(error).split())}", err=True)
        raise click.exceptions.Exit(code) from None


def imported(name: str, failure_code: int) -> Any:
    """The user's module. What it raises is shown as it is, and ends the program with failure_code."""
    if not name or name.startswith(".") or "/" in name:
        raise click.UsageError(f"{name!r} is no module; write it as `import` does: package.module.")
    import_path()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = f" Did you mean {name.removesuffix('.py')}?" if name.endswith(".py") else ""
            raise click.UsageError(f"There is no module {name} here or on PYTHONPATH.{hint}") from None
        _show_import_error(name)
    except (Exception, SystemExit):  # a module that ends the program has not been imported, whatever its exit code
        _show_import_error(name)
    raise click.exceptions.Exit(failure_code)


def _show_import_error(name: str) -> None:
    click.echo(f"The module {name} can't be imported:", err=True)
    click.echo(traceback.format_exc(), err=True)

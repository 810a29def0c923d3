"""The task that a command is about: MODULE TASK [--name value]..., or luigi's --module MODULE TASK [--name value]..."""

from __future__ import annotations

import contextlib
import importlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from broker_sched import luigi_config
from broker_sched.errors import BrokerSchedError, NoRedisServer, Unreachable
from broker_sched.luigi_config import LuigiConfig
from broker_sched.tasks import command_line
from broker_sched.worker.default_scheduler import number, truth
from broker_sched.worker.summary import ReturnCodes
from bsched.exit_codes import UNREACHABLE
from bsched.options.luigi import NO_LOCK, SECTIONS, without_effect
from bsched.options.scheduler import import_path
from bsched.options.task_parameters import HELP_WORD, Words, describe_options, read_words, task_class
from bsched.terminal import echo

F = TypeVar("F", bound=Callable[..., Any])
UNPARSED = {"ignore_unknown_options": True, "help_option_names": []}


class RequestedTask(NamedTuple):
    """The task that a command line asks for, and luigi's configuration with what the command line says besides."""

    cls: Any
    words: Words
    config: LuigiConfig


class _Asked(NamedTuple):
    module: str
    task: str
    words: list[str]  # the options after them, or around them


def task_arguments(function: F) -> F:
    """Add MODULE TASK and the options on tasks and on scheduling to a command that has the settings UNPARSED."""
    for decorate in (
        *(without_effect(name, NO_LOCK, **more) for name, more in _LOCK_OPTIONS.items()),
        click.option("--no-lock", is_flag=True, hidden=True, expose_value=False),  # there is none
        click.option(
            "--parallel-scheduling-processes",
            type=click.IntRange(0),
            metavar="N",
            help="In so many processes; 0: one for each processor.",
        ),
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
        click.option("--help-all", is_flag=True, help="After a task, the options of all other tasks, too."),
        click.option("--help", "wants_help", is_flag=True, help="Or -h: this page; after a task, its options."),
        click.option("--module", "module_option", metavar="NAME", help="The module, instead of before the task."),
        click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="MODULE TASK [--name value]..."),
    ):
        function = decorate(function)
    return function


_LOCK_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--lock-size": {},
    "--lock-pid-dir": {},
    "--take-lock": {"is_flag": True},
}


def requested_task(context: click.Context, options: Mapping[str, Any], failure_code: int) -> RequestedTask | str:
    """Import the task's module, and return its class with what the command line says; or the help text, when that is
    asked for.

    What is given for other tasks and for Config classes is installed. A module that fails to be imported ends the
    program with failure_code. Raises click.UsageError, ConfigurationError.
    """
    wants_help = options["wants_help"] or options["help_all"]
    asked = _asked(options, luigi_config.read())
    if asked is None:
        if not wants_help and HELP_WORD not in options["words"]:
            raise click.UsageError(f"Give a module and a task: {context.command_path} MODULE TASK [--name value]...")
        return context.get_help()
    cls = task_class(imported(asked.module, failure_code), asked.task)
    words = Words({}, {}, True) if wants_help else read_words(cls, asked.words, options["params"])
    if words.wants_help:
        return describe_options(cls, with_all=options["help_all"])
    _refuse_two_meanings(context, cls, words)
    command_line.install(words.given)
    own = {section: texts for section, texts in words.given.items() if section in SECTIONS}
    return RequestedTask(cls, words, luigi_config.read().with_given(own))


def _refuse_two_meanings(context: click.Context, cls: Any, words: Words) -> None:
    """An option of the command that was meant for the task would be lost, and the task run with its default."""
    family, parameters = cls.get_task_family(), dict(cls.get_params())
    given = words.texts.keys() | words.given.get(family, {}).keys()
    for option in context.command.params:
        is_given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        for spelt in option.opts if is_given else ():
            name = spelt.removeprefix("--").replace("-", "_")
            if spelt.startswith("--") and name in parameters and name not in given:
                raise click.UsageError(
                    f"{family} has a parameter {name}, and `{context.command_path}` an option {spelt}. Give the "
                    f"parameter as --param {name}=VALUE; {spelt} beside it is the command's own."
                )


def _asked(options: Mapping[str, Any], config: LuigiConfig) -> _Asked | None:
    """Return module and task with the other words; None where module and task are not both there."""
    words = list(options["words"])
    first = [word for word in words[:2] if not word.startswith("-")]
    module = options["module_option"]
    if module is None and len(first) == 2:
        return _Asked(first[0], first[1], words[2:])
    module = module or config.section("core").get("module")
    position = next((number for number, word in enumerate(words) if _is_alone(words, number)), None)
    if position is None:  # luigi: an option that it does not know yet is a flag
        position = next((number for number, word in enumerate(words) if not word.startswith("-")), None)
    if not module or position is None:
        return None
    return _Asked(module, words[position], words[:position] + words[position + 1 :])


def _is_alone(words: list[str], number: int) -> bool:
    """Whether a word is neither an option nor, after `--name`, its value."""
    before = words[number - 1] if number else ""
    return not words[number].startswith("-") and (not before.startswith("--") or "=" in before)


def scheduling(options: Mapping[str, Any], config: LuigiConfig) -> dict[str, Any]:
    """Return how to schedule, as arguments of Worker.add()."""
    processes = options["parallel_scheduling_processes"]
    if processes is None:
        processes = number(config, "core", "parallel_scheduling_processes", int, 0)
    return {
        "multiprocess": options["parallel_scheduling"] or truth(config, "core", "parallel_scheduling"),
        "processes": processes,
    }


@contextlib.contextmanager
def failures_told(code: int) -> Iterator[None]:
    """A context in which an error ends the program with this exit code and one line: it is of the user's tasks, and its
    trace is logged. That nobody answered has its own exit code, as in every command, unless another code was set.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, NoRedisServer):
        raise
    except Exception as error:
        kind = "" if isinstance(error, BrokerSchedError) else f"{type(error).__name__}: "
        echo(f"Error: {kind}{' '.join(str(error).split())}", err=True)
        is_unanswered = isinstance(error, Unreachable) and code == ReturnCodes.unhandled_exception
        raise click.exceptions.Exit(UNREACHABLE if is_unanswered else code) from None


def imported(name: str, failure_code: int) -> Any:
    """Import the user's module and return it.

    What it raises is shown as it is, and ends the program with failure_code.
    """
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
    echo(f"The module {name} can't be imported:", err=True)
    echo(traceback.format_exc(), err=True)

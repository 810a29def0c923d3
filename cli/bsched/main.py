"""`bsched`: the command line. Exit codes: 0 done, 1 not found or refused, 2 wrong usage, 3 nobody answered."""

from __future__ import annotations

import errno
import io
import os
import sys
from importlib import import_module
from typing import Any

import click
from click.exceptions import Abort, Exit

from broker_sched import __version__, log_lines
from broker_sched.errors import BrokerSchedError, ConfigurationError, InvalidArgument, NoRedisServer, Unreachable
from broker_sched.plain_text import shown
from bsched.exit_codes import INTERRUPTED, UNREACHABLE, WRONG_USAGE
from bsched.logs import set_format_of_environment
from bsched.terminal import escape_in_log, for_stderr

# Each command, and its module in bsched.commands. Only that of the command that is called is imported: a worker needs
# nothing of the server, and `bsched call` of neither.
COMMANDS = {
    "run": "run",
    "submit": "submit",
    "wait": "submission",
    "worker": "worker",
    "server": "server",
    "submission": "submission",
    "token": "token",
    "session": "session",
    "status": "status",
    "task": "task",
    "graph": "graph",
    "critical-path": "critical_path",
    "timeline": "timeline",
    "family": "family",
    "failures": "failures",
    "resource": "resource",
    "pause": "pause",
    "resume": "pause",
    "audit": "audit",
    "events": "events",
    "namespace": "namespace",
    "top": "top",
    "call": "call",
    "config": "config",
    "redis": "redis",
    "verify": "verify",
    "export": "transfer",
    "import": "transfer",
    "import-luigi": "transfer",
    "migrate": "migrate",
    "user": "user",
}

MAX_MESSAGE = 4000  # characters
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Unanswered(click.ClickException):
    """Nobody answered, neither yes nor no: the same command may work in a while."""

    exit_code = UNREACHABLE


class Misconfigured(click.ClickException):
    """A URL or an option can't be used, whoever gave it: the command line, the environment or a file."""

    exit_code = WRONG_USAGE


class _Commands(click.Group):
    """Imports the command that is called, and tells of our errors in one line instead of a stack trace."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"bsched.commands.{COMMANDS[name]}")
        return next(each for each in vars(module).values() if isinstance(each, click.Command) and each.name == name)

    def invoke(self, context: click.Context) -> Any:
        try:
            return self._invoke(context)
        except click.ClickException as error:
            if not log_lines.is_json():
                raise
            click.echo(for_stderr(error.format_message(), "ERROR"), err=True)
            raise Exit(error.exit_code) from None

    def _invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except NoRedisServer as error:  # a configuration error, though nothing that was given is wrong
            raise click.ClickException(_told(" ".join(str(error).split()))) from None
        except InvalidArgument as error:
            raise click.UsageError(_told(str(error))) from None
        except ConfigurationError as error:
            raise Misconfigured(_told(" ".join(str(error).split()))) from None
        except Unreachable as error:
            raise Unanswered(_told(" ".join(str(error).split()))) from None
        except BrokerSchedError as error:
            raise click.ClickException(_told(" ".join(str(error).split()))) from None
        except click.ClickException as error:
            error.__dict__["message"] = _told(error.message)  # click says that it is final
            raise
        except Abort as error:  # what click makes of Ctrl-C, and of the end of the input, at a question
            if isinstance(error.__context__, KeyboardInterrupt):
                raise Exit(INTERRUPTED) from None
            raise
        except (Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt:  # where a command has no more to say; click would end it with 1, which is "refused"
            raise Exit(INTERRUPTED) from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise click.ClickException(f"What this command writes finds no room: {error.strerror}.") from None
            if "BSCHED_TRACE" in os.environ:
                raise
            told = " ".join(f"{type(error).__name__}: {error}".split())
            raise click.ClickException(
                f"{shown(told)}. This is unexpected; BSCHED_TRACE=1 shows where it comes from."
            ) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bsched")
def cli() -> None:
    """Luigi's scheduler on Redis.

    Redis is found by --redis or BSCHED_REDIS: redis://, rediss://, unix://, redis+sentinel://, redis+cluster://,
    memory:, or local: (a private server of this user), which is the default.
    """


def _told(message: str) -> str:
    """A message as a terminal may have it; of one that quotes a megabyte, the beginning and the end."""
    if len(message) > MAX_MESSAGE:
        message = f"{message[: MAX_MESSAGE // 2]} … {message[-MAX_MESSAGE // 2 :]}"
    return shown(message)


def main() -> None:
    """Run the command line, as the installed program does."""
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):  # what is no text for it is shown as an escape, which in JSON is the text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    escape_in_log()
    set_format_of_environment()
    cli(prog_name="bsched")


def _open_standard_streams() -> None:
    """Where the caller has closed one (2>&-), a connection would get its number, and what is printed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one


if __name__ == "__main__":
    main()

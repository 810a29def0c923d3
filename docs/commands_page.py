"""What docs/commands.md says, from the commands themselves, for docs/generate.py."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from bsched.main import cli

SHARED = ("scheduler_url", "url", "redis_url", "namespace", "output")  # said once, on top


def commands(note: str) -> str:
    """Make docs/commands.md: every command with its arguments and options."""
    parts = [
        "# Commands\n",
        note,
        "Which command answers which question: [operations](operations.md). These options many commands have:\n",
        "| option | |",
        "| --- | --- |",
        "| `--scheduler-url URL` | Ask the server there, such as http://127.0.0.1:8082. `--url` is the same. |",
        "| `--redis URL`, `--namespace NAME` | Straight to Redis. In the environment `BSCHED_REDIS`, `BSCHED_NAMESPACE`. |",
        "| `--json` | Print JSON with the API's field names: one object, or of a list one a line; times in seconds. |",
        "",
        "Exit codes: 0 it is done; 1 it is not there, or is refused; 2 wrong usage; 3 nobody answered. Others are said below.",
        "",
    ]
    for path, command in _walk(cli, "bsched"):
        parts += _described(path, command)
    return "\n".join(parts)


def _walk(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _walk(command, f"{path} {name}")


def _described(path: str, command: click.Command) -> list[str]:
    arguments = [_metavar(each) for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    shared = {str(each.name) for each in options if each.name in SHARED}
    takes = ["`--scheduler-url`"] if shared & {"url", "scheduler_url"} else []
    takes += [f"`{each.opts[0]}`" for each in options if each.name in ("redis_url", "namespace", "output")]
    rows = [f"| {_names(each)} | {_cell(_help(each))} |" for each in options if each.name not in SHARED]
    return [
        f"## {path}\n",
        f"    {' '.join([path, *arguments])}\n",
        _text(command.help or "") + "\n",
        *(["| option | |", "| --- | --- |", *rows, ""] if rows else []),
        *([f"Also {', '.join(sorted(takes))}.\n"] if takes else []),
    ]


def _metavar(argument: click.Argument) -> str:
    name = argument.metavar or str(argument.name).upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _names(option: click.Option) -> str:
    """Its names, with the kind of its value."""
    kind = "" if option.is_flag else " " + (option.metavar or _kind(option))
    return ", ".join(f"`{name}{kind}`" for name in option.opts)


def _kind(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "\\|".join(map(str, option.type.choices))
    names = {"text": "TEXT", "integer": "N", "integer range": "N", "float": "X", "float range": "X"}
    return names.get(option.type.name, option.type.name.upper())


def _help(option: click.Option) -> str:
    told = " ".join((option.help or "").split())
    if option.show_default and option.default is not None and not option.is_flag:
        told += f" Default: {option.default}."
    return told


def _text(help_: str) -> str:
    """The help as paragraphs; what click is told not to wrap is code."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(help_))
    return "\n\n".join(
        f"```\n{each.removeprefix(chr(8)).strip(chr(10))}\n```" if each.startswith("\b") else " ".join(each.split())
        for each in paragraphs
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

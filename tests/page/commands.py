"""The command lines that the page shows, read as the real command line reads them."""

from __future__ import annotations

import shlex
from typing import Any

import click
from playwright.sync_api import Page

from bsched.main import cli


def parsed(line: str) -> dict[str, Any]:
    """Return what `bsched` makes of a line that was pasted into a shell: the values of its options by name.

    Raises click.UsageError for one that it would refuse. Nothing is carried out.
    """
    program, *words = shlex.split(line)
    assert program == "bsched", line
    command: click.Command = cli
    context = click.Context(cli, info_name=program)
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert name is not None and found is not None, line
        command, context = found, click.Context(found, info_name=name, parent=context)
    return command.make_context(context.info_name, words, parent=context.parent).params


def lines_on(page: Page) -> set[str]:
    """Return the lines that stand on the page now, and in the titles of its buttons."""
    shown = page.locator("button.command code").all_text_contents()
    titles = page.locator(".action > button").evaluate_all("buttons => buttons.map(each => each.title)")
    return {line for line in [*shown, *titles] if line.startswith("bsched ")}

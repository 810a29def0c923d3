"""The command lines that the page shows, read as the real command line reads them."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
from playwright.sync_api import Page

from bsched.main import cli

QUOTED = re.compile(r"""'[^']*'|"[^"]*"|\$'((?:[^'\\]|\\.)*)'""")
ESCAPE = re.compile(r"\\(?:x(..)|u(....)|(.))")


def words_of(line: str) -> list[str]:
    """Return the words of a line as bash parts them; shlex knows no $'…'."""
    return shlex.split(
        QUOTED.sub(lambda found: found[0] if found[1] is None else shlex.quote(unescaped(found[1])), line)
    )


def unescaped(text: str) -> str:
    """Return what bash reads in $'…', as Python has it: a byte that is no UTF-8 is half a character."""

    def meant(found: re.Match[str]) -> str:
        byte, unit, letter = found.groups()
        if byte is not None:
            return chr(int(byte, 16) + (0xDC00 if int(byte, 16) >= 0x80 else 0))
        return chr(int(unit, 16)) if unit is not None else {"n": "\n", "t": "\t"}.get(letter, letter)

    return ESCAPE.sub(meant, text)


def parsed(line: str) -> dict[str, Any]:
    """Return what `bsched` makes of a line that was pasted into a shell: the values of its options by name.

    Raises click.UsageError for one that it would refuse. Nothing is carried out.
    """
    program, *words = words_of(line)
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

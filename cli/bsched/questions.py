"""The question before a change of many things, or one that can't be taken back."""

from __future__ import annotations

import sys

import click


def ask_before(what: str, yes: bool) -> None:
    """Ask on the terminal whether to do it; yes: it was said on the command line, and nobody is asked.

    what: as a question without its mark. Raises click.ClickException after a no, and where nobody can be asked.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.ClickException(f"{what}? Nobody can be asked here, and nothing was changed: give --yes.")
    if not click.confirm(f"{what}?", err=True):
        raise click.ClickException("Nothing was changed.")

"""Defaults of parameters that were given on the command line, `--Sub-size 7`: they hold for every task that is made.

As in luigi they belong to the program, not to one worker: a task's requires() makes other tasks of its own accord.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

Given = Mapping[str, Mapping[str, str]]  # family, or name of a Config class → parameter → text

_given: dict[str, dict[str, str]] = {}


def install(given: Given) -> None:
    """Make these texts the defaults of parameters from now on, in this process and in those forked from it; for luigi's
    classes, too."""
    copied = {family: dict(texts) for family, texts in given.items()}  # a fork is given its own
    _given.clear()
    _given.update(copied)
    _tell_luigi()


def installed() -> Given:
    """Return the texts that are installed, for a process that is not forked, which installs them itself."""
    return _given


def default_of(family: str, name: str) -> str | None:
    """Return the text that was given for a parameter of the family; None when none was."""
    texts = _given.get(family)
    return None if texts is None else texts.get(name)


def _tell_luigi() -> None:
    """Luigi's parameters ask its own parser of the command line for what it has found."""
    parser: Any = getattr(sys.modules.get("luigi.cmdline_parser"), "CmdlineParser", None)
    if parser is None or (not _given and not isinstance(parser._instance, _Found)):
        return
    flat = {f"{family}_{name}": text for family, texts in _given.items() for name, text in texts.items()}
    parser._instance = _Found(known_args=SimpleNamespace(**flat)) if _given else None


class _Found(SimpleNamespace):
    """Stands where luigi's parameters look for luigi's own parser of the command line: something with known_args."""

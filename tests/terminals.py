"""A command on a real terminal: a pseudo-terminal of a given size, with what is shown there as text."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect

PATIENCE_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[1]
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])")


@contextmanager
def on_terminal(*words: str, columns: int = 120, lines: int = 40, **environment: str) -> Iterator[Any]:
    """`bsched WORDS` on a terminal, as pexpect has it; it is ended with the block."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")])
    # pexpect tells the terminal its size a moment after the program has begun; the variables do so before.
    size = {"COLUMNS": str(columns), "LINES": str(lines)}
    variables = {**os.environ, "PYTHONPATH": path, "TERM": "xterm-256color", **size, **environment}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "bsched.main", *words],
        env=variables,  # type: ignore[arg-type]
        encoding="utf-8",
        dimensions=(lines, columns),
        timeout=PATIENCE_SECONDS,
    )
    try:
        yield child
    finally:
        child.close(force=True)


def shown_on_terminal(*words: str, columns: int = 120, **environment: str) -> tuple[int, str]:
    """The exit code of a command that ends by itself, and all that it showed, escape sequences included."""
    with on_terminal(*words, columns=columns, **environment) as child:
        child.expect(pexpect.EOF)
        child.wait()
        return int(child.exitstatus), str(child.before)


def plain(shown: str) -> str:
    """The text without colours and movements."""
    return ESCAPES.sub("", shown).replace("\r\n", "\n")

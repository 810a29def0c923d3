"""A command on a real terminal: a pseudo-terminal of a given size, with what is shown there as text."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pexpect
from pexpect.fdpexpect import fdspawn

from tests.programs import Program, environment_with

PATIENCE_SECONDS = 20.0
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])")
CTRL_C = "\x03"


class Terminal(fdspawn):  # type: ignore[misc]
    """A program on a terminal: what tests use of pexpect.spawn, for one that tests/starter.py has started."""

    def __init__(self, *words: str, columns: int, lines: int, environment: dict[str, str]) -> None:
        ours, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
        self.size = (lines, columns)
        self.program = Program(*words, env=environment, stdin=its, stdout=its, stderr=its)
        os.close(its)
        super().__init__(ours, timeout=PATIENCE_SECONDS, encoding="utf-8")

    def getwinsize(self) -> tuple[int, int]:
        """Lines and columns."""
        return self.size

    def sendintr(self) -> None:
        """Press Ctrl-C."""
        self.send(CTRL_C)

    def wait(self) -> int:
        """Wait for the program's end; its exit code."""
        self.exitstatus = self.program.wait(PATIENCE_SECONDS)
        return int(self.exitstatus)

    def end(self) -> None:
        """Kill the program, and close the terminal."""
        self.program.kill()
        self.program.wait()
        self.close()


@contextmanager
def on_terminal(*words: str, columns: int = 120, lines: int = 40, **environment: str) -> Iterator[Any]:
    """`bsched WORDS` on a terminal, much as pexpect has it; it is ended with the block."""
    variables = environment_with(TERM="xterm-256color", **environment)
    for name in ("COLUMNS", "LINES"):  # of the terminal that the tests are run on
        variables.pop(name, None)
    child = Terminal(*words, columns=columns, lines=lines, environment=variables)
    try:
        yield child
    finally:
        child.end()


def shown_on_terminal(*words: str, columns: int = 120, **environment: str) -> tuple[int, str]:
    """The exit code of a command that ends by itself, and all that it showed, escape sequences included."""
    with on_terminal(*words, columns=columns, **environment) as child:
        child.expect(pexpect.EOF)
        return child.wait(), str(child.before)


def plain(shown: str) -> str:
    """The text without colours and movements."""
    return ESCAPES.sub("", shown).replace("\r\n", "\n")

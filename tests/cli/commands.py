"""Commands on one namespace, in this process, straight to Redis or to a server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from click.testing import CliRunner, Result

from bsched.main import cli

WIDE = {"COLUMNS": "200"}


class Bsched:
    """Runs commands; what they say is a Result of click's."""

    def __init__(self, *where: str) -> None:
        self.where = where

    def __call__(self, *words: str, code: int = 0, input: str | None = None) -> Result:
        """Run it, and see that it ends with this exit code and without a stack trace."""
        result = CliRunner().invoke(cli, [*words, *self.where], env=WIDE, input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, (words, result.output)
        assert "Traceback" not in result.stderr
        return result

    def lines(self, *words: str, **how: Any) -> list[str]:
        """The lines on stdout."""
        return self(*words, **how).stdout.splitlines()

    def rows(self, *words: str, **how: Any) -> list[list[str]]:
        """The cells of a plain table, the titles first."""
        return [re.split(r"  +", line.strip()) for line in self.lines(*words, **how)]

    def json(self, *words: str, **how: Any) -> Any:
        """The one object that it prints with --json."""
        (line,) = self.lines(*words, "--json", **how)
        return json.loads(line)

    def json_lines(self, *words: str, **how: Any) -> list[Any]:
        """The objects that it prints with --json, one a line."""
        return [json.loads(line) for line in self.lines(*words, "--json", **how)]

    def error(self, *words: str, code: int = 1) -> str:
        """The one line that says what is wrong."""
        said = self(*words, code=code).stderr.splitlines()
        (line,) = (each for each in said if each and not each.startswith(("Usage:", "Try '")))
        return str(line)


def column(rows: Sequence[Sequence[str]], title: str) -> list[str]:
    """One column of a plain table."""
    return [row[rows[0].index(title)] for row in rows[1:]]

"""Reads the .lua files, joins what they include, and maps a line of the whole back to file and line.

`-- @include lib/tasks.lua` on a line of its own is replaced by that file, once.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

INCLUDE = re.compile(r"^-- @include (\S+)$")
LINE_IN_ERROR = re.compile(r"(?:user_script|\[string \"<python>\"\]):(\d+)")


class Script(NamedTuple):
    """One script, ready for SCRIPT LOAD and EVALSHA."""

    name: str
    source: str
    sha: str  # what EVALSHA is called with: SHA-1 hex of the source
    origins: tuple[str, ...]  # "lib/tasks.lua:12" for each line of the source


@cache
def load(name: str) -> Script:
    """The script of broker_sched/lua/<name>.lua with its includes."""
    lines: list[str] = []
    origins: list[str] = []
    _append(f"{name}.lua", lines, origins, seen=set())
    source = "\n".join(lines) + "\n"
    return Script(name, source, hashlib.sha1(source.encode()).hexdigest(), tuple(origins))


def names() -> list[str]:
    """The names of all scripts (not of the pieces in lib/)."""
    return sorted(f.name.removesuffix(".lua") for f in files(__package__).iterdir() if f.name.endswith(".lua"))


def locate(script: Script, message: str) -> str:
    """Say file and line instead of a line number in the joined source."""

    def origin(match: re.Match[str]) -> str:
        line = int(match.group(1))
        return script.origins[line - 1] if 0 < line <= len(script.origins) else match.group(0)

    return LINE_IN_ERROR.sub(origin, message)


def _append(file_name: str, lines: list[str], origins: list[str], seen: set[str]) -> None:
    if file_name in seen:
        return
    seen.add(file_name)
    text = files(__package__).joinpath(file_name).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        include = INCLUDE.match(line)
        if include:
            _append(include.group(1), lines, origins, seen)
        else:
            lines.append(line)
            origins.append(f"{file_name}:{number}")

"""Reads the .lua files, joins what they include, and maps a line of the whole back to file and line.

    -- @args worker task_ids…           the names of its arguments, see arguments.py
    -- @include lib/tasks/tasks.lua     the file's functions and variables can be used
    -- @rarely lib/hand_out/rivals.lua  likewise; few calls come by any of them
    -- @with load_task finish_task …    what is made together with the function below, since nearly all who call that
                                        call these; a long list goes on in further such lines
    -- @at_end relisted write_listings  a function that is called when the body of a script is through, if the variable
                                        before it was made

Each file names in this way every file of which it uses something itself. What becomes of them: joining.py.

A function or variable of a file is made when it is first used. So a file in lib/ has no statements, a value in it asks
Redis nothing, and a value ends on its line or in brackets. A variable that is set to nil becomes what it was at first:
`name = nil` is refused where that was something else, and a call's result that may be nil must not be put there. A
table with functions, `function acts.one()`, can be used whole only where its own file has `acts[…]`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from broker_sched.lua.arguments import Arguments
from broker_sched.lua.joining import HEADER, File, Joined, read

LINE_IN_ERROR = re.compile(r"(?:user_script|\[string \"<python>\"\]):(\d+)")


class Script(NamedTuple):
    """A script with all that it includes, ready for SCRIPT LOAD and EVALSHA."""

    name: str
    source: str
    sha: str  # what EVALSHA is called with: SHA-1 hex of the source
    origins: tuple[str, ...]  # "lib/tasks/tasks.lua:12" for each line of the source
    arguments: Arguments  # its own, which come after those of every script


@cache
def load(name: str) -> Script:
    """The script of broker_sched/lua/<name>.lua, everything it needs joined in."""
    return join(name, text_of, _read)


def join(name: str, text_of: Callable[[str], str], read_file: Callable[[str], File] | None = None) -> Script:
    """Make the script of this name. text_of: gives the text of a file, whose name has '/' and '.lua'."""
    arguments = Arguments.declared_in(text_of(f"{name}.lua"))
    every = Arguments.declared_in(text_of(HEADER))
    reading = read_file or cache(lambda file_name: read(file_name, text_of(file_name)))
    lines = Joined(f"{name}.lua", reading, every.followed_by(arguments)).lines
    source = "".join(f"{line}\n" for line, _ in lines)
    origins = tuple(origin for _, origin in lines)
    return Script(name, source, hashlib.sha1(source.encode()).hexdigest(), origins, arguments)


def text_of(file_name: str) -> str:
    """Return the text of a .lua file, such as lib/tasks/tasks.lua."""
    return files(__package__).joinpath(file_name).read_text(encoding="utf-8")


@cache
def _read(file_name: str) -> File:
    """What stands in the file, read once: most scripts include the same files."""
    return read(file_name, text_of(file_name))


@cache
def names() -> tuple[str, ...]:
    """Return the names of all scripts, without those of the pieces in lib/."""
    return tuple(sorted(f.name.removesuffix(".lua") for f in files(__package__).iterdir() if f.name.endswith(".lua")))


def sources() -> list[str]:
    """Return the text of every .lua file, those in lib/ included."""
    scripts = files(__package__)
    libraries = [file for folder in scripts.joinpath("lib").iterdir() for file in folder.iterdir()]
    return [file.read_text(encoding="utf-8") for file in (*scripts.iterdir(), *libraries) if file.name.endswith(".lua")]


def locate(script: Script, message: str) -> str:
    """Say file and line instead of a line number in the joined source."""

    def origin(match: re.Match[str]) -> str:
        line = int(match.group(1))
        return script.origins[line - 1] if 0 < line <= len(script.origins) else match.group(0)

    return LINE_IN_ERROR.sub(origin, message)

"""Reads the .lua files, joins what they include, and maps a line of the whole back to file and line.

    -- @args worker task_ids…           the names of its arguments, see arguments.py
    -- @include lib/tasks/tasks.lua     the file, unless it can be seen already
    -- @lazy merge, weigh lib/x.lua     functions of the file, made when one of them is called first

Each file names in this way every file of which it uses something itself. What a lazy file includes can't be seen
outside it, and comes again where it is included again. So what a lazy file shares with the rest of the script, because
it keeps something that is to be kept once, the file with the @lazy line includes too.

Every run of a script makes its functions anew. So what is rarely called is made lazily. And what follows an included
file stands in a function of its own, once there are some locals: Lua finds a captured local by walking all captured
locals of the same function, which nesting keeps few.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from broker_sched.lua.arguments import Arguments

MIN_LOCALS = 5  # of a function, before what follows stands in one of its own: each is some garbage at every run
HEADER = "lib/core/header.lua"  # declares the arguments that every script is given before its own
INCLUDE = re.compile(r"^-- @include (\S+)$")
LAZY = re.compile(r"^-- @lazy (\w+(?:, \w+)*) (\S+)$")
LINE_IN_ERROR = re.compile(r"(?:user_script|\[string \"<python>\"\]):(\d+)")


class Script(NamedTuple):
    """A script with all that it includes, ready for SCRIPT LOAD and EVALSHA."""

    name: str
    source: str
    sha: str  # what EVALSHA is called with: SHA-1 hex of the source
    origins: tuple[str, ...]  # "lib/tasks/tasks.lua:12" for each line of the source
    arguments: Arguments  # its own, which come after those of every script


class _Joined:
    """The lines so far, where each comes from, and what they included."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments  # all that the script is given
        self.lines: list[str] = []
        self.origins: list[str] = []
        self.locals = 0  # in the function that was opened last
        self.seen: set[str] = set()  # files whose functions and variables can be seen
        self.made_lazily: set[tuple[str, str]] = set()  # functions that can be seen, each with the file that has it

    def add(self, line: str, origin: str) -> None:
        self.lines.append(line)
        self.origins.append(origin)

    def add_code(self, line: str, origin: str) -> None:
        """The line, with numbers for the names of arguments. Raises ValueError when the script has no such argument."""
        self.locals += line.startswith("local ")
        if "ARGS" in line and not line.startswith("--"):
            try:
                line = self.arguments.numbered(line)
            except ValueError as error:
                raise ValueError(f"{origin}: {error}") from None
        self.add(line, origin)

    def add_file(self, file_name: str) -> None:
        """The file, its directives carried out, and the end of every function that an include opened."""
        for _ in range(self.add_lines(file_name)):
            self.add("end)()", f"{file_name}:end")

    def add_lines(self, file_name: str) -> int:
        """The same without the ends. Returns how many functions are open; a file that can be seen is left out."""
        if file_name in self.seen:
            return 0
        self.seen.add(file_name)
        opened = 0
        for line, origin in _lines_of(file_name):
            if not line.startswith("-- @"):
                self.add_code(line, origin)
            elif include := INCLUDE.match(line):
                opened += self.add_lines(include.group(1))
                if self.locals >= MIN_LOCALS:
                    opened += 1
                    self.locals = 0
                    self.add("return (function()", origin)
            elif lazy := LAZY.match(line):
                wanted = [(name, lazy.group(2)) for name in lazy.group(1).split(", ")]
                if fresh_names := [name for name, source in wanted if (name, source) not in self.made_lazily]:
                    self.add_lazy(fresh_names, lazy.group(2), origin)
            else:
                self.add_code(line, origin)
        return opened

    def add_lazy(self, names: list[str], file_name: str, origin: str) -> None:
        """Each name is a function that makes the real ones and calls the one of its name."""
        all_names = ", ".join(names)
        self.add(f"local {all_names}", origin)
        self.add("do local function make()", origin)
        self.add(f"{all_names} = (function()", origin)
        seen, made_lazily, locals_outside = set(self.seen), set(self.made_lazily), self.locals
        self.locals = 0
        opened = self.add_lines(file_name)
        self.add(f"return {all_names}", origin)
        for _ in range(opened):
            self.add("end)()", origin)
        # What the file included can't be seen from here on.
        self.seen, self.made_lazily = seen, made_lazily | {(name, file_name) for name in names}
        self.locals = locals_outside
        self.add("end)() end", origin)
        for name in names:
            self.add(f"{name} = function(...) make() return {name}(...) end", origin)
        self.add("end", origin)


@cache
def load(name: str) -> Script:
    """The script of broker_sched/lua/<name>.lua, everything it needs joined in."""
    arguments = Arguments.declared_in(_text_of(f"{name}.lua"))
    joined = _Joined(Arguments.declared_in(_text_of(HEADER)).followed_by(arguments))
    joined.add_file(f"{name}.lua")
    source = "\n".join(joined.lines) + "\n"
    return Script(name, source, hashlib.sha1(source.encode()).hexdigest(), tuple(joined.origins), arguments)


def _text_of(file_name: str) -> str:
    return files(__package__).joinpath(file_name).read_text(encoding="utf-8")


@cache
def _lines_of(file_name: str) -> tuple[tuple[str, str], ...]:
    """Each line of the file with where it is, read once: most scripts include the same files."""
    lines = _text_of(file_name).splitlines()
    return tuple((line, f"{file_name}:{number}") for number, line in enumerate(lines, start=1))


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

"""Makes one script of a .lua file and of all that it includes, so that a run makes only what it calls.

Redis runs a script's whole text at every EVALSHA. So what stands in a file between its functions would be done, and all
functions of all files be made, each time: most of a short call's time. Therefore a function, or a variable of a file,
becomes an entry of one table, LIB, which is made when it is asked for first; a constant, a text or a number, is written
where it is used; and what nothing leads to is left out. The variables of lib/core/header.lua are made at once.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from broker_sched.lua.arguments import Arguments
from broker_sched.lua.names_in_lua import balance, renamed, uses_variables, with_keys_written_out

HEADER = "lib/core/header.lua"  # declares the arguments that every script is given before its own
INCLUDE = re.compile(r"^-- @(include|rarely) (\S+)$")
AT_END = re.compile(r"^-- @at_end (\w+) (\w+)$")
RUN_AT_END = "  -- @run_at_end"  # the line that becomes calls of these
WITH = re.compile(r"^-- @with (.*)$")
FUNCTION = re.compile(r"^local function (\w+)\(|^function (\w+(?:\.\w+)?)\(")
WHOLE_FUNCTION = re.compile(r"^(?:local )?function .*\bend$")
VARIABLE = re.compile(r"^local (\w+(?:, \w+)*)(?: = (.*?))?(?: +--.*)?$")
CONSTANT_NAME = re.compile(r"[A-Z][A-Z0-9_]*$")
RESERVED = {"LIB", "PREFIX"}  # stand in what is made of a file
ASKS_REDIS = re.compile(r"\bp?call\(")
SET_TO_NIL = re.compile(r"LIB<([^:>]+):([^>]+)> = nil\b")
CONSTANT = re.compile(r"'[^'\\]*'$|-?\d[\d. *+-]*$")
PLACE = re.compile(r"LIB<([^#>]+)>")  # until all places are known; and the number of one
NUMBER = re.compile(r"LIB<([^>]+)#>")

Line: TypeAlias = tuple[str, str]  # its text, and where it comes from: "lib/tasks/tasks.lua:12"


class Where(NamedTuple):
    """Names a function or variable. A function in a table is 'table.function'."""

    file_name: str
    name: str


@dataclass
class Definition:
    """A function or variable of a file, as it stands there."""

    lines: list[Line] = field(default_factory=list)  # none for a variable that is nil at first
    constant: str | None = None  # the text of a number, or of a text, in place of the lines


@dataclass
class Code:
    """Lines whose names have become places, and what they use of other files and of their own: is it seldom used?"""

    lines: list[Line]
    uses: dict[Where, bool]


@dataclass
class File:
    """Holds what stands in a .lua file, and, once it was asked for, the code that is made of it."""

    name: str
    includes: list[str] = field(default_factory=list)
    rarely: list[str] = field(default_factory=list)  # likewise, of which something is seldom used
    # What is called at the end of a script: a function, when this variable has been made.
    at_end: list[tuple[str, str]] = field(default_factory=list)
    # By a function: what is made together with it, since nearly every call that comes by it comes by all of that.
    together: dict[str, list[str]] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    statements: list[Line] = field(default_factory=list)  # that are carried out at once, in order
    variables: set[str] = field(default_factory=set)  # that these declare
    code: dict[str, Code] = field(default_factory=dict)  # by what it defines, '' the statements; made when asked for


def read(name: str, text: str) -> File:
    """Return what stands in a file. Raises ValueError for what can't be made when it is asked for."""
    found = File(name)
    lines = [(line, f"{name}:{number}") for number, line in enumerate(text.splitlines(), start=1)]
    at = 0
    together: list[str] = []
    while at < len(lines):
        line, _ = lines[at]
        size = 1
        if include := INCLUDE.match(line):
            (found.includes if include[1] == "include" else found.rarely).append(include[2])
        elif at_end := AT_END.match(line):
            found.at_end.append((at_end[1], at_end[2]))
        elif function := FUNCTION.match(line):
            size = 1 if WHOLE_FUNCTION.match(line) else _size_of_function(lines[at:])
            _define_function(found, function[1] or function[2], lines[at : at + size])
            if together:
                found.together[function[1]], together = together, []
        elif others := WITH.match(line):
            together += others[1].split()
        elif variable := VARIABLE.match(line):
            size = _size_of_value(lines[at:])
            _define_variables(found, variable, lines[at : at + size])
        elif line and not line.startswith("--"):
            if name.startswith("lib/") and name != HEADER:
                raise ValueError(
                    f"{lines[at][1]}: a file in lib/ has no statements, and a value ends on its line or in brackets"
                )
            found.statements.append(lines[at])
        at += size
    if name != HEADER and (taken := RESERVED & {*found.definitions, *found.variables}):
        raise ValueError(f"{name}: call {' and '.join(sorted(taken))} otherwise: scripts have this name already")
    _join_tables(found)
    return found


def _size_of_function(lines: list[Line]) -> int:
    size = next((index for index, (line, _) in enumerate(lines, start=1) if line == "end"), None)
    if size is None:
        raise ValueError(f"{lines[0][1]}: this function has no line that is just 'end'")
    return size


def _size_of_value(lines: list[Line]) -> int:
    size = 1
    while balance(_text_of(lines[:size])):
        if size == len(lines):
            raise ValueError(f"{lines[0][1]}: a bracket of this value is not closed")
        size += 1
    return size


def _text_of(lines: list[Line]) -> str:
    return "\n".join(line for line, _ in lines)


def _define_function(found: File, name: str, lines: list[Line]) -> None:
    text, origin = lines[0]
    if not text.startswith("local"):  # local function table_function(…)
        text = "local " + text.replace(name, name.replace(".", "_"), 1)
    found.definitions[name] = Definition([(text, origin), *lines[1:]])


def _define_variables(found: File, variable: re.Match[str], lines: list[Line]) -> None:
    names, value = variable[1].split(", "), variable[2]
    whole = _text_of(lines).partition("=")[2]
    if found.name == HEADER and not (value and _constant(names[0], value)):
        found.statements += lines
    elif value is None:
        found.definitions.update({name: Definition() for name in names})
    elif not found.name.startswith("lib/") and (
        uses_variables(whole) or ("ARGS" in whole and not all(map(CONSTANT_NAME.match, names)))
    ):  # so it may differ by when it is made
        found.statements += lines
        found.variables.update(names)
    elif ASKS_REDIS.search(whole):
        raise ValueError(f"{lines[0][1]}: this value is made when first asked for: ask Redis in a function instead")
    elif len(names) == 1:
        found.definitions[names[0]] = Definition(lines, _constant(names[0], value))
    else:
        values = value.split(", ")
        if len(values) != len(names):
            raise ValueError(f"{lines[0][1]}: give each of these variables its own value")
        for name, each in zip(names, values):
            found.definitions[name] = Definition([(f"local {name} = {each}", lines[0][1])], _constant(name, each))


def _constant(name: str, value: str) -> str | None:
    if not (CONSTANT_NAME.match(name) and CONSTANT.match(value)):
        return None
    return value if re.match(r"\d+$|'", value) else f"({value})"


def _join_tables(found: File) -> None:
    """Make the functions of a table together with it, where one of them is looked for by a name that is not fixed."""
    tables = {name.partition(".")[0] for name in found.definitions if "." in name}
    parts = [found.statements, *(each.lines for each in found.definitions.values())]
    text = "\n".join(line for part in parts for line, _ in part)
    for table in tables:
        if not re.search(rf"(?<![\w.]){table}\[", text):
            continue
        for name in [name for name in found.definitions if name.startswith(f"{table}.")]:
            [(first, origin), *rest] = found.definitions.pop(name).lines
            local = f"local function {name.replace('.', '_')}"
            found.definitions[table].lines += [(first.replace(local, f"function {name}", 1), origin), *rest]


def _numbered(line: str, origin: str, arguments: Arguments) -> str:
    try:
        return arguments.numbered(line) if "ARGS" in line else line
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from None


class Joined:
    """A script that is being joined: its lines, and where each comes from. read_file: gives what stands in a file."""

    def __init__(self, name: str, read_file: Callable[[str], File], arguments: Arguments) -> None:
        self._read_file = read_file
        self._files = self._all_of(name)
        self._uses: dict[Where, bool] = {}  # what the script uses; is it seldom used?
        begins = [file for file in self._files if file.name == HEADER]
        body = self._code_of(self._files[-1], "")
        first = [line for file in begins for line in self._code_of(file, "").lines]
        self._find_uses([body, *(self._code_of(file, "") for file in begins)])
        entries = sorted(self._uses, key=lambda where: self._uses[where])  # those that are seldom used come last
        self._groups = self._found_groups()
        self._made_with = {each: where for where, group in self._groups.items() for each in group}
        if len(self._made_with) < sum(map(len, self._groups.values())):
            raise ValueError(f"{name}: something is made together with two functions")
        library = self._library(entries, f"{name}:1")
        lines = [*library[:1], *first, *library[1:], *body.lines]
        numbers = {f"{place.file_name}:{place.name}": str(number) for number, place in enumerate(entries, start=1)}
        text = _text_of(lines)
        text = NUMBER.sub(lambda match: numbers[match[1]], PLACE.sub(lambda match: f"LIB[{numbers[match[1]]}]", text))
        origins = (origin for _, origin in lines)
        self.lines = [(_numbered(line, of, arguments), of) for line, of in zip(text.split("\n"), origins, strict=True)]

    def _all_of(self, name: str, seen: set[str] | None = None) -> list[File]:
        """Return a file and all that it includes, these first."""
        seen = set() if seen is None else seen
        seen.add(name)
        file = self._read_file(name)
        included = [*file.includes, *file.rarely]
        before = [each for include in included if include not in seen for each in self._all_of(include, seen)]
        return [*before, file]

    def _find_uses(self, begins: list[Code]) -> None:
        """Note all that these lead to. What is seldom used, and what only that leads to, is looked at last."""
        waiting = {False: deque(begins), True: deque[Code]()}
        for is_rare in (False, True):
            while waiting[is_rare]:
                for where, is_seldom in waiting[is_rare].popleft().uses.items():
                    is_so = is_rare or is_seldom
                    if where not in self._uses or self._uses[where] > is_so:
                        self._uses[where] = is_so
                        waiting[is_so].append(self._code_of(self._read_file(where.file_name), where.name))

    def _found_groups(self) -> dict[Where, list[Where]]:
        """Return what is made together, by what leads to it. Raises ValueError for a name that is not used."""
        groups = {}
        for file in self._files:
            for name, others in file.together.items():
                if (where := Where(file.name, name)) in self._uses:
                    groups[where] = [self._used(each, file.name) for each in others]
        return groups

    def _used(self, name: str, file_name: str) -> Where:
        found = [where for where in self._uses if where.name == name]
        if len(found) != 1:
            raise ValueError(f"{file_name}: @with {name}: of what the script uses, {len(found)} have this name")
        return found[0]

    def _code_of(self, file: File, name: str) -> Code:
        code = file.code.get(name)
        if code is None:
            code = file.code[name] = self._renamed(file, name)
        if file.name != HEADER or RUN_AT_END not in (line for line, _ in code.lines):
            return code
        uses: dict[Where, bool] = {}
        calls = []
        for each in self._files:
            for kept, function in each.at_end:
                visible = [each, *map(self._read_file, each.includes)]
                places = [
                    Where(next(one.name for one in visible if name in one.definitions), name)
                    for name in (kept, function)
                ]
                uses.update(dict.fromkeys(places, False))
                variable, write = (":".join(place) for place in places)
                calls.append(f"if rawget(LIB, LIB<{variable}#>) then LIB<{write}>() end")
        lines = [("  " + " ".join(calls) if line == RUN_AT_END else line, origin) for line, origin in code.lines]
        return Code(lines, {**code.uses, **uses})

    def _renamed(self, file: File, name: str) -> Code:
        """Make the code of what a file defines, '' for its statements. Raises ValueError."""
        lines = file.definitions[name].lines if name else file.statements
        often = [file, *map(self._read_file, file.includes)]
        rarely = [self._read_file(include) for include in file.rarely]
        uses: dict[Where, bool] = {}
        places = {each: other for other in reversed((*often, *rarely)) for each in other.definitions}
        if name:
            places.update(dict.fromkeys(file.variables, file))

        def place_of(used: str, is_whole: bool) -> str:
            other = places[used]
            if used not in other.definitions:
                raise ValueError(f"{used} may not be there when this is made: a statement of the script sets it")
            definition = other.definitions[used]
            if definition.constant is not None:
                return definition.constant
            if is_whole and any(each.startswith(f"{used}.") for each in other.definitions):
                raise ValueError(
                    f"the functions of {used} are made one by one, so here it may lack them: write {used}.name, or "
                    f"{used}[name] in {other.name}"
                )
            uses[Where(other.name, used)] = other in rarely
            return f"LIB<{other.name}:{used}>"

        origin = lines[0][1] if lines else file.name
        try:
            text = _text_of(lines)
            if file.name != HEADER and HEADER in file.includes:
                text = with_keys_written_out(text)
            text = renamed(text, name, places, place_of)
            for other, used in SET_TO_NIL.findall(text):
                if self._read_file(other).definitions[used].lines:
                    raise ValueError(f"{used} = nil would make it what it was at first: set it to false")
            new = text.split("\n")
        except ValueError as error:
            raise ValueError(f"{origin}: {error}") from None
        return Code(list(zip(new, (origin for _, origin in lines), strict=bool(lines))), uses)

    def _library(self, entries: list[Where], origin: str) -> list[Line]:
        """Return the lines that declare the library, which is one, and that make it."""
        if not entries:
            return []
        room = "nil, " * sum(not is_rare for is_rare in self._uses.values())
        choice: list[Line] = []
        self._add_choice(choice, entries, 1, origin)
        first = (f"LIB = setmetatable({{ {room}}}, {{ __index = function(_, number)", origin)
        return [("local LIB", origin), first, *choice, ("end })", origin)]

    def _add_choice(self, lines: list[Line], entries: list[Where], first: int, origin: str) -> None:
        """Add what makes one of these entries, of which the first has this number."""
        if len(entries) > 1:
            often = sum(not self._uses[where] for where in entries)
            half = often if 0 < often < len(entries) else len(entries) // 2
            lines.append((f"if number < {first + half} then", origin))
            self._add_choice(lines, entries[:half], first, origin)
            lines.append(("else", origin))
            self._add_choice(lines, entries[half:], first + half, origin)
            lines.append(("end", origin))
            return
        [where] = entries
        if (leader := self._made_with.get(where)) is not None:
            lines.append((f"local _ = LIB<{':'.join(leader)}> return rawget(LIB, {first})", origin))
            return
        own = self._code_of(self._read_file(where.file_name), where.name).lines
        if not own:
            lines.append(("return nil", origin))
            return
        name = where.name.replace(".", "_")
        lines += [*own, (f"LIB[{first}] = {name}", own[-1][1])]
        for other in self._groups.get(where, ()):
            code = self._code_of(self._read_file(other.file_name), other.name).lines
            place = f"LIB<{':'.join(other)}> = {other.name.replace('.', '_')}"
            # A variable may be there, with something in it, or false.
            is_function = code[0][0].startswith("local function")
            begin = "do" if is_function else f"if rawget(LIB, LIB<{':'.join(other)}#>) == nil then"
            lines += [(begin, code[0][1]), *code, (f"{place} end", code[-1][1])]
        lines.append((f"return {name}", own[-1][1]))

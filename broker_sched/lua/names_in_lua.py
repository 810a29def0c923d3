"""Finds in some lines of Lua what may stand for functions and variables of files, and renames it."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from itertools import chain

# A comment, a text, or a name that is no field of anything, with one of its fields.
WORD = re.compile(r"--[^\n]*|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|(?<![\w.:])([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?")
BRACKET = re.compile(r"--[^\n]*|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|([({\[])|([)}\]])")
SEPARATOR = re.compile(r"'(?:[^'\\\n]|\\.)*'|([({\[])|([)}\]])|(,)")
KEY = re.compile(r"(?<![\w.:])key\(")
LOOSER = re.compile(r"\b(?:and|or)\b|[<>]|[=~]=")  # than ..
NO_CODE = re.compile(r"--[^\n]*|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")
KEYWORD = r"(?:true|false|nil|and|or|not)\b"
CONSTANT_NAME = r"[A-Z][A-Z0-9_]*\b"
# A name that is no constant and no field.
VARIABLE = re.compile(rf"(?<![\w.:])(?!{KEYWORD})(?!{CONSTANT_NAME})[A-Za-z_]\w*\b(?! *=[^=])")
IS_SET = re.compile(r" *=[^=]")
# What is declared by `local`, by a loop, and as a parameter.
DECLARED = (
    re.compile(r"\blocal (?!function\b)(\w+(?:, \w+)*)"),
    re.compile(r"\bfor (\w+(?:, \w+)*) (?:in\b|=)"),
    re.compile(r"\bfunction\b(?: [\w.]+)?\(([^)]*)\)"),
    re.compile(r"\blocal function (\w+)"),
)


def balance(text: str) -> int:
    """Return how many brackets are open behind this text."""
    return len(_open_brackets(text))


def uses_variables(value: str) -> bool:
    """Tell whether a value calls something, or uses a name that is no constant."""
    code = NO_CODE.sub("''", value)
    return "(" in code or VARIABLE.search(code) is not None


def renamed(text: str, own: str, known: Container[str], place_of: Callable[[str, bool], str]) -> str:
    """Return the text of a function, a variable, or some statements, with what it uses renamed.

    own: what it defines, which keeps its name. known: the names of functions and variables, 'table.function' of a
    function in a table. place_of: what each becomes; whether it is used without naming one of its fields.
    Raises ValueError when a parameter or local variable has the name of what would be renamed, or of the library.
    """
    for name in _declared_in(text):
        if name == "LIB" or (name != own and name in known):
            raise ValueError(f"{name} is the name of a function or variable that this file can use: call it otherwise")

    def rename(match: re.Match[str]) -> str:
        name, field = match.groups()
        if name is None:
            return match[0]
        if field is not None and (whole := f"{name}.{field}") in known:
            return place_of(whole, False)
        if name == own or name not in known or (field is None and _is_field(text, match)):
            return match[0]
        return place_of(name, field is None) + (f".{field}" if field is not None else "")

    return WORD.sub(rename, text)


def with_keys_written_out(text: str) -> str:
    """Return the text with PREFIX .. kind .. name in place of key(kind, name), which a script would call often.

    It has as many lines as before. Raises ValueError for a key of other than two parts, and for a variable PREFIX.
    """
    if "PREFIX" in _declared_in(text):
        raise ValueError("PREFIX is what keys begin with: call this variable otherwise")
    parts, at = [], 0
    while call := KEY.search(text, at):
        arguments, end = _arguments(text, call.end())
        if len(arguments) != 2:
            raise ValueError("key(kind, name) has two arguments, and no comma in a comment between them")
        kind, name = (f"({each})" if LOOSER.search(each) else each for each in arguments)
        new = f"(PREFIX .. {kind}" + (")" if name == "''" else f" .. {name})")
        removed = text.count("\n", call.start(), end) - new.count("\n")
        parts += [text[at : call.start()], new, "\n" * removed]
        at = end
    return "".join(parts) + text[at:]


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """Return the arguments of a call that begin here, and where the call ends."""
    found, begin, depth = [], start, 0
    for match in SEPARATOR.finditer(text, start):
        if match[1]:
            depth += 1
        elif depth and match[2]:
            depth -= 1
        elif not depth and (match[2] or match[3]):
            found.append(text[begin : match.start()].strip())
            begin = match.end()
            if match[2]:
                break
    return found, begin


def _declared_in(text: str) -> set[str]:
    found = chain.from_iterable(pattern.findall(text) for pattern in DECLARED)
    return {name for names in found for name in names.split(", ")}


def _is_field(text: str, match: re.Match[str]) -> bool:
    """Tell whether this is the name of a field in { name = value }."""
    if not IS_SET.match(text, match.end()):
        return False
    before = text[: match.start()]
    return before.rstrip()[-1:] in ("{", ",") and _open_brackets(before)[-1:] == ["{"]


def _open_brackets(text: str) -> list[str]:
    found: list[str] = []
    for opening, closing in BRACKET.findall(text):
        if opening:
            found.append(opening)
        elif closing:
            found.pop()
    return found

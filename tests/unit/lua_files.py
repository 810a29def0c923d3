"""What a Lua file defines, includes and uses, read from the file alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from broker_sched.lua import loader
from broker_sched.lua.joining import AT_END, INCLUDE
from tests.unit.lua_globals import globals_of

LUA = files("broker_sched.lua")
LIBRARIES = sorted(f"lib/{folder.name}/{f.name}" for folder in LUA.joinpath("lib").iterdir() for f in folder.iterdir())
SOURCES = sorted([*(f"{name}.lua" for name in loader.names()), *LIBRARIES])

# What a script may read: Redis's own, and the standard library as Redis 6.2 to 8 and fakeredis all have it.
STANDARD = set(
    """redis KEYS ARGV cjson string table math tonumber tostring type pairs ipairs unpack setmetatable rawget rawset
    pcall error next""".split()
)
TOP_LEVEL = re.compile(r"^local (?:function (\w+)|(\w+(?:, \w+)*))")
FILLED_IN = re.compile(r"^\s*(?:function (\w+)[.:]|(\w+)\.\w+ = function\b)", re.MULTILINE)


@cache
def text_of(source: str) -> str:
    return LUA.joinpath(source).read_text()


@cache
def code_of(text: str) -> str:
    """Without comments that take the whole line."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


@cache
def defined_in(text: str) -> frozenset[str]:
    """The functions and variables that others, which include it, can use."""
    found = (TOP_LEVEL.match(line) for line in text.splitlines())
    return frozenset(name for match in found if match for name in (match[1] or match[2]).split(", "))


def included_in(text: str) -> list[str]:
    return [match[2] for match in map(INCLUDE.match, text.splitlines()) if match]


def called_at_end_in(text: str) -> set[str]:
    """The functions that are called when the body of a script is through."""
    return {match[2] for match in map(AT_END.match, text.splitlines()) if match}


@cache
def taken_and_written(text: str) -> tuple[set[str], set[str]]:
    """The names that the file uses and does not define; those that it assigns to and does not define."""
    taken, written = globals_of(re.sub(r"\bARGS\.\w+", "ARGV[1]", code_of(text)))
    return taken - STANDARD, written


def filled_in(text: str) -> Iterator[str]:
    """The tables to which the file adds functions."""
    return (match[1] or match[2] for match in FILLED_IN.finditer(text))

"""The names of a script's arguments. A script declares them in its first comment:

    -- @args worker seconds task_ids…

A long list goes on in further such lines; a last name with … behind it stands for all the texts that follow.
What every script is given before its own arguments is declared likewise, in lib/core/header.lua.

Python gives the arguments by name (broker_sched.redis_backend.commands.Call). A script, and what it includes, reads
ARGS.worker, and of the last one #ARGS.task_ids and ARGS.task_ids[index], where the index is a name or a number, with
another one added or taken away at the most. When a script is loaded each becomes a number, ARGS.worker ARGV[6]: so a
name costs nothing when the script runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

# Texts only. hiredis 3.5 crashes where Ctrl-C comes while it turns a number into one.
Argument: TypeAlias = str | bytes

DECLARATION = re.compile(r"^-- @args\b(.*)$", re.MULTILINE)
NAME = re.compile(r"([a-z][a-z0-9_]*)(…?)$")
USE = re.compile(r"(?P<size>#?)\bARGS\b(?:\.(?P<name>\w+))?(?P<index>\[\w+(?: [+-] \w+)?\])?(?P<open>\[?)")


class Arguments:
    """The arguments that a script takes.

    names: those that are one text each, in order. tail: the name of all texts behind them, None when there are none.
    """

    __slots__ = ("_all", "_texts_of", "names", "tail")

    def __init__(self, names: Sequence[str], tail: str | None) -> None:
        self.names = tuple(names)
        self.tail = tail
        self._all = (*names, tail) if tail else self.names
        # Every call of a script comes by here: twice as fast as a loop.
        self._texts_of: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda given: tuple(given[name] for name in names)
        )
        if len(set(self._all)) < len(self._all):
            raise ValueError(f"Two arguments of a script have one name: {', '.join(names)}")

    @classmethod
    def declared_in(cls, text: str) -> Arguments:
        """Return the arguments that the @args lines of a .lua file declare. Raises ValueError for a malformed one."""
        found: list[str] = []
        tail = None
        for word in " ".join(DECLARATION.findall(text)).split():
            match = NAME.match(word)
            if tail or not match:
                raise ValueError(f"No name of an argument, or none that may stand here: {word}")
            if match.group(2):
                tail = match.group(1)
            else:
                found.append(match.group(1))
        return cls(found, tail)

    def followed_by(self, others: Arguments) -> Arguments:
        """Return these arguments, which have no tail, with others behind them."""
        return Arguments(self.names + others.names, others.tail)

    def ordered(self, given: Mapping[str, Argument | Sequence[Argument]]) -> tuple[Argument, ...]:
        """Return the arguments, given by name, in the order of the declaration; the tail is given as a list of texts.

        Raises TypeError for a name that is missing or unknown, and for a tail that is no list.
        """
        try:
            texts = self._texts_of(given)
            tail = given[self.tail] if self.tail else ()
        except KeyError:
            raise TypeError(self._what_is_wrong(given)) from None
        if len(given) != len(self._all):
            raise TypeError(self._what_is_wrong(given))
        if isinstance(tail, (str, bytes)):
            raise TypeError(f"{self.tail} is a list of texts, not {tail!r}")
        return texts + tuple(tail) if tail else texts

    def _what_is_wrong(self, given: Iterable[str]) -> str:
        missing = [f"{name} is missing" for name in self._all if name not in given]
        return ", ".join(missing + [f"there is no {name}" for name in given if name not in self._all])

    def numbered(self, line: str) -> str:
        """Return the line of Lua with numbers in place of the names. Raises ValueError for an unknown or odd use."""

        def number(match: re.Match[str]) -> str:
            size, name, index, opened = match.group("size", "name", "index", "open")
            if name in self.names and not index and not opened:
                return f"{size}ARGV[{self.names.index(name) + 1}]"
            if name == self.tail and name and index and not size:
                return f"ARGV[{len(self.names)} + {index[1:]}"
            if name == self.tail and name and size and not index and not opened:
                return f"(#ARGV - {len(self.names)})"
            known = " ".join(self.names) + (f" {self.tail}…" if self.tail else "")
            raise ValueError(f"{match.group()} in '{line.strip()}' names no argument rightly; there are: {known}")

        return USE.sub(number, line)

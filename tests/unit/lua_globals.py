"""Which globals a Lua 5.1 chunk reads and writes, from its bytecode (as `luac -l` would list them)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from lupa import lua51

GETGLOBAL, SETGLOBAL = 5, 7


def globals_of(source: str) -> tuple[set[str], set[str]]:
    """(read, written) names. Raises lupa.LuaSyntaxError with the line for a syntax error."""
    runtime = lua51.LuaRuntime(encoding=None)
    dump = runtime.eval(b"function(source) return string.dump(assert(loadstring(source, 'script'))) end")
    reader = _Reader(dump(source.encode()))
    reader.skip(12)  # the header
    read: set[str] = set()
    written: set[str] = set()
    for opcode, name in reader.function():
        (read if opcode == GETGLOBAL else written).add(name)
    return read, written


class _Reader:
    """Walks the bytecode: 4-byte ints and instructions, 8-byte sizes and numbers."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def skip(self, count: int) -> None:
        self.at += count

    def integer(self) -> int:
        (value,) = struct.unpack_from("<i", self.data, self.at)
        self.skip(4)
        return int(value)

    def string(self) -> str:
        (size,) = struct.unpack_from("<Q", self.data, self.at)
        self.skip(8 + size)
        return self.data[self.at - size : self.at - 1].decode() if size else ""

    def function(self) -> Iterator[tuple[int, str]]:
        self.string()
        self.skip(4 + 4 + 4)  # lines; upvalues, parameters, vararg, stack size
        instructions = [self.integer() & 0xFFFFFFFF for _ in range(self.integer())]
        constants = [self.constant() for _ in range(self.integer())]
        for instruction in instructions:
            opcode = instruction & 0x3F
            if opcode in (GETGLOBAL, SETGLOBAL):
                yield opcode, str(constants[instruction >> 14])
        for _ in range(self.integer()):
            yield from self.function()
        self.skip(4 * self.integer())  # line numbers
        for _ in range(self.integer()):  # local names
            self.string()
            self.skip(8)
        for _ in range(self.integer()):  # upvalue names
            self.string()

    def constant(self) -> str | None:
        kind = self.data[self.at]
        self.skip(1)
        if kind == 4:
            return self.string()
        self.skip({0: 0, 1: 1, 3: 8}[kind])
        return None

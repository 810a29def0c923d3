"""What the scripts of a cycle take Redis, and the floor: scripts that send the same commands as literals, and no more.

Both are told by `usec` of EVALSHA in INFO commandstats, as the best of many short rounds: others may be at work, too.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.callers import Caller
from benchmarks.processes import Redis
from benchmarks.timing import finish

ROUNDS = 25
FROM_SCRIPT = re.compile(rb"\+\S+ \[\d+ lua\] (.*)")
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
OVER = b"that was all"


class ScriptTime(NamedTuple):
    """Microseconds of a cycle's two scripts, get_work and DONE, and of their floor; and the commands that they send."""

    scripts_us: float
    floor_us: float
    commands: list[list[bytes]]  # name and arguments of each


def script_time(redis: Redis, caller: Caller, worker: str, pending: int) -> ScriptTime:
    """Measure it, with half of so many tasks that are ready for this worker."""
    calls_each = pending // 2 // ROUNDS

    def cycle() -> None:
        reply = caller.call("get_work", worker=worker, host="build-7", assistant=False, current_tasks=[])
        finish(caller, worker, reply)

    sent = _sent_by_scripts(redis, cycle)
    calls = "".join(f"call({', '.join(map(_literal, command))})\n" for command in sent)
    floor = redis.client.script_load(f"local call = redis.call\n{calls}return 1")
    scripts_us, floor_us = [], []
    for _ in range(ROUNDS):
        scripts_us.append(_usec(redis, cycle, calls_each))
        floor_us.append(_usec(redis, lambda: redis.client.evalsha(floor, 0), calls_each))
    return ScriptTime(min(scripts_us), min(floor_us), sent)


def _usec(redis: Redis, call: Callable[[], Any], times: int) -> float:
    """Microseconds of scripts in one of so many calls."""
    redis.client.config_resetstat()
    for _ in range(times):
        call()
    stats: Any = redis.client.info("commandstats")
    return float(stats["cmdstat_evalsha"]["usec"]) / times


def _sent_by_scripts(redis: Redis, call: Callable[[], Any]) -> list[list[bytes]]:
    """The commands, name and arguments, that scripts send in this call."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.connect(redis.url.removeprefix("unix://"))
        listener.sendall(b"MONITOR\r\n")
        heard = listener.recv(100)
        call()
        redis.client.echo(OVER)
        while OVER not in heard:
            heard += listener.recv(1 << 16)
    lines = (FROM_SCRIPT.match(line) for line in heard.split(b"\r\n"))
    return [[_unescaped(word) for word in WORD.findall(line[1])] for line in lines if line]


def _unescaped(word: bytes) -> bytes:
    """The bytes of a word as MONITOR shows it."""
    return word.decode("unicode_escape").encode("latin-1")


def _literal(word: bytes) -> str:
    """The word as a text in Lua."""
    return (
        '"'
        + "".join(chr(byte) if byte in range(32, 127) and byte not in b'"\\' else f"\\{byte:03}" for byte in word)
        + '"'
    )

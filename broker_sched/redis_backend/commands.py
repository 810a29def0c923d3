"""What a method asks of Redis, apart from how it is carried there.

A method is a generator: it yields a `Call` or a `Read`, is sent the reply, and
returns its result. `Scheduler` drives it with a blocking client, the HTTP server
with an asynchronous one. No method is written twice.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

# Texts only. hiredis 3.5 crashes where Ctrl-C comes while it turns a number into one.
Argument: TypeAlias = str | bytes


class Call(NamedTuple):
    """Run one Lua script, atomically. The reply is what the script returns."""

    script: str  # file name below broker_sched/lua, without .lua
    args: tuple[Argument, ...]  # the script's own arguments, after the common header
    once: bool = False  # a repetition would do harm: send a request id, so that it gets the first answer


class Calls(NamedTuple):
    """Run one script with several arguments, each run atomic, in this order; the reply is a list. For what may be
    repeated."""

    script: str
    args: list[tuple[Argument, ...]]


class Await(NamedTuple):
    """Wait until a worker is woken; the reply is whether it was. See await_work.lua."""

    worker: str
    assistant: bool
    seconds: float  # at the most; 0: it waits no more


class Read(NamedTuple):
    """Send read-only commands together. Not atomic; the reply is a list, one item a command."""

    commands: list[tuple[Argument, ...]]  # ("HGETALL", key), …


T = TypeVar("T")
# What comes back is whatever Redis answers: nested lists, strings, integers, None.
Commands: TypeAlias = Generator[Call | Calls | Read | Await, Any, T]

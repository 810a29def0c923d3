"""What a method asks of Redis, apart from how it is carried there.

A method is a generator: it yields a `Call` or a `Read`, is sent the reply, and returns its result.
`scheduler/execution.py` turns each into what is sent to Redis. `Scheduler` carries that with a blocking connection,
`AsyncScheduler` with one that many requests share. No method is written twice.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from broker_sched.lua.arguments import Argument as Argument
from broker_sched.lua.loader import load


class Call:
    """Run one Lua script, atomically. The reply is what the script returns.

    script: its file name below broker_sched/lua, without .lua.
    once: a repetition would do harm, so a request id is sent, with which it gets the first answer.
    given: the script's arguments by the names in its @args line: texts, and a list of texts for one with … behind it.
    Raises TypeError for a name that is missing or that the script does not have.
    """

    __slots__ = ("args", "once", "script")

    def __init__(self, script: str, /, *, once: bool = False, **given: Argument | Sequence[Argument]) -> None:
        self.script = script
        self.once = once
        try:
            self.args = load(script).arguments.ordered(given)  # as the script takes them
        except TypeError as error:
            raise TypeError(f"A call of {script}.lua has wrong arguments: {error}.") from None


class Calls(NamedTuple):
    """Run scripts in one round trip, each run atomic, in this order; the reply is a list.

    After a loss all are sent again: those that must not run twice with their request ids.
    """

    calls: list[Call]


class Await(NamedTuple):
    """Wait until a worker is woken; the reply is whether it was. See await_work.lua."""

    worker: str
    assistant: bool
    seconds: float  # at the most; 0: it waits no more


class Read(NamedTuple):
    """Send commands that only read together. Not atomic; the reply is a list, one item a command.

    A replica would answer them, too: so whoever carries them asks now and then whether this is the primary.
    """

    commands: list[tuple[Argument, ...]]  # ("HGETALL", key), …


class Write(NamedTuple):
    """Send commands that write together. Not atomic; the reply is a list, one item a command. For what may be repeated.

    A replica refuses them.
    """

    commands: list[tuple[Argument, ...]]  # ("SET", key, value, "NX"), …


T = TypeVar("T")
# What comes back is whatever Redis answers: nested lists, strings, integers, None.
Command: TypeAlias = Call | Calls | Read | Write | Await
RawCommand: TypeAlias = Sequence[Argument]  # one command of Redis as it is sent: name and arguments
Commands: TypeAlias = Generator[Command, Any, T]

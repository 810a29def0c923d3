"""The one policy for what goes wrong on the way to Redis: what is done after each error reply and each lost connection.

| what came back | what is done |
| --- | --- |
| no error | done |
| NOSCRIPT | load the scripts that are called and send the same again, once |
| BSCHED_UNCONFIGURED | configure the namespace and send the same again, once |
| READONLY, MASTERDOWN, UNBLOCKED, MOVED, BSCHED_UNCONFIRMED | look anew for the primary and send again after a while |
| a connection lost: refused, broken, no reply in time | the same |
| LOADING, BUSY, TRYAGAIN, CLUSTERDOWN | send again after a while |
| BSCHED_REPAIRING | send again after a while, for longer |
| OOM, NOREPLICAS, MISCONF, NOAUTH, WRONGPASS, NOPERM, and any other error | fail |

It does no I/O and reads no clock: `Scheduler` and `AsyncScheduler` carry out what it says, each in its own way. They
differ in their Limits, and in nothing else. A call may be repeated since what must not happen twice has a request id.

One reader does not ask: `LongPolls`, since nobody waits for its replies. Whatever the error was, it wakes all who wait,
whose calls then come here, and reads on after a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import hiredis

from broker_sched.errors import BrokerSchedError, RedisUnavailable
from broker_sched.lua.loader import Script
from broker_sched.redis_backend.error_replies import (
    REPAIRING,
    RedisRefused,
    Unconfigured,
    translate,
)

ReplyError = hiredis.ReplyError  # an error reply, as it stands among the replies


class ConnectionLost(RedisUnavailable):
    """There was no connection, or it broke. Whether the commands in flight were carried out is unknown."""


class Limits(NamedTuple):
    """How long a call is repeated before its caller is told that Redis does not serve it."""

    attempts: int | None  # how often it is sent, at the most; None: as often as the time allows
    seconds: float  # from the first failure on
    repair_seconds: float  # the same while an index is repaired; such attempts are not counted
    first_wait_seconds: float  # between two attempts, doubled each time
    longest_wait_seconds: float


# A direct caller has nobody who would try again for it. Attempts count where a connection fails at once, and time
# where each attempt takes long: a Redis that accepts connections and does not answer.
DIRECT = Limits(attempts=5, seconds=10.0, repair_seconds=120.0, first_wait_seconds=0.2, longest_wait_seconds=1.6)
# A server's clients repeat their calls themselves, and a request that waits for long holds memory.
SERVER = Limits(attempts=None, seconds=3.0, repair_seconds=3.0, first_wait_seconds=0.05, longest_wait_seconds=0.8)


class SendAgain(NamedTuple):
    """What to do: wait so many seconds, then send the same again over the same connection."""

    seconds: float


class LookAnew(NamedTuple):
    """What to do: give up the connections, wait so many seconds, then send to wherever the primary is by then."""

    seconds: float
    reason: str
    is_lost: bool  # the connection that was used broke; else it leads to a server that is not the primary


class LoadScripts(NamedTuple):
    """What to do: load the scripts that are called, of which Redis lacks one, and send the same again at once."""


class Configure(NamedTuple):
    """What to do: make the namespace ready, as for the first contact, and send the same again."""


class Fail(NamedTuple):
    """What to do: raise this error, since trying again is no use, or was tried for long enough."""

    error: BrokerSchedError


Verdict: TypeAlias = SendAgain | LookAnew | LoadScripts | Configure | Fail
# What came back when commands were sent: a reply for each, or why there is none.
Outcome: TypeAlias = "Sequence[Any] | BrokerSchedError"
Failure: TypeAlias = "ReplyError | BrokerSchedError"


def failure_in(outcome: Outcome) -> Failure | None:
    """The first error among the replies, or why there are none. None: the commands were carried out."""
    if isinstance(outcome, BrokerSchedError):
        return outcome
    for reply in outcome:
        if isinstance(reply, ReplyError):
            return reply
    return None


class Recovery:
    """What is done about one call, or commands that are sent together, from the first failure on.

    limits: how long it is repeated. script: the one that is run, or the first of several; None where none is.
    """

    def __init__(self, limits: Limits, script: Script | None = None) -> None:
        self._limits = limits
        self._script = script
        self._first_failure: float | None = None
        self._attempts = 0  # those that count
        self._wait = limits.first_wait_seconds
        self._done: set[type[Verdict]] = set()  # what was tried at this server, and helps only once

    def after(self, failure: Failure, now: float) -> Verdict:
        """What to do after this failure. now: seconds of any clock that only rises, the same at each call."""
        if self._first_failure is None:
            self._first_failure = now
        if isinstance(failure, ConnectionLost):
            return self._after_loss(failure, now)
        if isinstance(failure, BrokerSchedError):
            return self._after_refused_reply(failure, now) if isinstance(failure, RedisRefused) else Fail(failure)
        message = str(failure)
        if message.startswith("NOSCRIPT") and self._script is not None and self._is_first(LoadScripts):
            return LoadScripts()  # SCRIPT FLUSH, a failover, another Redis
        error = translate(self._script, message)
        if isinstance(error, RedisRefused):
            return self._after_refused_reply(error, now)
        if isinstance(error, Unconfigured) and self._is_first(Configure):
            return Configure()  # somebody emptied Redis
        return Fail(error)

    def _after_loss(self, failure: ConnectionLost, now: float) -> Verdict:
        self._attempts += 1
        wait = self._next_wait(now, self._limits.seconds)
        if wait is not None:
            return LookAnew(wait, str(failure), is_lost=True)
        if isinstance(failure.__cause__, RedisRefused):  # the connection would have led to a replica
            return Fail(failure.__cause__)
        attempts = "1 attempt" if self._attempts == 1 else f"{self._attempts} attempts"
        error = RedisUnavailable(f"Redis did not answer after {attempts}: {failure}")
        error.__cause__ = failure
        return Fail(error)

    def _after_refused_reply(self, error: RedisRefused, now: float) -> Verdict:
        reply = error.reply
        if not (reply.look_anew or reply.is_passing):
            return Fail(error)
        is_repair = reply is REPAIRING
        self._attempts += not is_repair
        wait = self._next_wait(now, self._limits.repair_seconds if is_repair else self._limits.seconds)
        if wait is None:
            return Fail(error)
        return LookAnew(wait, f"Redis answered {reply.name}", False) if reply.look_anew else SendAgain(wait)

    def _next_wait(self, now: float, seconds: float) -> float | None:
        """How long to wait before the next attempt; None when there shall be none."""
        wait, limits = self._wait, self._limits
        has_attempts = limits.attempts is None or self._attempts < limits.attempts
        if not has_attempts or self._first_failure is None or now + wait > self._first_failure + seconds:
            return None
        self._wait = min(2 * wait, limits.longest_wait_seconds)
        self._done.clear()  # another server may answer next
        return wait

    def _is_first(self, kind: type[Verdict]) -> bool:
        is_first = kind not in self._done
        self._done.add(kind)
        return is_first

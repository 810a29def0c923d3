"""What Redis answers when it does not serve us now, or not here: one table for both transports.

A refused script has written nothing: Redis looks before it begins, or at its first write. So all of these may be
repeated, and none is a fault of the call. What follows is the same for both transports:

- `look_anew`: this server is not the right one (any more). Every connection is closed, so that the address, the
  Sentinels or the Cluster are asked again, and the call is repeated.
- `is_passing`: it is over soon. The call is repeated for some seconds.
- Everything else lasts. The caller is told at once.

In the end the caller gets RedisUnavailable with Redis's own name for it, an HTTP client 503. A worker waits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from broker_sched.errors import RedisUnavailable


class Refusal(NamedTuple):
    """One kind of answer, and what to do about it."""

    codes: tuple[str, ...]  # how the error reply begins
    texts: tuple[str, ...]  # what else tells it: Redis puts words of its own around a script's error
    meaning: str
    look_anew: bool = False
    is_passing: bool = False

    @property
    def name(self) -> str:
        """As Redis has it."""
        return self.codes[0]


REFUSALS = (
    Refusal(
        ("READONLY",),
        ("read only replica",),
        "this is a read only replica (READONLY): use the primary's URL, or Sentinel's",
        look_anew=True,
    ),
    Refusal(("MASTERDOWN",), (), "this replica has lost its primary (MASTERDOWN)", look_anew=True),
    Refusal(("UNBLOCKED",), (), "this server has become a replica (UNBLOCKED)", look_anew=True),
    Refusal(
        ("MOVED",),
        (),
        "this node of a Cluster does not have the namespace (MOVED): use redis+cluster://",
        look_anew=True,
    ),
    Refusal(("LOADING",), (), "Redis is still loading (LOADING)", is_passing=True),
    Refusal(("BUSY",), (), "Redis is busy with a script (BUSY)", is_passing=True),
    Refusal(
        ("TRYAGAIN", "ASK"),
        ("non local key", "TTL exhausted"),  # the latter is redis-py's, when it has tried again often enough
        "the Cluster is moving this namespace to another node (TRYAGAIN)",
        is_passing=True,
    ),
    Refusal(
        ("BSCHED_REPAIRING",),
        ("BSCHED_REPAIRING",),
        "an index of this namespace is being repaired (bsched verify --repair); it takes some seconds",
        is_passing=True,
    ),
    Refusal(("CLUSTERDOWN",), (), "the Cluster is down (CLUSTERDOWN)", is_passing=True),
    Refusal(("OOM",), ("when used memory",), "Redis is out of memory (OOM): raise maxmemory, or remove tasks"),
    Refusal(
        ("NOREPLICAS",),
        ("Not enough good replicas",),
        "too few replicas are there (NOREPLICAS): see min-replicas-to-write",
    ),
    Refusal(("MISCONF",), ("MISCONF",), "Redis can't write to its disk (MISCONF): see its log"),
    Refusal(
        ("NOAUTH",),
        ("unauthenticated multibulk length",),
        "Redis refuses (NOAUTH): it wants a password; put one into the URL",
    ),
    Refusal(("WRONGPASS",), (), "Redis refuses the user or the password (WRONGPASS)"),
    Refusal(
        ("NOPERM",),
        ("ACL failure in script", "can't run this command or subcommand", "can't access at least one of the keys"),
        "Redis refuses (NOPERM): its user may not do all that is needed; docs/operations.md has the list",
    ),
)
REPLICA = REFUSALS[0]
REPAIRING = next(each for each in REFUSALS if each.name == "BSCHED_REPAIRING")
NOPERM = next(each for each in REFUSALS if each.name == "NOPERM")
# redis-py takes the code off, and has a class for it; a class of its own for what it has given up.
_CODES = {
    "ReadOnlyError": "READONLY",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "BusyLoadingError": "LOADING",
    "AskError": "ASK",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "OutOfMemoryError": "OOM",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
}


class RedisRefused(RedisUnavailable):
    """Redis answered, and does not serve this now."""

    def __init__(self, refusal: Refusal, message: str = "") -> None:
        super().__init__(message or f"{refusal.meaning[0].upper()}{refusal.meaning[1:]}.")
        self.refusal = refusal


def refusal_in(message: str) -> Refusal | None:
    """What an error reply, as Redis sends it, refuses; None when it is another kind of error."""
    word = message.partition(" ")[0].lstrip("-")
    for refusal in REFUSALS:
        if word in refusal.codes or any(text in message for text in refusal.texts):
            return refusal
    return None


def message_of(error: Any) -> str:
    """The error reply that redis-py made this exception of, as Redis has sent it."""
    code = _CODES.get(type(error).__name__)
    return f"{code} {error}" if code else str(error)


def no_redis(error: Exception) -> RedisUnavailable:
    """What answers sends something that is no reply of Redis."""
    return RedisUnavailable(
        f"What answers at this address is no Redis ({error}). Is it the port of an HTTP server? A server's URL is "
        "given with --scheduler-url or --url; a Redis that wants TLS has a URL that begins with rediss://."
    )


def is_replica(reply: Any) -> bool:
    """Whether this reply to ROLE is a replica's. Who may not ask can't be told."""
    return isinstance(reply, list) and bool(reply) and reply[0] == "slave"

"""What each error reply of Redis means, as one of our errors.

A script that Redis refuses has written nothing: Redis looks before it begins, or at its first write. What replicas have
not confirmed was written, and has a request id where it must not be written twice. So every call that met one of these
replies may be repeated, and none is a fault of the call. `recovery.py` says what is done about each:

- `look_anew`: this server is not the right one (any more).
- `is_passing`: it is over soon.
- Everything else lasts.

In the end the caller gets RedisUnavailable with Redis's own name for it, an HTTP client 503. A worker waits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from broker_sched.contract.request_ids import HEADER
from broker_sched.errors import BrokerSchedError, InvalidArgument, RedisUnavailable, SchemaMismatch, ScriptError
from broker_sched.lua.loader import Script, locate
from broker_sched.redis_backend.namespace import SCHEMA_VERSION


class RefusedReply(NamedTuple):
    """One kind of error reply with which Redis does not serve a call now, or not at this server."""

    codes: tuple[str, ...]  # how the error reply begins
    texts: tuple[str, ...]  # what else tells it: Redis puts words of its own around a script's error
    meaning: str
    look_anew: bool = False
    is_passing: bool = False

    @property
    def name(self) -> str:
        """The word with which Redis begins such a reply."""
        return self.codes[0]


REFUSED_REPLIES = (
    RefusedReply(
        ("READONLY",),
        ("read only replica",),
        "this is a read only replica (READONLY): use the primary's URL, or Sentinel's",
        look_anew=True,
    ),
    RefusedReply(("MASTERDOWN",), (), "this replica has lost its primary (MASTERDOWN)", look_anew=True),
    RefusedReply(("UNBLOCKED",), (), "this server has become a replica (UNBLOCKED)", look_anew=True),
    RefusedReply(
        ("MOVED",),
        (),
        "this node of a Cluster does not have the namespace (MOVED): use redis+cluster://",
        look_anew=True,
    ),
    RefusedReply(("LOADING",), (), "Redis is still loading (LOADING)", is_passing=True),
    RefusedReply(("BUSY",), (), "Redis is busy with a script (BUSY)", is_passing=True),
    RefusedReply(
        ("TRYAGAIN", "ASK"),
        ("non local key", "TTL exhausted"),  # the latter is redis-py's, when it has tried again often enough
        "the Cluster is moving this namespace to another node (TRYAGAIN)",
        is_passing=True,
    ),
    RefusedReply(
        ("BSCHED_REPAIRING",),
        ("BSCHED_REPAIRING",),
        "an index of this namespace is being repaired (bsched verify --repair); it takes some seconds",
        is_passing=True,
    ),
    RefusedReply(("CLUSTERDOWN",), (), "the Cluster is down (CLUSTERDOWN)", is_passing=True),
    RefusedReply(("OOM",), ("when used memory",), "Redis is out of memory (OOM): raise maxmemory, or remove tasks"),
    RefusedReply(
        ("NOREPLICAS",),
        ("Not enough good replicas",),
        "too few replicas are there (NOREPLICAS): see min-replicas-to-write",
    ),
    RefusedReply(
        ("BSCHED_UNCONFIRMED",),
        (),
        "fewer replicas than replicas_ack of the Redis URL says have confirmed a change in time; the primary has it. "
        "See that they run and follow",
        look_anew=True,  # this may be a primary that was cut off, and replaced
    ),
    RefusedReply(("MISCONF",), ("MISCONF",), "Redis can't write to its disk (MISCONF): see its log"),
    RefusedReply(
        ("NOAUTH",),
        ("unauthenticated multibulk length",),
        "Redis refuses (NOAUTH): it wants a password; put one into the URL",
    ),
    RefusedReply(("WRONGPASS",), (), "Redis refuses the user or the password (WRONGPASS)"),
    RefusedReply(
        ("NOPERM",),
        ("ACL failure in script", "can't run this command or subcommand", "can't access at least one of the keys"),
        "Redis refuses (NOPERM): its user may not do all that is needed; `bsched redis acl` prints what is",
    ),
)
REPLICA = REFUSED_REPLIES[0]
REPAIRING = next(each for each in REFUSED_REPLIES if each.name == "BSCHED_REPAIRING")
UNCONFIRMED = next(each for each in REFUSED_REPLIES if each.name == "BSCHED_UNCONFIRMED")
NOPERM = next(each for each in REFUSED_REPLIES if each.name == "NOPERM")
# What stands in place of the schema's version while nobody may work on a namespace: lua/lib/core/import_claim.lua.
IMPORTING = RefusedReply(
    ("importing",),
    (),
    "an import into this namespace goes on, or was broken off; wait for its end, or import again (`bsched import`), "
    "which begins anew",
)
MIGRATING = RefusedReply(
    ("migrating",),
    (),
    "this namespace is being brought to another schema, or that was broken off; wait for its end, or run "
    "`bsched migrate`, which goes on",
)
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


class Unconfigured(BrokerSchedError):
    """The namespace has no configuration: nobody has used it yet, or somebody emptied Redis."""


class RedisRefused(RedisUnavailable):
    """Redis answered, and does not serve the call now. `reply` says which kind of error reply it was."""

    def __init__(self, reply: RefusedReply, message: str = "") -> None:
        super().__init__(message or f"{reply.meaning[0].upper()}{reply.meaning[1:]}.")
        self.reply = reply


def refused_reply_in(message: str) -> RefusedReply | None:
    """Which refused reply an error reply is, as Redis sends it; None when it is another kind of error."""
    word = message.partition(" ")[0].lstrip("-")
    for kind in REFUSED_REPLIES:
        if word in kind.codes or any(text in message for text in kind.texts):
            return kind
    return None


def translate(script: Script | None, message: str) -> BrokerSchedError:
    """The error of ours that stands for an error reply. script: the one that was run, if any.

    Redis 7 puts `ERR ` and the script's sha around a script's own message.
    """
    if "BSCHED_UNCONFIGURED" in message:
        return Unconfigured("The namespace is gone from Redis.")
    if "BSCHED_SCHEMA" in message:
        found = message.split("BSCHED_SCHEMA ", 1)[1].split()[0]
        return schema_error(found)
    if "BSCHED_LATE" in message:
        latest = message.split("BSCHED_LATE ", 1)[1].split()[0]
        return InvalidArgument(
            HEADER,
            f"is not above {latest}, a number for which its caller has had an answer: this is a late copy of a call "
            "that was answered, the caller's numbers do not rise, or a repetition lacks its '!'. It was not done",
        )
    if kind := refused_reply_in(message):
        return RedisRefused(kind)
    if script is None:
        return ScriptError(f"Redis answered with an error: {message}")
    return ScriptError(f"A script failed in {script.name}.lua: {locate(script, message)}")


def schema_error(found: str) -> BrokerSchedError:
    """Return the error that stands for a schema which is not this program's. found: as `config` has it."""
    if found == IMPORTING.name:
        return RedisRefused(IMPORTING)
    if ">" in found:  # from one to another
        return RedisRefused(MIGRATING)
    return SchemaMismatch(found, SCHEMA_VERSION)


def message_of(error: Any) -> str:
    """The error reply that redis-py made this exception of, as Redis has sent it."""
    code = _CODES.get(type(error).__name__) or _login_code(error)
    return f"{code} {error}" if code else str(error)


def _login_code(error: Any) -> str | None:
    """The code that redis-py took off a refused login: it has one class for two codes. None for other errors."""
    if type(error).__name__ != "AuthenticationError":
        return None
    return "NOAUTH" if "required" in str(error) else "WRONGPASS"


def no_redis(error: Exception) -> RedisUnavailable:
    """The error for an address at which something answers that does not speak Redis's protocol."""
    return RedisUnavailable(
        f"What answers at this address is no Redis ({error}). Is it the port of an HTTP server? A server's URL is "
        "given with --scheduler-url or --url; a Redis that wants TLS has a URL that begins with rediss://."
    )


def is_replica(reply: Any) -> bool:
    """Whether a reply to ROLE is a replica's. Not known, so False, where Redis's user may not ask."""
    return isinstance(reply, list) and bool(reply) and reply[0] == "slave"

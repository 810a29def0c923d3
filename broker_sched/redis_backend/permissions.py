"""What is said to a user of Redis who may not do all that is needed.

A script that is refused one of its commands has carried out those before it. So it is found out before the first: when
a process begins, when a server is asked whether it is ready, and again after Redis has refused anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from broker_sched.redis_backend.error_replies import NOPERM, RedisRefused

_COMMAND = re.compile(r"run the '([^']+)' command")
WHERE_TO_LOOK = "`bsched redis acl` prints what is needed"


def denied(commands: Sequence[str], user: str, use: str) -> RedisRefused:
    """The error for a user of Redis who may not run these commands; its message has the ACL rule that grants them.

    user: as Redis calls it, '' where that is not known. use: what it is needed for, as `bsched redis acl --for` has it.
    """
    grants = " ".join(f"+{name.lower()}" for name in commands)
    return RedisRefused(
        NOPERM,
        f"Redis refuses (NOPERM): {_named(user)} may not run {', '.join(commands)}, and nothing is begun that would "
        f"break off there. Grant it: ACL SETUSER {user or '<user>'} {grants}; `bsched redis acl --for {use}` prints "
        "all that is needed.",
    )


def only_looking(user: str, what: str) -> RedisRefused:
    """The error for a user of Redis who may only look, of whom a change is asked. what: what it is."""
    return RedisRefused(
        NOPERM,
        f"Redis refuses (NOPERM): {_named(user)} may only look, and {what} would change something. Nothing was "
        "changed; `bsched redis acl --for worker` prints what is needed for that.",
    )


def refused(user: str, message: str) -> RedisRefused:
    """The error for an error reply (NOPERM) of Redis, which names the user and, where Redis tells it, the command."""
    found = _COMMAND.search(message)
    if found is not None:
        what = f"may not run {found[1].upper()}"
    elif "keys" in message:
        what = "may not use a key of this namespace"
    else:
        what = "may not do all that is needed"
    return RedisRefused(NOPERM, f"Redis refuses (NOPERM): {_named(user)} {what}; {WHERE_TO_LOOK}.")


def _named(user: str) -> str:
    return f"Redis user {user}" if user else "its user"

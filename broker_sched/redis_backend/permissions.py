"""What a user of Redis must be allowed to do for us, and what is said when it is not.

A script that is refused one of its commands has carried out those before it. So it is found out before the first: when
a process begins, when a server is asked whether it is ready, and again after Redis has refused anything.
"""

from __future__ import annotations

import re

from broker_sched.lua.loader import sources
from broker_sched.redis_backend.error_replies import NOPERM, RedisRefused

# What we send outside scripts, and what for.
PLAIN = {
    "BLPOP": "a worker waits for work",
    "CLIENT|SETINFO": "redis-py names itself; not needed",
    "CLIENT|SETNAME": "a server names its connections; not needed",
    "EVALSHA": "every call",
    "PING": "the embedded server is asked whether it answers",
    "ROLE": "whether this is the primary",
    "SCAN": "verify, and which namespaces there are",
    "SCRIPT|EXISTS": "/readyz",
    "SCRIPT|LOAD": "a script that Redis does not have yet",
    "SELECT": "a URL with a database number",
    "TYPE": "verify",
    "XLEN": "verify",
}
# What a Cluster takes besides.
CLUSTER = ("ASKING", "CLUSTER", "COMMAND")
_CALL = re.compile(r"\bcall\(\s*'([A-Z]+)'")


def needed() -> list[str]:
    """Every command, those of the scripts as their sources have them."""
    called = {name for source in sources() for name in _CALL.findall(source)}
    return sorted(called | set(PLAIN))


def rule(user: str = "bsched") -> str:
    """The ACL rule for a user that may do what is needed and no more."""
    granted = " ".join(f"+{name.lower()}" for name in needed())
    return f"ACL SETUSER {user} on >PASSWORD resetkeys ~bsched:* resetchannels -@all {granted}"


def denied(commands: list[str]) -> RedisRefused:
    """The error for a user of Redis who may not run these commands; its message has the ACL rule that grants them."""
    grants = " ".join(f"+{name.lower()}" for name in commands)
    return RedisRefused(
        NOPERM,
        f"Redis refuses (NOPERM): its user may not run {', '.join(commands)}, and nothing is begun that would break "
        f"off there. Grant it: ACL SETUSER <user> {grants}; docs/operations.md has all that is needed.",
    )

"""What is said to a user of Redis who may not do all that is needed.

A script that is refused one of its commands has carried out those before it. So it is found out before the first: when
a process begins, when a server is asked whether it is ready, and again after Redis has refused anything.
"""

from __future__ import annotations

from broker_sched.redis_backend.error_replies import NOPERM, RedisRefused


def denied(commands: list[str]) -> RedisRefused:
    """The error for a user of Redis who may not run these commands; its message has the ACL rule that grants them."""
    grants = " ".join(f"+{name.lower()}" for name in commands)
    return RedisRefused(
        NOPERM,
        f"Redis refuses (NOPERM): its user may not run {', '.join(commands)}, and nothing is begun that would break "
        f"off there. Grant it: ACL SETUSER <user> {grants}; docs/operations.md has all that is needed.",
    )

"""Which namespaces a Redis holds."""

from __future__ import annotations

import difflib
import re
import time

from broker_sched.redis_backend.error_replies import NOPERM, RedisRefused
from broker_sched.redis_backend.namespace import prefix_of
from broker_sched.redis_backend.sync_connection import SyncConnection

LOOK_SECONDS = 2.0  # a Redis of millions of other keys is not looked through to its end
_CONFIG = re.compile(r"bsched:\{(.+)\}:config")


def exists(connection: SyncConnection, namespace: str) -> bool:
    """Whether anybody has ever made this namespace ready. Raises RedisUnavailable when Redis is away."""
    return bool(connection.ask("HEXISTS", f"{prefix_of(namespace)}config", "schema"))


def existing(connection: SyncConnection) -> list[str]:
    """The namespaces that are there, sorted, as far as they are found within 2 s. Raises as `exists`."""
    found = set()
    until = time.monotonic() + LOOK_SECONDS
    for key in connection.keys("bsched:{*}:config"):
        match = _CONFIG.fullmatch(key)
        if match:
            found.add(match.group(1))
        if time.monotonic() > until:
            break
    return sorted(found)


def listable(connection: SyncConnection) -> list[str] | None:
    """Return the namespaces that are there; None where Redis's user may not list them, as only an admin may.

    Raises as `exists`.
    """
    try:
        return existing(connection)
    except RedisRefused as error:
        if error.reply is not NOPERM:
            raise
        return None


def missing(namespace: str, found: list[str] | None, where: str) -> str:
    """The message that tells of a namespace which is not there, and of those that are. found: as of `listable`."""
    if found is None:
        return (
            f"There is no namespace {namespace} in {where}, and this user of Redis may not list those that are there."
        )
    if not found:
        return (
            f"There is no namespace {namespace} in {where}, and no other: nothing has used it yet. `bsched server`, "
            "`bsched worker` and `bsched submit` make one. Is it the right Redis (--redis, BSCHED_REDIS)?"
        )
    close = difflib.get_close_matches(namespace, found, 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    shown = ", ".join(found[:20]) + (", …" if len(found) > 20 else "")
    return f"There is no namespace {namespace} in {where}.{hint} There: {shown} (--namespace, BSCHED_NAMESPACE)."

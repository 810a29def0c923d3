"""How a Call becomes an EVALSHA, and how Redis's errors become ours. Shared by both transports."""

from __future__ import annotations

import os
import random

from broker_sched.clock import Clock, stamp
from broker_sched.errors import BrokerSchedError, RedisUnavailable, SchemaMismatch, ScriptError
from broker_sched.lua.loader import Script, load, locate
from broker_sched.scheduler.keys import SCHEMA_VERSION
from broker_sched.scheduler.space import Space
from broker_sched.steps import Argument, Call


class Unconfigured(BrokerSchedError):
    """The namespace has no configuration: new, or flushed. The driver runs `configure` and calls again."""


# Error replies that say: not now, or not here. A script refused at its first write has written nothing; then
# Redis puts words of its own around the reply, and redis-py takes off the code, so look for what stays.
REFUSALS = {
    "when used memory": "Redis is out of memory (OOM): raise maxmemory, or remove tasks",
    "read only replica": "this is a read only replica (READONLY): use the primary's URL, or Sentinel's",
    "Not enough good replicas": "too few replicas are there (NOREPLICAS)",
    "MISCONF": "Redis can't write to its disk (MISCONF)",
    "LOADING": "Redis is still loading",
    "BUSY Redis is busy": "Redis is busy with another script",
    "MASTERDOWN": "this replica has lost its primary",
    "CLUSTERDOWN": "the Cluster is down",
    "TRYAGAIN": "the Cluster is moving keys",
    "unauthenticated multibulk length": "Redis refuses: it wants a password; put one into the URL",
    "NOAUTH": "Redis refuses: it wants a password; put one into the URL",
    "WRONGPASS": "Redis refuses the user or the password (WRONGPASS)",
    "NOPERM": "Redis refuses: this user may not run scripts on these keys",
}


_weights = random.Random()  # our own: nobody seeds it but the system, in each process anew
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_weights.seed)


def evalsha(space: Space, clock: Clock | None, call: Call, request_id: str) -> tuple[Script, list[Argument]]:
    """The script and the command that runs it.

    The header every script expects: prefix, schema version, time ('' for Redis TIME), request id ('' for
    none: a repeated id gets the first answer), and 48 random bits for a new worker's share of class keys.
    """
    script = load(call.script)
    header: list[Argument] = [
        space.prefix,
        str(SCHEMA_VERSION),
        stamp(clock),
        request_id,
        str(_weights.getrandbits(48)),
    ]
    return script, ["EVALSHA", script.sha, "1", space.key("config"), *header, *call.args]


def translate(script: Script | None, message: str) -> BrokerSchedError:
    """Our error for an error reply. Redis 7 puts `ERR ` and the script's sha around a script's own message."""
    if "BSCHED_UNCONFIGURED" in message:
        return Unconfigured("The namespace is gone from Redis.")
    if "BSCHED_SCHEMA" in message:
        found = message.split("BSCHED_SCHEMA ", 1)[1].split()[0]
        return SchemaMismatch(found, SCHEMA_VERSION)
    for sign, meaning in REFUSALS.items():
        if sign in message:
            return RedisUnavailable(f"{meaning}.")
    where = f" in {script.name}.lua" if script else ""
    return ScriptError(f"A script failed{where}: {locate(script, message) if script else message}")

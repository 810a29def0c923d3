"""How a Call becomes an EVALSHA, and how Redis's errors become ours. Shared by both transports."""

from __future__ import annotations

import secrets

from broker_sched.clock import Clock, stamp
from broker_sched.errors import BrokerSchedError, RedisUnavailable, SchemaMismatch, ScriptError
from broker_sched.lua.loader import Script, load, locate
from broker_sched.scheduler.keys import SCHEMA_VERSION
from broker_sched.scheduler.space import Space
from broker_sched.steps import Argument, Call


class Unconfigured(BrokerSchedError):
    """The namespace has no configuration: new, or flushed. The driver runs `configure` and calls again."""


# Prefixes of an error reply that say: not now, try again.
TRY_AGAIN = ("LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "NOREPLICAS", "MISCONF")


def evalsha(space: Space, clock: Clock | None, call: Call, request_id: str) -> tuple[Script, list[Argument]]:
    """The script and the command that runs it.

    The header every script expects: prefix, schema version, time ('' for Redis TIME), request id ('' for
    none: a repeated id gets the first answer), and 48 random bits for a new worker's share of class keys.
    """
    script = load(call.script)
    header: list[Argument] = [
        space.prefix,
        SCHEMA_VERSION,
        stamp(clock),
        request_id,
        secrets.randbits(48),
    ]
    return script, ["EVALSHA", script.sha, 1, space.key("config"), *header, *call.args]


def translate(script: Script | None, message: str) -> BrokerSchedError:
    """Our error for an error reply. Redis 7 puts `ERR ` and the script's sha around a script's own message."""
    if "BSCHED_UNCONFIGURED" in message:
        return Unconfigured("The namespace is gone from Redis.")
    if "BSCHED_SCHEMA" in message:
        found = message.split("BSCHED_SCHEMA ", 1)[1].split()[0]
        return SchemaMismatch(found, SCHEMA_VERSION)
    if message.startswith(TRY_AGAIN):
        return RedisUnavailable(f"Redis can't serve now: {message}")
    if "unauthenticated multibulk length" in message:  # how it puts NOAUTH for a call with many arguments
        return RedisUnavailable("Redis refuses: it wants a password; put one into the URL.")
    if message.startswith(("NOAUTH", "WRONGPASS", "NOPERM", "OOM")):
        return RedisUnavailable(f"Redis refuses: {message}")
    where = f" in {script.name}.lua" if script else ""
    return ScriptError(f"A script failed{where}: {locate(script, message) if script else message}")

"""How a Call becomes an EVALSHA, and how Redis's errors become ours. Shared by both transports."""

from __future__ import annotations

import os
import random

from broker_sched.clock import Clock, stamp
from broker_sched.contract.request_ids import HEADER
from broker_sched.errors import BrokerSchedError, InvalidArgument, SchemaMismatch, ScriptError
from broker_sched.lua.loader import Script, load, locate
from broker_sched.redis_backend.commands import Argument, Call
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace
from broker_sched.redis_backend.recovery import RedisRefused, refusal_in


class Unconfigured(BrokerSchedError):
    """The namespace has no configuration: new, or flushed. The driver runs `configure` and calls again."""


_weights = random.Random()  # our own: nobody seeds it but the system, in each process anew
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_weights.seed)


def evalsha(namespace: Namespace, clock: Clock | None, call: Call, request_id: str) -> tuple[Script, list[Argument]]:
    """The script and the command that runs it.

    The header every script expects: prefix, schema version, time ('' for Redis TIME), request id ('' for
    none: a repeated id gets the first answer), and 48 random bits for a new worker's share of class keys.

    A script names its keys as it goes. In a Cluster that is moving their slot it would be stopped at the first one that
    is elsewhere, after it has written others. So it declares a key that is never there: then the Cluster refuses the
    call before it begins, and takes it when all keys have arrived.
    """
    script = load(call.script)
    header: list[Argument] = [
        namespace.prefix,
        str(SCHEMA_VERSION),
        stamp(clock),
        request_id,
        str(_weights.getrandbits(48)),
    ]
    return script, ["EVALSHA", script.sha, "2", namespace.key("config"), namespace.key("nothing"), *header, *call.args]


def translate(script: Script | None, message: str) -> BrokerSchedError:
    """Our error for an error reply. Redis 7 puts `ERR ` and the script's sha around a script's own message."""
    if "BSCHED_UNCONFIGURED" in message:
        return Unconfigured("The namespace is gone from Redis.")
    if "BSCHED_SCHEMA" in message:
        found = message.split("BSCHED_SCHEMA ", 1)[1].split()[0]
        return SchemaMismatch(found, SCHEMA_VERSION)
    if "BSCHED_LATE" in message:
        latest = message.split("BSCHED_LATE ", 1)[1].split()[0]
        return InvalidArgument(
            HEADER,
            f"is lower than {latest}, a number for which its caller has had an answer: this is a late copy of an older "
            "call, or the caller's numbers do not rise. It was not carried out",
        )
    if refusal := refusal_in(message):
        return RedisRefused(refusal)
    where = f" in {script.name}.lua" if script else ""
    return ScriptError(f"A script failed{where}: {locate(script, message) if script else message}")

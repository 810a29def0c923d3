"""How a script call becomes an EVALSHA, with the header that every script expects."""

from __future__ import annotations

import os
import random

from broker_sched.clock import Clock, stamp
from broker_sched.contract.request_ids import is_name
from broker_sched.log_lines import field_here
from broker_sched.lua.loader import Script, load
from broker_sched.redis_backend.commands import Argument, Call
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace

_weights = random.Random()  # our own: nobody seeds it but the system, in each process anew
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_weights.seed)


def evalsha(namespace: Namespace, clock: Clock | None, call: Call, request_id: str) -> tuple[Script, list[Argument]]:
    """The script and the command that runs it.

    The header every script expects: prefix, schema version, time ('' for Redis TIME), request id ('' for
    none: a repeated id gets the first answer), and 48 random bits for a new worker's share of class keys.

    A script names its keys as it goes. In a Cluster that is moving their slot it would be stopped at the first one that
    is elsewhere, after it has written others. So it declares a key that is never there: then the Cluster refuses the
    call before it begins, and takes it when all keys have arrived. That key's name ends with the id of the request that
    is being answered, where its client has named it: so SLOWLOG and MONITOR show it.
    """
    script = load(call.script)
    name = field_here("request_id")
    nothing = namespace.key("nothing") if name is None or not is_name(name) else namespace.key("nothing", name)
    header: list[Argument] = [
        namespace.prefix,
        str(SCHEMA_VERSION),
        stamp(clock),
        request_id,
        str(_weights.getrandbits(48)),
    ]
    return script, ["EVALSHA", script.sha, "2", namespace.key("config"), nothing, *header, *call.args]

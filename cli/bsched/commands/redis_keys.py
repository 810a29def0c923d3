"""`bsched redis keys`: where in Redis a task or a worker is, for whoever looks with redis-cli."""

from __future__ import annotations

import shlex
from typing import Any

import click

from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.scheduler.held_keys import keys_of_task, keys_of_worker
from bsched.checked_scheduler import CheckedScheduler
from bsched.options.namespace import connected
from bsched.options.place import Place, redis_options
from bsched.output import Output, column, json_option

COLUMNS = (column("Key"), column("Type"), column("Command"))


@click.command()
@click.argument("name", metavar="TASK|WORKER")
@redis_options
@json_option
def keys(name: str, place: Place, output: Output) -> None:
    """List the keys that hold a task or a worker, each with the redis-cli command that shows what it says.

    Keys are for looking only: the scheduler's scripts write them, and several together.
    """
    scheduler = place.existing()
    with connected(place.redis_url) as connection:
        namespace = Namespace.named(place.namespace)
        found = [*keys_of_task(connection, namespace, name), *keys_of_worker(connection, namespace, name)]
        program = redis_cli(connection)
    if not found:
        CheckedScheduler(scheduler).refuse_unknown(name)
    output.rows(
        [{"key": each.key, "type": each.type, "command": shlex.join([*program, *each.command])} for each in found],
        COLUMNS,
    )


def redis_cli(connection: SyncConnection) -> list[str]:
    """Return `redis-cli` with the options that lead to this Redis, as far as they are known; without a password."""
    kwargs: dict[str, Any] = connection.client.get_connection_kwargs()
    words = ["redis-cli"]
    if kwargs.get("path"):
        words += ["-s", str(kwargs["path"])]
    elif kwargs.get("host"):
        words += ["-h", str(kwargs["host"]), "-p", str(kwargs.get("port", 6379))]
    if kwargs.get("db"):
        words += ["-n", str(kwargs["db"])]
    return words

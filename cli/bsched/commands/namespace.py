"""`bsched namespace`: the schedulers that a Redis holds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import click

from broker_sched.redis_backend.namespace import SCHEMA_VERSION, prefix_of
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.redis_backend.urls import describe
from broker_sched.scheduler.existing_namespaces import existing, exists, missing
from broker_sched.scheduler.namespace_deletion import delete_namespace
from bsched.options.namespace import checked_namespace, connected, open_scheduler, patiently, redis_url_option
from bsched.output import Column, Output, column, json_option, number, quantity
from bsched.progress import counting
from bsched.questions import ask_before

STATES = ("READY", "RUNNING", "WAITING", "FAILED")


def _tasks(title: str, *states: str) -> Column:
    """How many tasks are in these states; all without any. `-` where that is not known."""

    def count(each: Mapping[str, Any]) -> str:
        tasks = each["tasks"]
        return number(None if tasks is None else sum(tasks.get(state, 0) for state in states or tasks))

    return Column(title, count, True)


COLUMNS = (
    column("Namespace"),
    _tasks("Tasks"),
    *(_tasks(state.title(), state) for state in STATES),
    Column("Workers", lambda each: number(each["workers"]["active"] if each["workers"] else None), True),
    column("Paused"),
    column("Schema"),
)


@click.group()
def namespace() -> None:
    """Show and delete the namespaces of a Redis. Schedulers on one namespace are one scheduler."""


@namespace.command("list")
@redis_url_option
@json_option
def list_(redis_url: str | None, output: Output) -> None:
    """List the namespaces of this Redis, as far as they are found within two seconds."""
    with connected(redis_url) as connection:
        names = patiently(lambda: existing(connection), redis_url)
        output.rows([_standing(connection, redis_url, name) for name in names], COLUMNS, "No namespaces.")


@namespace.command()
@click.argument("name", callback=checked_namespace)
@click.option("--force", is_flag=True, help="Though servers or workers are alive on it, which make it anew.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@redis_url_option
@json_option
def delete(name: str, force: bool, yes: bool, redis_url: str | None, output: Output) -> None:
    """Delete a namespace with all that is in it, for good. One that is in use is left as it is, without --force."""
    with connected(redis_url) as connection:
        if not patiently(lambda: exists(connection, name), redis_url):
            raise click.ClickException(missing(name, existing(connection), f"Redis {describe(redis_url)}"))
        deletion = delete_namespace(connection, name, force=force)
        tasks = _standing(connection, redis_url, name)["tasks"]
        holding = "" if tasks is None else f" with {quantity(sum(tasks.values()), 'task')}"
        ask_before(f"Delete namespace {name}{holding} for good", yes)
        keys = 0
        with counting("keys deleted") as tell:
            for keys in deletion:
                tell(keys)
    told = {"namespace": name, "keys": keys}
    output.thing(told, lambda: f"Namespace {name} is deleted, {quantity(keys, 'key')}.")


def _standing(connection: SyncConnection, redis_url: str | None, name: str) -> dict[str, Any]:
    """A namespace in a listing: with fields of `overview`; null are those of one that another version wrote."""
    schema = connection.ask("HGET", f"{prefix_of(name)}config", "schema")
    told: dict[str, Any] = {"namespace": name, "schema": schema, "tasks": None, "workers": None, "paused": None}
    if schema == SCHEMA_VERSION:
        with closing(open_scheduler(redis_url, name)) as scheduler:
            found = scheduler.overview()
        told |= {field: found[field] for field in ("tasks", "workers", "paused")}
    return told

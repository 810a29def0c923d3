"""`bsched migrate`: bring a namespace of an earlier release to the schema of this one."""

from __future__ import annotations

import click

from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.auditing import audited_here, nothing
from broker_sched.scheduler.integrity.migrations import Migration
from broker_sched.scheduler.maintenance import Maintenance
from bsched.options.namespace import refuse_missing
from bsched.options.place import Place, redis_options
from bsched.output import Output, json_option
from bsched.progress import live_line
from bsched.signals import ending_tidily


@click.command()
@redis_options
@json_option
def migrate(place: Place, output: Output) -> None:
    """Bring the namespace to the schema of this release, after the programs of the older one have ended.

    It is done in short parts; meanwhile every other call is refused. One that was broken off goes on when this is
    called again. A namespace that has the schema already is left as it is.
    """
    refuse_missing(place.redis_url, place.namespace)
    scheduler = Maintenance(place.redis_url, place.namespace, prune_interval_seconds=None)
    click.get_current_context().call_on_close(scheduler.close)
    scheduler.require_permissions()
    migration = Migration(scheduler.namespace)
    with (
        ending_tidily("`bsched migrate` goes on where this has ended."),
        live_line(lambda: f"{migration.of - migration.left:,} of {migration.of:,} tasks"),
    ):
        scheduler.drive(migration.commands())
    if migration.first not in (None, SCHEMA_VERSION):  # before, no script of this release could be run
        asked = {"from": migration.first, "to": SCHEMA_VERSION}
        scheduler.drive(audited_here(scheduler.namespace, "migrate", asked, nothing()))
    done = {"namespace": place.namespace, "from": migration.first, "to": SCHEMA_VERSION}
    output.thing(done, lambda: _told(place.namespace, str(migration.first)))


def _told(namespace: str, first: str) -> str:
    if first == SCHEMA_VERSION:
        return f"Namespace {namespace} has schema {first} already."
    return (
        f"Namespace {namespace} went from schema {first.partition('>')[0]} to {SCHEMA_VERSION}; start the new release."
    )

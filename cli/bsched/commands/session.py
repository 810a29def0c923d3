"""`bsched session`: the browsers that have logged in at a namespace's servers."""

from __future__ import annotations

import click

from broker_sched.scheduler.auditing import audited_here
from broker_sched.scheduler.operations.sessions import list_sessions, revoke_sessions
from bsched.checked_scheduler import missing
from bsched.options.place import Place, redis_options
from bsched.output import Output, column, json_option, quantity, when

COLUMNS = (
    *(column("Id"), column("Name"), column("Kind"), column("Started", form=when), column("Last used", form=when)),
    *(column("Ends", form=when), column("Address"), column("Browser")),
)
NONE = "Nobody has logged in with a browser."


@click.group()
def session() -> None:
    """List and end the sessions of browsers that have logged in at the servers of a namespace."""


@session.command("list")
@redis_options
@json_option
def list_(place: Place, output: Output) -> None:
    """List the sessions: who logged in, from where, and when each ends at the latest."""
    scheduler = place.existing()
    output.rows(scheduler.drive(list_sessions(scheduler.namespace)), COLUMNS, NONE)


@session.command()
@click.argument("session_id", metavar="[ID]", required=False)
@click.option("--name", help="All sessions of this user or token.")
@click.option("--all", "is_all", is_flag=True, help="All that there are.")
@redis_options
@json_option
def revoke(session_id: str | None, name: str | None, is_all: bool, place: Place, output: Output) -> None:
    """End a session, or all of somebody, on all servers within a second: who has it must log in again."""
    if (session_id is not None) + (name is not None) + is_all != 1:
        raise click.UsageError("Give the ID of a session, --name, or --all.")
    scheduler = place.existing()
    commands = revoke_sessions(scheduler.namespace, session_id=session_id, name=name)
    asked = {"id": session_id, "name": name, "all": is_all}
    count = scheduler.drive(audited_here(scheduler.namespace, "session revoke", asked, commands))
    if session_id is not None and not count:
        ids = [each["id"] for each in scheduler.drive(list_sessions(scheduler.namespace))]
        raise missing("session", session_id, ids, "bsched session list shows all")
    output.thing({"revoked": count}, lambda: f"{quantity(count, 'session')} ended.")

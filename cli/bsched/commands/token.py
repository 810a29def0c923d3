"""`bsched token`: what programs log in with at a server that wants to know who asks."""

from __future__ import annotations

from typing import Any

import click

from broker_sched.contract.roles import Role
from broker_sched.scheduler.auditing import audited_here
from broker_sched.scheduler.operations.tokens import create_token, list_tokens, revoke_token
from broker_sched.this_user import user_at_host
from bsched.checked_scheduler import missing
from bsched.options.durations import duration
from bsched.options.place import Place, redis_options
from bsched.output import Output, column, json_option, when

COLUMNS = (
    *(column("Id"), column("Name"), column("Role"), column("Created", form=when), column("Expires", form=when)),
    *(column("Last used", form=when), column("By")),
)
NONE = "There are no tokens here. bsched token create --role worker makes one."
MAX_NAME = 100  # characters


@click.group()
def token() -> None:
    """Make, list and revoke the tokens with which programs log in at the servers of a namespace.

    A token is sent as `Authorization: Bearer TOKEN`, or as the password of any user: http://token:TOKEN@host:8082.
    Servers take tokens that want to know who asks; docs/security.md says which do.
    """


def _checked_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.isprintable() or len(value) > MAX_NAME:
        raise click.BadParameter(f"A name has no control characters, and {MAX_NAME} characters at the most.")
    return value


@token.command()
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    required=True,
    help="What its holder may do: docs/security.md has the table.",
)
@click.option("--name", default="", callback=_checked_name, help="Who or what holds it, for people.")
@click.option(
    "--expires",
    "seconds",
    type=duration(least_seconds=1),
    metavar="TIME",
    help="Until it is refused, from now on: 12h, 90d, 4w. It holds for ever if not given.",
)
@redis_options
@json_option
def create(role: str, name: str, seconds: float | None, place: Place, output: Output) -> None:
    """Make a token, and print it: only now, since its SHA-256 is all that is kept.

    Nothing else is printed on stdout: bsched token create --role worker > /etc/bsched/token
    """
    scheduler = place.existing()
    making = create_token(scheduler.namespace, name=name, role=Role(role), by=user_at_host(), seconds=seconds)
    asked = {"name": name, "role": role, "expires_seconds": seconds}
    made = scheduler.drive(audited_here(scheduler.namespace, "token create", asked, making))
    told: dict[str, Any] = {"token": made.secret, "id": made.id, "name": name, "role": role, "expires": made.expires}
    output.thing(told, lambda: made.secret)
    until = "It never expires" if made.expires is None else f"It expires {when(made.expires)}"
    output.note(
        f"The token {made.id} can't be shown again. {until}; end it: {place.command('token', 'revoke', made.id)}"
    )


@token.command("list")
@redis_options
@json_option
def list_(place: Place, output: Output) -> None:
    """List the tokens, without what logs in. Last used is told to the minute; who expired is kept for 30 days."""
    scheduler = place.existing()
    output.rows(scheduler.drive(list_tokens(scheduler.namespace)), COLUMNS, NONE)


@token.command()
@click.argument("token_id", metavar="ID")
@redis_options
@json_option
def revoke(token_id: str, place: Place, output: Output) -> None:
    """Have all servers refuse a token from now on, within a second."""
    scheduler = place.existing()
    ending = revoke_token(scheduler.namespace, token_id)
    if not scheduler.drive(audited_here(scheduler.namespace, "token revoke", {"id": token_id}, ending)):
        ids = [each["id"] for each in scheduler.drive(list_tokens(scheduler.namespace))]
        raise missing("token", token_id, ids, "bsched token list shows all")
    output.thing({"revoked": token_id}, lambda: f"The token {token_id} is refused from now on.")

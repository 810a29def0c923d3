"""`bsched redis acl`: the users of Redis that a namespace needs, each with no more than it uses."""

from __future__ import annotations

import secrets
from typing import Any, cast

import click

from broker_sched.scheduler.redis_users import (
    PASSWORD,
    RQ,
    USES,
    Use,
    commands_of,
    patterns_of,
    rq_commands,
    rq_patterns,
    rq_rule,
    rq_user_name,
    rule,
    user_name,
)
from bsched.options.namespace import checked_namespace
from bsched.output import Output, json_option


@click.command()
@click.option(
    "--namespace",
    envvar="BSCHED_NAMESPACE",
    default="default",
    show_default=True,
    callback=checked_namespace,
    help="Whose keys they may use.  [env: BSCHED_NAMESPACE]",
)
@click.option(
    "--for", "uses", multiple=True, type=click.Choice((*USES, RQ)), help="Only this user; may be given again."
)
@click.option("--cluster", "is_cluster", is_flag=True, help="Also what finds the nodes of a Redis Cluster.")
@click.option(
    "--generate-passwords",
    "generates",
    is_flag=True,
    help=f"Put a random password into each command, in place of the word {PASSWORD}; nobody keeps it but you.",
)
@json_option
def acl(namespace: str, uses: tuple[str, ...], is_cluster: bool, generates: bool, output: Output) -> None:
    """Print the commands that make users of Redis for a namespace, each with no more than it needs.

    server: for bsched server. worker: for bsched worker, run and submit and for operators' commands, straight to Redis.
    read-only: for commands that only look. admin: for verify, migrate, export, import and namespace delete. rq, printed
    only when it is asked for: for rq workers, and for --rq-redis of their supervisors. Nothing is sent to Redis: paste
    what is printed into redis-cli, then keep it by ACL SAVE or CONFIG REWRITE.
    """
    users = [_user(use, namespace, is_cluster, generates) for use in uses or USES]
    output.thing(users, lambda: [each["command"] for each in users])


def _user(name: str, namespace: str, is_cluster: bool, generates: bool) -> dict[str, Any]:
    password = secrets.token_urlsafe(32) if generates else PASSWORD
    if name == RQ:
        return {
            "for": RQ,
            "user": rq_user_name(namespace),
            "keys": rq_patterns(namespace),
            "commands": list(rq_commands()),
            "command": rq_rule(namespace, password=password),
        }
    use = cast("Use", name)
    return {
        "for": use,
        "user": user_name(use, namespace),
        "keys": patterns_of(use, namespace),
        "commands": list(commands_of(use)),
        "command": rule(use, namespace, password=password, is_cluster=is_cluster),
    }

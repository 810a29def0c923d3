"""The options of a server that say who is known to it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def users_file_option(function: F, **settings: Any) -> F:
    """Add --users-file; the command gets users_file. settings: more of click's."""
    return click.option(
        "--users-file",
        envvar="BSCHED_USERS_FILE",
        metavar="PATH",
        **{"help": "The users, as `bsched user` writes them.  [env: BSCHED_USERS_FILE]", **settings},
    )(function)


def access_options(function: F) -> F:
    """Add the options of who may ask a server for what; the command gets access, an AccessConfig, and insecure."""

    @functools.wraps(function)
    def command(*args: Any, users_file: str | None, wants_login: bool, **others: Any) -> Any:
        from broker_sched.server.access.access import AccessConfig  # here, since other commands need no HTTP

        return function(*args, access=AccessConfig(users_file=users_file, wants_login=wants_login), **others)

    for option in (
        click.option(
            "--insecure",
            is_flag=True,
            envvar="BSCHED_INSECURE",
            help="Let everybody do everything who reaches an address other than loopback's, where nobody has to say "
            "who they are.  [env: BSCHED_INSECURE]",
        ),
        click.option(
            "--require-login",
            "wants_login",
            is_flag=True,
            envvar="BSCHED_REQUIRE_LOGIN",
            help="Let nobody in without a login, such as a token of `bsched token`. With --users-file this is so "
            "anyway.  [env: BSCHED_REQUIRE_LOGIN]",
        ),
        functools.partial(
            users_file_option,
            help="Who may ask, and for what (docs/security.md); `bsched user` writes it. Without it, everybody may do "
            "everything.  [env: BSCHED_USERS_FILE]",
        ),
    ):
        command = option(command)
    return command  # type: ignore[return-value]  # click gives it the arguments of both

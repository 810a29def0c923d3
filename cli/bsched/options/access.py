"""The options of a server that say who is known to it, and how much a viewer sees."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from bsched.options.durations import duration

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
    def command(*args: Any, session_idle: float, session_most: float, **options: Any) -> Any:
        from broker_sched.server.access.access import AccessConfig  # here, since other commands need no HTTP
        from broker_sched.server.access.sessions import SessionConfig

        own = {name: options.pop(name) for name in ("users_file", "wants_login", "oidc_config", "viewer_sees")}
        access = AccessConfig(**own, session=SessionConfig(session_idle, session_most))
        return function(*args, access=access, **options)

    for option in (
        click.option(
            "--insecure",
            is_flag=True,
            envvar="BSCHED_INSECURE",
            help="Let everybody do everything who reaches an address other than loopback's, where nobody has to say "
            "who they are.  [env: BSCHED_INSECURE]",
        ),
        click.option(
            "--session-max",
            "session_most",
            type=duration(least_seconds=60),
            default="7d",
            show_default=True,
            metavar="TIME",
            help="After so long a browser must log in again, whatever it does: 30m, 12h, 7d.",
        ),
        click.option(
            "--session-idle",
            type=duration(least_seconds=60),
            default="12h",
            show_default=True,
            metavar="TIME",
            help="After so long without a request a browser must log in again.",
        ),
        click.option(
            "--oidc-config",
            envvar="BSCHED_OIDC_CONFIG",
            metavar="FILE",
            help="Let people log in at an OpenID Connect provider; docs/security.md says what stands in the file "
            "(TOML or JSON).  [env: BSCHED_OIDC_CONFIG]",
        ),
        click.option(
            "--require-login",
            "wants_login",
            is_flag=True,
            envvar="BSCHED_REQUIRE_LOGIN",
            help="Let nobody in without a login, such as a token of `bsched token`. With --users-file this is so "
            "anyway.  [env: BSCHED_REQUIRE_LOGIN]",
        ),
        click.option(
            "--viewer-sees",
            type=click.Choice(["counts", "names", "all"]),
            default="all",
            show_default=True,
            envvar="BSCHED_VIEWER_SEES",
            help="What the role viewer sees: all; names, and neither parameters nor logs nor error texts; or counts, "
            "and no names either.  [env: BSCHED_VIEWER_SEES]",
        ),
        functools.partial(
            users_file_option,
            help="Who may ask, and for what (docs/security.md); `bsched user` writes it. Without it, everybody may do "
            "everything.  [env: BSCHED_USERS_FILE]",
        ),
    ):
        command = option(command)
    return command  # type: ignore[return-value]  # click gives it the arguments of both

"""The options of a server that say whom it believes about its clients, and how much each may have of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def network_options(function: F) -> F:
    """Add --proxy-headers and --limit; the command gets proxies, and limits as a Limits."""

    @functools.wraps(function)
    def command(*args: Any, limits: tuple[str, ...], **others: Any) -> Any:
        from broker_sched.server.limits import parse_limits  # here, since other commands need no HTTP

        return function(*args, limits=parse_limits(limits), **others)

    for option in (
        click.option(
            "--limit",
            "limits",
            multiple=True,
            metavar="NAME=NUMBER",
            envvar="BSCHED_LIMIT",
            help="How many there may be in a process at a time: connections, requests, waiting (long polls), streams "
            "(of events, for pages), and each with _per_address; may be repeated. Without it, connections are as many "
            "as the process may open files, streams 1,000, and half of that from one address.  [env: BSCHED_LIMIT]",
        ),
        click.option(
            "--proxy-headers",
            "proxies",
            multiple=True,
            metavar="ADDRESS",
            envvar="BSCHED_PROXY_HEADERS",
            help="Believe this proxy, or network of them, what it says in X-Forwarded-For, -Proto and -Host; 'unix': "
            "who asks through the unix socket. May be repeated.  [env: BSCHED_PROXY_HEADERS]",
        ),
    ):
        command = option(command)
    return command  # type: ignore[return-value]  # click gives it the arguments of both

"""The options that say which namespace on which Redis a command is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from broker_sched import RemoteScheduler, Scheduler
from broker_sched.errors import ConfigurationError
from broker_sched.scheduler.keys import prefix_of

F = TypeVar("F", bound=Callable[..., Any])


def namespace_options(function: F) -> F:
    """Add --redis and --namespace; the command gets redis_url and namespace."""
    for decorate in (
        click.option(
            "--namespace",
            envvar="BSCHED_NAMESPACE",
            default="default",
            show_default=True,
            callback=_check_namespace,
            help="Schedulers on one namespace are one scheduler.  [env: BSCHED_NAMESPACE]",
        ),
        click.option(
            "--redis",
            "redis_url",
            envvar="BSCHED_REDIS",
            metavar="URL",
            help="Where Redis is. A URL with a password is better kept in the environment.  [env: BSCHED_REDIS]",
        ),
    ):
        function = decorate(function)
    return function


def url_option(function: F) -> F:
    """Add --url, for a command that a server can serve as well."""
    help_ = "Ask the server there instead, such as http://127.0.0.1:8082."
    return click.option("--url", "--scheduler-url", "url", metavar="URL", help=help_)(function)


def open_scheduler(redis_url: str | None, namespace: str, **options: Any) -> Scheduler:
    """The scheduler these options name; it prunes only when told to."""
    return Scheduler(redis_url, namespace, prune_interval_seconds=None, **options)


def reach_scheduler(url: str | None, redis_url: str | None, namespace: str) -> Any:
    """The server at the URL, else straight to Redis. Raises click.UsageError. Any: both have the same methods."""
    if url is None:
        return open_scheduler(redis_url, namespace)
    try:
        return RemoteScheduler(url, attempts=1)
    except ConfigurationError as error:
        raise click.UsageError(f"--url: {error}") from None


def _check_namespace(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        prefix_of(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None
    return value

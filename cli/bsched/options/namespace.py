"""The options that say which namespace on which Redis a command is about."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

import broker_sched  # its schedulers by name: loaded when first asked for, and a command needs one of them
from broker_sched.errors import ConfigurationError, RedisUnavailable, Unreachable
from broker_sched.redis_backend.namespace import prefix_of
from broker_sched.redis_backend.urls import describe, is_in_process

if TYPE_CHECKING:
    from broker_sched.redis_backend.sync_connection import SyncConnection

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def namespace_options(function: F, **settings: Any) -> F:
    """Add --redis and --namespace; the command gets redis_url and namespace. settings: more of click's, for both."""
    named = click.option(
        "--namespace",
        envvar="BSCHED_NAMESPACE",
        default="default",
        show_default=True,
        help="Schedulers on one namespace are one scheduler.  [env: BSCHED_NAMESPACE]",
        **{"callback": checked_namespace, **settings},
    )
    return redis_url_option(named(function), **settings)


def redis_url_option(function: F, **settings: Any) -> F:
    """Add --redis alone; the command gets redis_url."""
    return click.option(
        "--redis",
        "redis_url",
        envvar="BSCHED_REDIS",
        metavar="URL",
        help="Where Redis is. A URL with a password is better kept in the environment.  [env: BSCHED_REDIS]",
        **settings,
    )(function)


def token_file_option(function: F, **settings: Any) -> F:
    """Add --token-file; the command gets token_file, which RemoteScheduler takes."""
    return click.option(
        "--token-file",
        metavar="FILE",
        help="Holds the token for the server, from `bsched token create`; read again when it changes. The token itself "
        "may be in BSCHED_TOKEN.  [env: BSCHED_TOKEN_FILE]",
        **settings,
    )(function)


def open_scheduler(redis_url: str | None, namespace: str, **options: Any) -> broker_sched.Scheduler:
    """Open the scheduler that these options name, and make its namespace if need be. Raises click.UsageError.

    It prunes only when it is asked to.
    """
    refuse_memory(redis_url)
    return broker_sched.Scheduler(redis_url, namespace, prune_interval_seconds=None, **options)


def open_existing(redis_url: str | None, namespace: str) -> broker_sched.Scheduler:
    """Open the scheduler that these options name, for a command that only looks at it or mends it.

    Raises click.ClickException when its namespace is not there: then it is misspelt, and nothing is made.
    """
    refuse_missing(redis_url, namespace)
    return open_scheduler(redis_url, namespace)


def refuse_missing(redis_url: str | None, namespace: str) -> None:
    """Raise click.ClickException for a namespace that is not there, with those that are."""
    from broker_sched.scheduler.existing_namespaces import exists, listable, missing

    with connected(redis_url) as connection:
        if not patiently(lambda: exists(connection, namespace), redis_url):
            found = listable(connection)
            raise click.ClickException(missing(namespace, found, f"Redis {describe(redis_url)}"))


@contextlib.contextmanager
def connected(redis_url: str | None) -> Iterator[SyncConnection]:
    """Open a connection to this Redis, for what is no call of a scheduler. Raises click.UsageError."""
    from broker_sched.redis_backend.sync_connection import SyncConnection  # here: over HTTP nothing of Redis is needed

    refuse_memory(redis_url)
    with contextlib.closing(SyncConnection(redis_url)) as connection:
        yield connection


def patiently(look: Callable[[], T], redis_url: str | None) -> T:
    """Return what it returns; asked again while Redis is away or refuses, as often as for a call of the scheduler.

    Raises Unreachable when that is in vain.
    """
    from broker_sched.redis_backend.recovery import DIRECT, ConnectionLost  # here, as above

    attempt, wait, deadline = 1, DIRECT.first_wait_seconds, time.monotonic() + DIRECT.seconds
    while True:
        try:
            return look()
        except Unreachable as error:
            if attempt == DIRECT.attempts or time.monotonic() + wait > deadline:
                if isinstance(error, ConnectionLost):
                    raise RedisUnavailable(f"Redis {describe(redis_url)} did not answer: {error}") from None
                raise
        time.sleep(wait)
        attempt, wait = attempt + 1, min(2 * wait, DIRECT.longest_wait_seconds)


def refuse_memory(redis_url: str | None) -> None:
    """Raise click.UsageError for memory:, where a command would find nothing, and leave nothing."""
    if is_in_process(redis_url):
        raise click.UsageError(
            "memory: is inside one process and gone with it, so this command would work on nothing. Give the Redis "
            "that your server and workers use (--redis, BSCHED_REDIS), or the server (--scheduler-url)."
        )


def checked_namespace(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return the value of --namespace, if a namespace may be called so. Raises click.BadParameter."""
    try:
        prefix_of(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None
    return value

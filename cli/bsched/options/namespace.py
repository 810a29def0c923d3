"""The options that say which namespace on which Redis a command is about."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any, TypeVar

import click

import broker_sched  # its schedulers by name: loaded when first asked for, and a command needs one of them
from broker_sched import luigi_config
from broker_sched.errors import BrokerSchedError, ConfigurationError
from broker_sched.redis_backend.namespace import prefix_of
from broker_sched.redis_backend.urls import describe, is_in_process
from broker_sched.worker.default_scheduler import luigis_address
from bsched.checked_scheduler import CheckedScheduler

F = TypeVar("F", bound=Callable[..., Any])


def namespace_options(function: F) -> F:
    """Add --redis and --namespace; the command gets redis_url and namespace."""
    for decorate in (
        click.option(
            "--namespace",
            envvar="BSCHED_NAMESPACE",
            default="default",
            show_default=True,
            callback=checked_namespace,
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


def open_scheduler(redis_url: str | None, namespace: str, **options: Any) -> broker_sched.Scheduler:
    """Open the scheduler that these options name, and make its namespace if need be. Raises click.UsageError.

    It prunes only when it is asked to.
    """
    refuse_memory(redis_url)
    return broker_sched.Scheduler(redis_url, namespace, prune_interval_seconds=None, **options)


def open_existing(redis_url: str | None, namespace: str) -> broker_sched.Scheduler:
    """Open the scheduler that these options name, for a command that only looks at it or mends it.

    Raises click.ClickException when its namespace is not there: then it is misspelt.
    """
    from broker_sched.redis_backend.sync_connection import SyncConnection  # here: over HTTP nothing of Redis is needed
    from broker_sched.scheduler.existing_namespaces import existing, exists, missing

    refuse_memory(redis_url)
    connection = SyncConnection(redis_url)
    try:
        if not exists(connection, namespace):
            raise click.ClickException(missing(namespace, existing(connection), f"Redis {describe(redis_url)}"))
    except BrokerSchedError:
        pass  # the scheduler tries again, and tells of it
    finally:
        connection.close()
    return open_scheduler(redis_url, namespace)


def refuse_memory(redis_url: str | None) -> None:
    """Raise click.UsageError for memory:, where a command would find nothing, and leave nothing."""
    if is_in_process(redis_url):
        raise click.UsageError(
            "memory: is inside one process and gone with it, so this command would work on nothing. Give the Redis "
            "that your server and workers use (--redis, BSCHED_REDIS), or the server (--url, --scheduler-url)."
        )


def reach_scheduler(url: str | None, redis_url: str | None, namespace: str) -> Any:
    """Reach the server at the URL, else Redis, else the server that luigi's configuration names, else the private
    Redis.

    What is asked of it about a task or a worker that is not there is an error, see CheckedScheduler. Raises
    click.UsageError. Returns Any: all have the same methods.
    """
    place = "--url"
    if url is None and redis_url is None:
        address = luigis_address(luigi_config.read())
        url, place = (address.url, address.place) if address is not None else (None, place)
    if url is None:
        return CheckedScheduler(open_existing(redis_url, namespace))
    try:
        return CheckedScheduler(broker_sched.RemoteScheduler(url, attempts=1))
    except ConfigurationError as error:
        raise click.UsageError(f"{place}: {error}") from None


def calling(method: str, **arguments: str) -> str:
    """Return `bsched call METHOD NAME=VALUE` for people to copy: it asks where this command asks, and reads values as
    texts.

    A URL of Redis that has a password in it is left to the environment.
    """
    words = ["bsched", "call", method, *(f"{name}={_as_text(value)}" for name, value in arguments.items())]
    context = click.get_current_context()
    for name, option in (("url", "--url"), ("redis_url", "--redis"), ("namespace", "--namespace")):
        value = str(context.params.get(name))
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE and not _has_password(value):
            words += [option, value]
    return " ".join(shlex.quote(word) for word in words)


def _as_text(value: str) -> str:
    """Return the value in such a form that `bsched call` reads this text."""
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return value
    return json.dumps(value)


def _has_password(url: str) -> bool:
    return "@" in url


def checked_namespace(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return the value of --namespace, if a namespace may be called so. Raises click.BadParameter."""
    try:
        prefix_of(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None
    return value

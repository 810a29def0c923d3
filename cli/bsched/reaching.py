"""The options that say which scheduler a worker works for."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import click

from broker_sched import RemoteScheduler, Scheduler
from broker_sched.errors import ConfigurationError
from broker_sched.scheduler.connection import describe
from broker_sched.scheduler.embedded import NoRedisServer
from broker_sched.worker.config import WorkerConfig
from bsched.namespace import namespace_options

F = TypeVar("F", bound=Callable[..., Any])
RETRY_SECONDS = 1.0  # between a call's attempts; a longer outage is waited out by the worker itself
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Reached(NamedTuple):
    """A scheduler, and what to call it in messages."""

    scheduler: Any
    name: str


def scheduler_options(function: F) -> F:
    """Add --scheduler-url, --redis, --namespace, --local-scheduler, --set and --log-level."""
    for decorate in (
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
            help="How much is logged on stderr.",
        ),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="NAME=VALUE",
            help="An option of the worker, such as keep_alive=true; also as BSCHED_WORKER_<NAME> in the environment.",
        ),
        click.option("--local-scheduler", is_flag=True, help="A scheduler inside this process, gone with it."),
        namespace_options,
        click.option("--scheduler-url", metavar="URL", help="A server: http://, https:// or http+unix://."),
    ):
        function = decorate(function)
    return function


def reach(scheduler_url: str | None, redis_url: str | None, namespace: str, local_scheduler: bool) -> Reached:
    """The scheduler that the options name: a server, this process, or straight to Redis. Raises click.UsageError."""
    context = click.get_current_context()
    is_given = context.get_parameter_source("redis_url") is click.core.ParameterSource.COMMANDLINE
    if sum((scheduler_url is not None, is_given, local_scheduler)) > 1:
        raise click.UsageError("Give one of --scheduler-url, --redis and --local-scheduler.")
    try:
        if scheduler_url is not None:
            remote = RemoteScheduler(scheduler_url, wait_seconds=RETRY_SECONDS)
            return Reached(remote, remote.url)
        if local_scheduler:
            return Reached(Scheduler("memory:", namespace), "a scheduler in this process")
        return Reached(Scheduler(redis_url, namespace), f"namespace {namespace}, Redis {describe(redis_url)}")
    except NoRedisServer:  # nothing that was given is wrong
        raise
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None


def worker_settings(pairs: Iterable[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """The worker's options: those of luigi's configuration, of the environment, of NAME=VALUE; the later ones win."""
    found = luigi_settings()
    for each in dataclasses.fields(WorkerConfig):
        variable = f"BSCHED_WORKER_{each.name.upper()}"
        if variable in environment:
            found[each.name] = environment[variable]
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"{pair!r} is not NAME=VALUE.")
        found[name] = value
    try:
        WorkerConfig.parse(found)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    return found


def luigi_settings() -> dict[str, Any]:
    """What the [worker] section of luigi.cfg sets, where luigi is imported: as luigi itself reads it."""
    luigi_worker = sys.modules.get("luigi.worker")
    if luigi_worker is None:
        return {}
    try:
        section = luigi_worker.worker()
    except Exception as error:  # luigi has many ways to dislike a configuration
        raise click.UsageError(f"The [worker] section of luigi's configuration can't be read: {error}") from None
    values = {each.name: getattr(section, each.name, each.default) for each in dataclasses.fields(WorkerConfig)}
    defaults = WorkerConfig.parse({})
    return {name: value for name, value in values.items() if WorkerConfig.parse({name: value}) != defaults}


def start_logging(level: str | None, otherwise: str) -> None:
    """Log on stderr."""
    logging.basicConfig(format=LOG_FORMAT, level=logging.WARNING)
    logging.getLogger("bsched").setLevel((level or otherwise).upper())


def import_path() -> None:
    """Modules are found in the current directory, too, as with `python -m`."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())

"""The options that say which scheduler a worker works for, and what luigi's configuration says of it."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import click

import broker_sched  # its schedulers by name: loaded when first asked for, and a command needs one of them
from broker_sched.errors import ConfigurationError, NoRedisServer
from broker_sched.luigi_config import LuigiConfig
from broker_sched.mails.settings import SECTIONS as MAIL_SECTIONS
from broker_sched.mails.settings import MailSettings, parse_settings, variable_of
from broker_sched.redis_backend.urls import describe
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.default_scheduler import (
    DEFAULT_PORT,
    RETRY_SECONDS,
    luigis_address,
    remote_options,
    scheduler_settings,
)
from bsched.logs import LEVELS, log_format_option
from bsched.options.luigi import SECTIONS, elsewhere, fate_of, unhonoured
from bsched.options.namespace import namespace_options, refuse_memory, token_file_option
from bsched.options.settings import from_environment
from bsched.terminal import echo

F = TypeVar("F", bound=Callable[..., Any])
LONG_NAMES = {
    **{name: f"bsched {name}" for name in ("run", "submit", "worker", "server")},
    "local": "bsched run --local-scheduler",
}
NO_OTHERS = (
    "a scheduler inside this process has no tasks of others, and is gone with it. Give --scheduler-url or --redis, or "
    "use bsched run."
)
log = logging.getLogger("bsched.worker")


class Reached(NamedTuple):
    """A scheduler that was reached, and what to call it in messages."""

    scheduler: Any
    name: str


def scheduler_options(function: F) -> F:
    """Add all options that say which scheduler, --set, and those for logging."""
    for decorate in (
        log_format_option,
        click.option("--logging-conf-file", metavar="FILE", help="Configures logging, as logging.config.fileConfig()."),
        click.option(
            "--log-level",
            type=click.Choice(LEVELS, case_sensitive=False),
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
        token_file_option,
        click.option("--scheduler-port", type=click.IntRange(1, 65535), help=f"Its port; {DEFAULT_PORT} if not given."),
        click.option("--scheduler-host", metavar="HOST", help="A server's host, instead of its URL."),
        click.option("--scheduler-url", metavar="URL", help="A server: http://, https:// or http+unix://."),
    ):
        function = decorate(function)
    return function


def reach(options: Mapping[str, Any], config: LuigiConfig, command: str) -> Reached:
    """Reach the scheduler to work for: the command line names it, else BSCHED_REDIS, else luigi's configuration.

    Without any of them it is reached straight through the private Redis of this user. Raises click.UsageError.
    """
    context = click.get_current_context()
    is_redis_given = context.get_parameter_source("redis_url") is click.core.ParameterSource.COMMANDLINE
    url, host, port = (options[f"scheduler_{name}"] for name in ("url", "host", "port"))
    has_host = host is not None or port is not None
    if sum((url is not None, has_host, is_redis_given, options["local_scheduler"])) > 1:
        raise click.UsageError("Give one of --scheduler-url, --scheduler-host, --redis and --local-scheduler.")
    try:
        if has_host:
            core = config.section("core")
            host, port = host or core.get("scheduler_host", "localhost"), port or core.get("scheduler_port")
            url = f"http://{host}:{port or DEFAULT_PORT}/"
        if url is not None:
            return _remote(url, config, options["token_file"])
        if options["local_scheduler"]:
            if command == "worker":
                raise click.UsageError(f"--local-scheduler: {NO_OTHERS}")
            return _local(options["namespace"], config)
        address = luigis_address(config)
        if address is None or is_direct(options, config):
            if address is not None and not is_redis_given:
                log.warning("The scheduler is that of BSCHED_REDIS, and not the one of %s.", address.place)
            if command != "run":
                refuse_memory(options["redis_url"])
            return _direct(options["redis_url"], options["namespace"], config)
        log.info("The scheduler is the one of %s.", address.place)
        if address.url is not None:
            return _remote(address.url, config, options["token_file"])
        if command == "run":
            return _local(options["namespace"], config)
        raise click.UsageError(f"{address.place}: {NO_OTHERS}")
    except NoRedisServer:  # nothing that was given is wrong
        raise
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None


def is_direct(options: Mapping[str, Any], config: LuigiConfig) -> bool:
    """Whether the scheduler is to be reached straight through Redis."""
    if options["local_scheduler"] or any(options[f"scheduler_{name}"] is not None for name in ("url", "host", "port")):
        return False
    return options["redis_url"] is not None or luigis_address(config) is None


def is_local(options: Mapping[str, Any], config: LuigiConfig) -> bool:
    """Whether the scheduler is to be one inside this process."""
    if options["local_scheduler"]:
        return True
    if options["redis_url"] is not None or any(options[f"scheduler_{name}"] for name in ("url", "host", "port")):
        return False
    address = luigis_address(config)
    return address is not None and address.url is None


def _direct(redis_url: str | None, namespace: str, config: LuigiConfig) -> Reached:
    _refuse_schedulers_own(config)
    reached = Reached(
        broker_sched.Scheduler(redis_url, namespace), f"namespace {namespace}, Redis {describe(redis_url)}"
    )
    _tell_differences(reached.scheduler, config)
    return reached


def _remote(url: str, config: LuigiConfig, token_file: str | None) -> Reached:
    _refuse_schedulers_own(config)
    given = {"wait_seconds": RETRY_SECONDS, "token_file": token_file, **remote_options(config)}
    remote = broker_sched.RemoteScheduler(url, **given)
    return Reached(remote, remote.url)


def _local(namespace: str, config: LuigiConfig) -> Reached:
    found = scheduler_settings(config)
    given = {name: found.options[name] for name in config.given("scheduler")}
    first = {**from_environment(os.environ), **given}
    options = {**found.options, **first}
    for name, value in {**options, **{f"resources.{name}": limit for name, limit in found.resources.items()}}.items():
        if name not in first:
            log.info("The scheduler's %s is %s, from %s.", name, value, found.places[name])
    scheduler = broker_sched.Scheduler("memory:", namespace, resources=found.resources, **options)
    return Reached(scheduler, "a scheduler in this process")


def _refuse_schedulers_own(config: LuigiConfig) -> None:
    """A worker's command line can't change a scheduler that others use, too."""
    for name, text in config.given("scheduler").items():
        raise click.UsageError(
            f"--scheduler-{name.replace('_', '-')} is for --local-scheduler. A scheduler of others keeps its own: "
            f"bsched config set {name}={text}"
        )


def _tell_differences(scheduler: broker_sched.Scheduler, config: LuigiConfig) -> None:
    """[scheduler] and [resources] have no effect on a namespace that others share: say so where it has other values."""
    found = scheduler_settings(config)
    if not found.places:
        return
    stored: dict[str, Any] = dataclasses.asdict(scheduler.config())
    stored |= {f"resources.{each['name']}": each["num_total"] for each in scheduler.resource_list()}
    given = {**found.options, **{f"resources.{name}": limit for name, limit in found.resources.items()}}
    for name, value in given.items():
        if stored.get(name) != value:
            log.warning(
                "%s is %s, but the namespace has %s. To change it for all: bsched config set %s=%s",
                *(found.places[name], value, stored.get(name, "none"), name, value),
            )


def worker_settings(
    pairs: Iterable[str], environment: Mapping[str, str], config: LuigiConfig, *, stays: bool = False
) -> dict[str, Any]:
    """Return the worker's options: those of luigi's configuration, of the environment, of the command line; the later
    win.

    stays: for a worker of a fleet, whose `keep_alive` is not the one that luigi.cfg has for runs.
    """
    try:
        found = WorkerConfig.from_luigi(config)
        if stays:
            found.pop("keep_alive", None)
        found.update(WorkerConfig.from_environment(environment))
        found.update(config.given("worker"))
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise click.UsageError(f"{pair!r} is not NAME=VALUE.")
            found[name] = value
        WorkerConfig.parse(found)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    return found


def mail_settings(config: LuigiConfig) -> MailSettings:
    """Return how failures are mailed: --email-receiver and the like go before the environment, and that before
    luigi.cfg."""
    given = [variable_of(section, option) for section in MAIL_SECTIONS for option in config.given(section)]
    try:
        return parse_settings(config, {name: text for name, text in os.environ.items() if name not in given})
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None


def tell_unhonoured(config: LuigiConfig, command: str, *, has_local_scheduler: bool = False) -> None:
    """Name, once, what stands in luigi's configuration and has no effect on this command.

    Raises click.UsageError for an option of the command line that has none.
    """
    for section in SECTIONS:
        for option in config.given(section):
            fate = fate_of(section, option)
            takers = {command, "local"} if has_local_scheduler or section == "scheduler" else {command}
            if fate is not None and not takers & set(fate.commands):
                others = " and ".join(LONG_NAMES[name] for name in fate.commands)
                flag = f"--{section}-{option}".replace("_", "-")
                raise click.UsageError(f"{flag} has no effect on bsched {command}; it is for {others}.")
    for sentence in unhonoured(config, command, has_local_scheduler=has_local_scheduler):
        echo(f"Warning: {sentence}", err=True)
    told = elsewhere(config, command, has_local_scheduler=has_local_scheduler)
    if told is not None:
        log.info("%s", told)


def import_path() -> None:
    """Let modules be found in the current directory, too, as with `python -m`."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())

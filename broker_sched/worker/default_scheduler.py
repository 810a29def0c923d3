"""Which scheduler a worker has that was given none: what the environment or luigi's configuration names.

A scheduler that is configured is used, or there is an error; never another one in its place.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
from typing import Any, NamedTuple, cast

from broker_sched import luigi_config
from broker_sched.config import OPTIONS, WITHOUT_EFFECT, parse_option
from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import LuigiConfig
from broker_sched.truth_words import truth_of

log = logging.getLogger("bsched.worker")
RETRY_SECONDS = 1.0  # between a call's attempts; a longer outage is waited out by the worker itself
DEFAULT_PORT = "8082"  # of luigid


class Address(NamedTuple):
    """The scheduler that luigi's configuration names."""

    url: str | None  # None: one inside this process
    place: str  # where it is written


class SchedulerSettings(NamedTuple):
    """What luigi's configuration says of the scheduler itself, and where."""

    options: dict[str, Any]  # [scheduler]: name → value, as SchedulerConfig has it
    resources: dict[str, float]  # [resources]: name → limit
    places: dict[str, str]  # `retry_delay`, `resources.db` → file, section and option


def default_scheduler() -> SchedulerAPI:
    """The scheduler of a worker that was given none. Raises ConfigurationError.

    Made by name, since the worker knows of no transport.
    """
    package = importlib.import_module("broker_sched")
    config = luigi_config.read() if luigi_config.is_luigi_used() else None
    address = luigis_address(config) if config is not None else None
    if address is not None and "BSCHED_REDIS" in os.environ:
        log.warning("The scheduler is that of BSCHED_REDIS, and not the one of %s.", address.place)
    if config is None or address is None or "BSCHED_REDIS" in os.environ:
        return cast(SchedulerAPI, package.Scheduler())
    if address.url is None:
        settings = scheduler_settings(config)
        return cast(SchedulerAPI, package.Scheduler("memory:", resources=settings.resources, **settings.options))
    options = {"wait_seconds": RETRY_SECONDS, **remote_options(config)}
    return cast(SchedulerAPI, package.RemoteScheduler(address.url, **options))


def luigis_address(config: LuigiConfig) -> Address | None:
    """The scheduler that [core] names, as luigi chooses: local_scheduler, then the URL, then host and port."""
    core = config.section("core")
    if truth(config, "core", "local_scheduler"):
        return Address(None, config.where("core", "local_scheduler"))
    if core.get("scheduler_url"):
        return Address(core["scheduler_url"], config.where("core", "scheduler_url"))
    for name in ("scheduler_host", "scheduler_port"):
        if name in core:
            host, port = core.get("scheduler_host", "localhost"), core.get("scheduler_port", DEFAULT_PORT)
            return Address(f"http://{host}:{port}/", config.where("core", name))
    return None


def remote_options(config: LuigiConfig) -> dict[str, Any]:
    """What [core] says of calls over HTTP, as arguments of RemoteScheduler. Raises ConfigurationError."""
    found: dict[str, Any] = {}
    for option, argument, kind in (
        ("rpc_connect_timeout", "connect_timeout", float),
        ("rpc_retry_attempts", "attempts", int),
        ("rpc_retry_wait", "wait_seconds", float),
    ):
        if option in config.section("core"):
            found[argument] = number(config, "core", option, kind)
    if found.get("attempts") == 0:
        raise ConfigurationError(f"{config.where('core', 'rpc_retry_attempts')} is 0; at least one attempt is needed.")
    if "rpc_log_retries" in config.section("core"):
        found["log_retries"] = truth(config, "core", "rpc_log_retries")
    return found


def scheduler_settings(config: LuigiConfig) -> SchedulerSettings:
    """[scheduler], as far as its options are ours, and [resources]. Raises ConfigurationError naming the option."""
    found = SchedulerSettings({}, {}, {})
    section = config.section("scheduler")
    for name in (name for name in OPTIONS if name in section and name not in WITHOUT_EFFECT):
        try:
            found.options[name] = parse_option(name, section[name])
        except ConfigurationError as error:
            raise ConfigurationError(f"{config.where('scheduler', name)}: {error}") from None
        found.places[name] = config.where("scheduler", name)
    for written in config.written("resources"):
        limit = config.text(written)
        try:
            amount = float(limit)
        except ValueError:
            amount = math.nan
        if not math.isfinite(amount) or amount < 0:
            raise ConfigurationError(f"{written} is {limit!r}; a limit is a number from 0 up.")
        found.resources[written.option] = int(amount) if amount == int(amount) else amount
        found.places[f"resources.{written.option}"] = str(written)
    return found


def truth(config: LuigiConfig, section: str, option: str) -> bool:
    """An option that is true or false; false when nobody wrote it. Raises ConfigurationError."""
    text = config.section(section).get(option, "")
    try:
        return bool(text) and truth_of(text)
    except ValueError:
        raise ConfigurationError(f"{config.where(section, option)} is {text!r}; it must be true or false.") from None


def number(
    config: LuigiConfig, section: str, option: str, kind: type[int] | type[float], default: float | None = None
) -> Any:
    """An option that is a number from 0 up; the default when nobody wrote it. Raises ConfigurationError."""
    text = config.section(section).get(option)
    if text is None:
        return default
    try:
        value = kind(text)
        if math.isfinite(value) and value >= 0:
            return value
    except ValueError:
        pass
    what = "a whole number" if kind is int else "a number"
    raise ConfigurationError(f"{config.where(section, option)} is {text!r}; it must be {what} from 0 up.")

"""Scheduler options as text: `NAME=VALUE` on the command line, BSCHED_<NAME> in the environment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import click

from broker_sched.config import OPTIONS, parse_option
from broker_sched.errors import ConfigurationError
from bsched.checked_scheduler import nearest

RESOURCE = "resources."


class Settings(NamedTuple):
    """The options and limits that were given, with their types."""

    options: dict[str, Any]  # name → number or truth value, as SchedulerConfig has it
    resources: dict[str, float]  # name → limit


def from_arguments(pairs: Iterable[str]) -> Settings:
    """Read `NAME=VALUE` and `resources.NAME=LIMIT`. Raises click.BadParameter."""
    settings = Settings({}, {})
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE.")
        if name.startswith(RESOURCE):
            settings.resources[name.removeprefix(RESOURCE)] = _limit(name, text)
        else:
            settings.options[name] = _option(name, text)
    return settings


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the options in BSCHED_RETRY_DELAY and the like. Raises click.BadParameter."""
    return {
        name: _option(name, environment[variable], f"{variable}: ")
        for name in OPTIONS
        if (variable := f"BSCHED_{name.upper()}") in environment
    }


def _option(name: str, text: str, source: str = "") -> Any:
    if name not in OPTIONS:
        known = nearest(name, OPTIONS, f"Known: {', '.join(sorted(OPTIONS))}")
        raise click.BadParameter(f"{source}There is no option {name!r}. {known}")
    try:
        return parse_option(name, text)
    except ConfigurationError as error:
        raise click.BadParameter(f"{source}{error}") from None


def _limit(name: str, text: str) -> float:
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit) or limit < 0 or name == RESOURCE:
        raise click.BadParameter(f"{name}={text}: write resources.NAME=LIMIT, the limit a number from 0 up.")
    return int(limit) if limit == int(limit) else limit

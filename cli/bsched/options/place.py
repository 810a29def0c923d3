"""The options that say where a command asks: a server, or a namespace in Redis; and the scheduler there."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import click

import broker_sched  # its schedulers by name: loaded when first asked for, and a command needs one of them
from broker_sched import luigi_config
from broker_sched.errors import ConfigurationError
from broker_sched.worker.default_scheduler import luigis_address
from bsched.checked_scheduler import CheckedScheduler
from bsched.options.namespace import (
    checked_namespace,
    namespace_options,
    open_existing,
    open_scheduler,
    token_file_option,
)

F = TypeVar("F", bound=Callable[..., Any])
PLACE = "bsched.place"  # in click's context
OPTIONS = {
    "url": "--scheduler-url",
    "token_file": "--token-file",
    "redis_url": "--redis",
    "namespace": "--namespace",
}


class Place(NamedTuple):
    """Where a command asks. url: of a server, token_file: for it; without a url it is the namespace in this Redis."""

    url: str | None
    redis_url: str | None
    namespace: str
    given: frozenset[str] = frozenset()  # which of these stand on the command line
    token_file: str | None = None

    def scheduler(self, may_be_new: bool = False) -> Any:
        """Reach the server at the URL, else Redis, else the server that luigi's configuration names, else the private
        Redis.

        What is asked of it about something that is not there is an error, see CheckedScheduler. It is closed when the
        command has ended. may_be_new: a namespace that is not there is made. Raises click.UsageError. Returns Any: all
        have the same methods.
        """
        return CheckedScheduler(self.unchecked(may_be_new))

    def unchecked(self, may_be_new: bool = False) -> Any:
        """Reach the same scheduler, whose replies are those of the API also for what is not there."""
        url, where = self.url, OPTIONS["url"]
        if url is None and self.redis_url is None:
            address = luigis_address(luigi_config.read())
            url, where = (address.url, address.place) if address is not None else (None, where)
        if url is None:
            return self._made() if may_be_new else self.existing()
        try:
            remote = broker_sched.RemoteScheduler(url, attempts=1, token_file=self.token_file)
        except ConfigurationError as error:
            raise click.UsageError(f"{where}: {error}") from None
        click.get_current_context().call_on_close(remote.close)
        return remote

    def existing(self) -> broker_sched.Scheduler:
        """Open the namespace straight in Redis, for what no server does. Raises click.ClickException when it is not
        there; it is closed when the command has ended."""
        scheduler = open_existing(self.redis_url, self.namespace)
        click.get_current_context().call_on_close(scheduler.close)
        return scheduler

    def _made(self) -> broker_sched.Scheduler:
        scheduler = open_scheduler(self.redis_url, self.namespace)
        click.get_current_context().call_on_close(scheduler.close)
        return scheduler

    def command(self, *words: str) -> str:
        """Return `bsched WORDS…` for people to copy: it asks where this command asks.

        A URL that has a password in it is left out: it belongs into the environment.
        """
        told = ["bsched", *words]
        for name in OPTIONS:
            value = str(getattr(self, name))
            if name in self.given and "@" not in value:
                told += [OPTIONS[name], value]
        return " ".join(shlex.quote(word) for word in told)

    def calling(self, method: str, **arguments: str) -> str:
        """Return `bsched call METHOD NAME=VALUE` likewise; it reads the values as texts."""
        return self.command("call", method, *(f"{name}={_as_text(value)}" for name, value in arguments.items()))


def place_options(function: F) -> F:
    """Add --scheduler-url, --token-file, --redis and --namespace; the command gets place, a Place."""
    return _url_option(token_file_option(redis_options(function), callback=_remember, expose_value=False))


def redis_options(function: F) -> F:
    """Add --redis and --namespace, for what no server does; the command gets place, a Place."""

    @functools.wraps(function)
    def with_place(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, place=told_place(click.get_current_context()), **options)

    return namespace_options(cast(F, with_place), callback=_remember, expose_value=False)


def remember_place(context: click.Context, options: dict[str, Any]) -> None:
    """Let the subcommands of a group ask where the group's own options say, unless theirs say otherwise."""
    for name in OPTIONS:
        if name in options:
            source = context.get_parameter_source("scheduler_url" if name == "url" else name)
            _note(context, name, options[name], source is click.core.ParameterSource.COMMANDLINE)


def told_place(context: click.Context) -> Place:
    """Return the place that the options name. Raises click.UsageError for those that exclude each other."""
    told, given = context.meta[PLACE]
    url = told.get("url")
    for name in ("redis_url", "namespace"):
        if "url" in given and name in given:
            own = "it has a namespace and a Redis of its own" if name == "namespace" else "it has a Redis of its own"
            raise click.UsageError(f"Give one of {OPTIONS['url']} and {OPTIONS[name]}: a server is asked, and {own}.")
    return Place(url, told["redis_url"], told["namespace"], frozenset(given), told.get("token_file"))


def _url_option(function: F) -> F:
    help_ = "Ask the server there instead, such as http://127.0.0.1:8082."
    option = click.option(
        "--scheduler-url", "--url", "url", metavar="URL", help=help_, callback=_remember, expose_value=False
    )
    return option(function)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if parameter.name == "namespace":
        value = checked_namespace(context, parameter, value)
    name = str(parameter.name)
    _note(context, name, value, context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE)
    return value


def _note(context: click.Context, name: str, value: Any, is_given: bool) -> None:
    """`bsched config --redis URL set …` is as good as `bsched config set … --redis URL`; the latter goes before.

    The context of a group is read first; what is from the environment does not replace what the group was given.
    """
    told, given = context.meta.setdefault(PLACE, ({}, set()))
    if is_given or name not in told:
        told[name] = value
    if is_given:
        given.add(name)


def _as_text(value: str) -> str:
    """Return the value in such a form that `bsched call` reads this text."""
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return value
    return json.dumps(value)

"""The options that say where a worker's tasks run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import click

from broker_sched.errors import ConfigurationError
from broker_sched.redis_backend.urls import describe
from broker_sched.worker.executors.protocol import Executor

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_QUEUE = "bsched"


def executor_options(function: F) -> F:
    """Add --executor, --rq-queue and --rq-redis."""
    for decorate in (
        click.option(
            "--rq-redis",
            envvar="BSCHED_RQ_REDIS",
            metavar="URL",
            help="RQ's Redis; the scheduler's if not given.  [env: BSCHED_RQ_REDIS]",
        ),
        click.option("--rq-queue", metavar="NAME", help=f"RQ's queue; {DEFAULT_QUEUE} if not given."),
        click.option(
            "--executor",
            type=click.Choice(["process", "rq"]),
            default="process",
            show_default=True,
            help="Where tasks run: in processes here, or on the rq workers of a queue.",
        ),
    ):
        function = decorate(function)
    return function


def executor_for(
    kind: str,
    queue: str | None,
    rq_redis: str | None,
    schedulers_redis: str | None,
    namespace: str,
    follows_fleet: bool,
    kill_after_seconds: float,
) -> AbstractContextManager[Executor | None]:
    """What the options name; None stands for processes here. Raises click.UsageError."""
    context = click.get_current_context()
    if kind != "rq":
        is_given = context.get_parameter_source("rq_redis") is click.core.ParameterSource.COMMANDLINE
        for option, is_used in (("--rq-queue", queue is not None), ("--rq-redis", is_given)):
            if is_used:
                raise click.UsageError(f"{option} is about RQ: give --executor rq with it.")
        return contextlib.nullcontext()
    try:
        from broker_sched.worker.executors.rq.connection import is_usable
        from broker_sched.worker.executors.rq.executor import RqExecutor

        url = rq_redis or schedulers_redis
        if url is None or not (rq_redis or is_usable(url)):
            what = (
                f"The scheduler's Redis {describe(url)}" if url else "The scheduler's Redis, which is not named here,"
            )
            raise click.UsageError(f"{what} is none that rq workers can use. Give RQ's: --rq-redis redis://host.")
        return RqExecutor(url, queue or DEFAULT_QUEUE, namespace, follows_fleet, kill_after_seconds)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None

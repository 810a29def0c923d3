"""The options that say where a worker's tasks run, and the executor that they name."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeAlias, TypeVar

import click

from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.errors import ConfigurationError
from broker_sched.redis_backend.urls import describe
from broker_sched.worker.executors.engine import Engine
from broker_sched.worker.executors.job_executor import JobExecutor
from broker_sched.worker.executors.protocol import Executor

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_QUEUE = "bsched"


# Makes the context of an executor for a worker of this scheduler; None stands for processes here.
ExecutorFor: TypeAlias = Callable[[SchedulerAPI], AbstractContextManager[Executor | None]]


class WorkerPlace(NamedTuple):
    """What an executor may need to know of its worker. redis_url: the scheduler's; None where it is not known here.

    follows_engine: no number of tasks was given, so that the executor decides how many run at once.
    """

    redis_url: str | None
    follows_engine: bool
    kill_after_seconds: float


def executor_options(function: F) -> F:
    """Add --executor and the options of every executor to a command; executor_for() takes them."""
    for decorate in (
        *DASK_OPTIONS,
        *RQ_OPTIONS,
        click.option(
            "--executor",
            type=click.Choice(list(EXECUTORS)),
            default="process",
            show_default=True,
            help="Where tasks run: in processes here, on the rq workers of a queue, or on a Dask cluster.",
        ),
    ):
        function = decorate(function)
    return function


def executor_for(options: Mapping[str, Any], place: WorkerPlace) -> ExecutorFor:
    """Return what makes the executor that the options name. Raises click.UsageError."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        kind = name.partition("_")[0]
        is_given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if is_given and kind in EXECUTORS and kind != options["executor"]:
            raise click.UsageError(f"{parameter.opts[0]} is about {kind.upper()}: give --executor {kind} with it.")
    make_engine = EXECUTORS[options["executor"]]
    if make_engine is None:
        return lambda scheduler: contextlib.nullcontext()
    try:
        engine = make_engine(options, place)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    return functools.partial(_supervising, engine, place)


def _supervising(engine: Engine, place: WorkerPlace, scheduler: SchedulerAPI) -> AbstractContextManager[Executor]:
    try:
        return JobExecutor(engine, scheduler, place.follows_engine, place.kill_after_seconds)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None


RQ_OPTIONS = (
    click.option(
        "--rq-redis",
        envvar="BSCHED_RQ_REDIS",
        metavar="URL",
        help="RQ's Redis; the scheduler's if not given.  [env: BSCHED_RQ_REDIS]",
    ),
    click.option("--rq-queue", metavar="NAME", help=f"RQ's queue; {DEFAULT_QUEUE} if not given."),
)


def _rq(options: Mapping[str, Any], place: WorkerPlace) -> Engine:
    from broker_sched.worker.executors.rq.connection import is_usable
    from broker_sched.worker.executors.rq.engine import RqEngine

    url = options["rq_redis"] or place.redis_url
    if url is None or not (options["rq_redis"] or is_usable(url)):
        what = f"The scheduler's Redis {describe(url)}" if url else "The scheduler's Redis, which is not named here,"
        raise click.UsageError(f"{what} is none that rq workers can use. Give RQ's: --rq-redis redis://host.")
    return RqEngine(url, options["rq_queue"] or DEFAULT_QUEUE)


DASK_OPTIONS = (
    click.option(
        "--dask-scheduler",
        envvar="DASK_SCHEDULER_ADDRESS",
        metavar="ADDRESS",
        help="The Dask scheduler, as in tcp://host:8786.  [env: DASK_SCHEDULER_ADDRESS]",
    ),
)


def _dask(options: Mapping[str, Any], place: WorkerPlace) -> Engine:
    from broker_sched.worker.executors.dask.engine import DaskEngine

    if not options["dask_scheduler"]:
        raise click.UsageError("Nothing says where the Dask scheduler is: give --dask-scheduler tcp://host:8786.")
    return DaskEngine(options["dask_scheduler"])


# The values of --executor, and what makes the engine. An option of one of them begins with its name: --rq-queue.
EXECUTORS: Mapping[str, Callable[[Mapping[str, Any], WorkerPlace], Engine] | None] = {
    "process": None,
    "rq": _rq,
    "dask": _dask,
}

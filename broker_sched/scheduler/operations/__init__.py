"""The operations behind the methods of the API: each is a generator of commands, which makes script calls of arguments,
and the shapes of contract/replies.py of their replies. None of them does I/O itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.redis_backend.commands import Commands
from broker_sched.scheduler.operations import (
    attempts,
    audit,
    changing,
    condensed_graphs,
    critical_paths,
    events,
    failures,
    families,
    family_dates,
    graphs,
    lists,
    operators,
    options,
    overview,
    refusals,
    resources,
    single_task,
    submission_details,
    submissions,
    task_deps,
    task_details,
    task_listing,
    tasks,
    timeline,
    traces,
    why,
    work,
    workers,
)
from broker_sched.scheduler.operations.operators import configure

MODULES = (
    *(tasks, work, attempts, task_details, task_deps, operators, changing, options, lists, graphs, submissions),
    *(refusals, overview, families, family_dates, task_listing, single_task, failures, workers, resources),
    *(submission_details, events, condensed_graphs, critical_paths, timeline, why, traces, audit),
)


def _collect() -> dict[str, Callable[..., Commands[Any]]]:
    """Find the operation of each method of the contract by its name.

    It is called as operation(namespace, **arguments).
    """
    return {name: next(vars(module)[name] for module in MODULES if name in vars(module)) for name in METHODS}


OPERATIONS: dict[str, Callable[..., Commands[Any]]] = _collect()

__all__ = ["OPERATIONS", "configure"]

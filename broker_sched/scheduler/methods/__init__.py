"""The steps of every method: arguments into script calls, replies into the shapes of wire.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from broker_sched.api import METHODS
from broker_sched.scheduler.methods import (
    asking,
    attempts,
    details,
    graphs,
    listing,
    refusing,
    reporting,
    submissions,
    upkeep,
)
from broker_sched.scheduler.methods.upkeep import configure
from broker_sched.steps import Steps

MODULES = (reporting, asking, attempts, details, upkeep, listing, graphs, submissions, refusing)


def _collect() -> dict[str, Callable[..., Steps[Any]]]:
    """Find the steps of each method of the contract by its name. Called as steps(space, **arguments)."""
    return {name: next(vars(module)[name] for module in MODULES if name in vars(module)) for name in METHODS}


STEPS: dict[str, Callable[..., Steps[Any]]] = _collect()

__all__ = ["STEPS", "configure"]

"""One method of the contract, and how a signature is marked as one. See api.py."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Method(NamedTuple):
    """One method of the contract, as read off SchedulerAPI."""

    name: str
    parameters: tuple[inspect.Parameter, ...]  # without self and **kwargs, types resolved
    returns: Any  # the reply's type
    takes_any: bool  # unknown keyword arguments are accepted and ignored
    collects: bool  # the keyword arguments are themselves the data (update_resources)
    reads_only: bool  # changes nothing
    attempts: int  # how often a client tries when it gets no answer; 1 for ping
    allow_null: bool  # False: a null reply is an error (get_work)
    in_luigi: bool  # a stock luigid has it
    doc: str


def rpc(
    *,
    reads_only: bool = False,
    attempts: int = 3,
    allow_null: bool = True,
    collects: bool = False,
    in_luigi: bool = True,
) -> Callable[[F], F]:
    """Mark a method of SchedulerAPI as part of the contract, with what a signature can't say."""

    def mark(function: F) -> F:
        function.__dict__["rpc"] = {
            "reads_only": reads_only,
            "attempts": attempts,
            "allow_null": allow_null,
            "collects": collects,
            "in_luigi": in_luigi,
        }
        return function

    return mark

"""How the contract's methods are marked, and read off their signatures into a table."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from types import GenericAlias
from typing import Any, NamedTuple, TypeVar

from broker_sched.contract.types import AddTaskArguments

F = TypeVar("F", bound=Callable[..., Any])


class Method(NamedTuple):
    """A method of the contract: its parameters, its documentation, and how it may be called."""

    name: str
    parameters: tuple[inspect.Parameter, ...]  # without self, types resolved
    returns: Any  # the reply's type
    collects: inspect.Parameter | None  # what all keyword arguments together are (update_resources)
    list_of_tasks: str | None  # which argument is a list of add_task's arguments
    in_luigi: bool  # a stock luigid has it
    doc: str
    takes_any: bool  # on the wire, as Luigi has it, unknown arguments are accepted and ignored
    reads_only: bool  # changes nothing
    is_view: bool  # reads as much as there is. Of what a caller sees it changes nothing: it only does what is due
    looks: bool  # reads much, a little at a time: a server that is asked often does it in a process of its own
    attempts: int  # how often a client tries when it gets no answer
    answered_within_seconds: float  # for so long a client waits for an answer
    allow_null: bool  # False: a null reply is an error (get_work)


def rpc(
    *,
    reads_only: bool = False,
    is_view: bool = False,
    looks: bool = False,
    attempts: int = 3,
    answered_within_seconds: float = 60.0,  # a luigid with very many tasks takes its time
    allow_null: bool = True,
    takes_any: bool = False,
) -> Callable[[F], F]:
    """Mark a method as part of the contract, with what a signature can't say; see Method."""
    marks = locals()

    def mark(function: F) -> F:
        function.__dict__["rpc"] = marks
        return function

    return mark


def read_methods(luigis: type, *own: type) -> dict[str, Method]:
    """Read the marked methods off some classes, by name: first Luigi's, then those that Luigi does not have."""
    return {
        name: _read(name, function, in_luigi=cls is luigis)
        for cls in (luigis, *own)
        for name, function in vars(cls).items()
        if hasattr(function, "rpc")
    }


def _read(name: str, function: Any, in_luigi: bool) -> Method:
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    collecting = [p for p in parameters if p.kind is p.VAR_KEYWORD]
    return Method(
        name=name,
        parameters=tuple(p.replace(annotation=hints[p.name]) for p in named),
        returns=hints["return"],
        collects=next((p.replace(annotation=GenericAlias(Mapping, (str, hints[p.name]))) for p in collecting), None),
        list_of_tasks=next((p.name for p in named if hints[p.name] == AddTaskArguments), None),
        in_luigi=in_luigi,
        doc=inspect.getdoc(function) or "",
        **function.rpc,
    )

"""One method of the contract, how a signature is marked as one, and the types in it. See api.py."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

from msgspec import Meta

from broker_sched.errors import InvalidArgument

JSON: TypeAlias = Any  # any JSON value: the contract leaves it to the clients
Number: TypeAlias = int | float
TaskId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=8192)]
WorkerId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=8192)]
StartId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]  # made anew at each start of a worker
Attempt: TypeAlias = Annotated[int, Meta(ge=1, le=2**53)]  # of a hand-out; see wire.Work
Amount: TypeAlias = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
Resources: TypeAlias = Mapping[str, Amount]

F = TypeVar("F", bound=Callable[..., Any])


class Method(NamedTuple):
    """One method of the contract, as read off SchedulerAPI."""

    name: str
    parameters: tuple[inspect.Parameter, ...]  # without self, types resolved
    returns: Any  # the reply's type
    takes_any: bool  # on the wire, as Luigi has it, unknown arguments are accepted and ignored
    collects: bool  # the keyword arguments are themselves the data (update_resources)
    reads_only: bool  # changes nothing
    attempts: int  # how often a client tries when it gets no answer; 1 for ping
    allow_null: bool  # False: a null reply is an error (get_work)
    in_luigi: bool  # a stock luigid has it; else it is declared in own_methods.py
    doc: str


def no_such_argument(method: Method, name: str) -> InvalidArgument:
    """The error for an argument that the method does not take: it names the one that was probably meant."""
    known = [parameter.name for parameter in method.parameters]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known) or 'none'}"
    return InvalidArgument(name, f"is no argument of {method.name}; {hint}")


def refuse_misspelt(method: Method, arguments: Mapping[str, Any], add_task: Method) -> None:
    """Raise InvalidArgument for a name that the method does not have, also where Luigi's wire ignores it.

    add_task: what the tasks of add_tasks may have.
    """
    if not method.collects:
        for name in arguments.keys() - {parameter.name for parameter in method.parameters}:
            raise no_such_argument(method, name)
    if method.name == "add_tasks" and isinstance(arguments.get("tasks"), (list, tuple)):
        for index, task in enumerate(arguments["tasks"]):
            try:
                refuse_misspelt(add_task, task if isinstance(task, Mapping) else {}, add_task)
            except InvalidArgument as error:
                raise InvalidArgument(f"tasks[{index}].{error.field}", error.message) from None


def rpc(
    *,
    reads_only: bool = False,
    attempts: int = 3,
    allow_null: bool = True,
    collects: bool = False,
    takes_any: bool = False,
) -> Callable[[F], F]:
    """Mark a method of SchedulerAPI as part of the contract, with what a signature can't say."""

    def mark(function: F) -> F:
        function.__dict__["rpc"] = {
            "reads_only": reads_only,
            "attempts": attempts,
            "allow_null": allow_null,
            "collects": collects,
            "takes_any": takes_any,
        }
        return function

    return mark

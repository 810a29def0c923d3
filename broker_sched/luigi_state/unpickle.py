"""Reads luigid's pickled state from stdin, and writes it to stdout as lines of JSON. It is a program of its own.

A pickle is a program, too: it names the functions that are called to make its objects. Here it can name only what
stands in CLASSES, none of which does anything but keep what it is given; any other name is an error. Nothing but the
standard library can be imported (`python -I -S`), no other file opened, and memory, time and what it writes are
limited. luigi need not be installed.

The lines: {"worker": …}, {"batchers": …}, {"task": …}, with the attributes that luigi's objects had, and last
{"end": …} or {"error": …}.
"""

from __future__ import annotations

import collections
import json
import math
import pickle
import resource
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any

MAX_DEPTH = 50  # of what stands in parameters or infos
MAX_VALUES = 1_000_000  # in one attribute: one that refers to itself again and again would have no end
MAX_INT = 2**63


class Plain:
    """An object of luigi's: its attributes, and nothing else of it."""

    attributes: dict[Any, Any]

    def __new__(cls, *arguments: object) -> Plain:
        """Make an object without attributes, whatever is said of it."""
        made = super().__new__(cls)
        made.attributes = {}
        return made

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.attributes = state if type(state) is dict else {}


class Task(Plain):
    """A task, in the place of luigi.scheduler.Task."""


class Worker(Plain):
    """A worker, in the place of luigi.scheduler.Worker."""


class Failures(Plain):
    """Stands for luigi.scheduler.Failures, which luigi had until 3.0."""


class OrderedSet(Plain):
    """Stands for luigi.scheduler.OrderedSet, whose attributes are a linked list, and a map of its members."""

    def members(self) -> list[Any]:
        """Return the members, first added first."""
        known, end = self.attributes.get("map"), self.attributes.get("end")
        if type(known) is not dict:
            return []
        found: list[Any] = []
        node = end[2] if type(end) is list and len(end) == 3 else end
        while node is not end and type(node) is list and len(node) == 3 and len(found) < len(known):
            found.append(node[0])
            node = node[2]
        return found if len(found) == len(known) else list(known)


class RetryPolicy(tuple):  # type: ignore[type-arg]  # what is in it, nobody knows yet
    """A retry policy, in the place of luigi.scheduler.RetryPolicy."""

    def __new__(cls, *values: object) -> RetryPolicy:
        """Keep the values, whatever they are called."""
        return super().__new__(cls, values)

    def __setstate__(self, state: object) -> None:
        """Take no attributes."""


def visibility(value: object = 0) -> object:
    """Stand for luigi.parameter.ParameterVisibility: its members are numbers."""
    return value


def reconstruct(cls: object, base: object, state: object) -> object:
    """Stand for what Python 2 made objects with, for the classes above alone."""
    if cls is RetryPolicy and type(state) is tuple:
        return RetryPolicy(*state)
    if isinstance(cls, type) and issubclass(cls, Plain):
        return cls()
    raise pickle.UnpicklingError("it makes objects in a way that luigi does not")


def empty_dict(*arguments: object) -> dict[Any, Any]:
    """Stand for dictionaries that know more: their items follow."""
    return dict(arguments[0]) if arguments and type(arguments[0]) in (dict, list) else {}  # type: ignore[call-overload]  # ValueError


CLASSES: dict[tuple[str, str], Callable[..., Any]] = {
    ("luigi.scheduler", "Task"): Task,
    ("luigi.scheduler", "Worker"): Worker,
    ("luigi.scheduler", "Failures"): Failures,
    ("luigi.scheduler", "OrderedSet"): OrderedSet,
    ("luigi.scheduler", "RetryPolicy"): RetryPolicy,
    ("luigi.parameter", "ParameterVisibility"): visibility,
    ("collections", "deque"): collections.deque,
    ("collections", "OrderedDict"): empty_dict,
    ("collections", "defaultdict"): empty_dict,
    **{(module, name): kind for module in ("builtins", "__builtin__") for name, kind in (
        ("object", Plain), ("tuple", tuple), ("list", list), ("dict", dict), ("set", set), ("frozenset", frozenset),
    )},
    **{(module, "_reconstructor"): reconstruct for module in ("copyreg", "copy_reg")},
}  # fmt: skip


class LuigiUnpickler(pickle.Unpickler):
    """Makes nothing but what stands in CLASSES. Python 2's texts are read as UTF-8."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, fix_imports=False, encoding="utf-8", errors="surrogateescape")

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class that the file names. Raises UnpicklingError for one that is not luigi's."""
        if (module, name) not in CLASSES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of luigi's state")
        return CLASSES[module, name]

    def persistent_load(self, pid: object) -> Any:
        """Raise UnpicklingError: luigi keeps nothing outside of the file."""
        raise pickle.UnpicklingError("it refers to something outside of the file, as luigi's state does not")


class Unsuitable(ValueError):
    """A value that JSON has no place for."""


class Writer:
    """Writes objects as lines, each attribute as far as JSON can have it; the names of others stand in `left`."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._values = 0

    def write(self, kind: str, attributes: dict[str, Any]) -> None:
        """Write an object as one line. kind: what stands before its attributes."""
        found, left = {}, []
        for name, value in attributes.items():
            if type(name) is not str:
                continue
            self._values = 0
            try:
                found[name] = self._plain(value, 0)
            except Unsuitable:
                left.append(name)
        json.dump({kind: found, "left": left} if left else {kind: found}, self._file, separators=(",", ":"))
        self._file.write("\n")

    def _plain(self, value: Any, depth: int) -> Any:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise Unsuitable
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind is int and abs(value) < MAX_INT:
            return value
        if kind is float and math.isfinite(value):
            return value
        if kind is float and value > 0:
            return "Infinity"  # luigi's maximum of a batch, where it has none
        if kind is dict:
            return {self._text(name): self._plain(inner, depth + 1) for name, inner in value.items()}
        if kind is OrderedSet:
            value = value.members()
        elif kind in (set, frozenset):
            value = sorted(map(self._text, value))
        elif kind is Failures:
            return self._plain(value.attributes, depth)
        elif not isinstance(value, (list, tuple, collections.deque)):
            raise Unsuitable
        return [self._plain(inner, depth + 1) for inner in value]

    def _text(self, name: Any) -> str:
        if type(name) is not str:
            raise Unsuitable
        return name


def objects_in(state: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what luigi's state holds: kind and attributes. Raises Unsuitable when it is no state of luigi's."""
    if type(state) is not tuple or len(state) not in (2, 3) or any(type(each) is not dict for each in state):
        raise Unsuitable
    tasks, workers = state[:2]
    for worker in workers.values():
        if type(worker) is not Worker:
            raise Unsuitable
        worker.attributes.pop("tasks", None)  # the tasks know their workers
        yield "worker", worker.attributes
    for worker_id, families in (state[2] if len(state) == 3 else {}).items():
        yield "batchers", {"worker": worker_id, "families": families}
    for task in tasks.values():
        if type(task) is not Task:
            raise Unsuitable
        yield "task", task.attributes


def limit(megabytes: int, seconds: int, written: int) -> None:
    """Let this process have so much memory and time, open no file, and write so many bytes."""
    for kind, most in (
        (resource.RLIMIT_AS, megabytes * 2**20),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (wanted, wanted if kind != resource.RLIMIT_CPU else hard))  # at the other it is killed


def main() -> None:
    """Read and write. The arguments: how many megabytes of memory, seconds, and bytes of output this may take."""
    megabytes, seconds, written = map(int, sys.argv[1:])
    limit(megabytes, seconds, written)
    writer = Writer(sys.stdout)
    try:
        count = 0
        for kind, attributes in objects_in(LuigiUnpickler(sys.stdin.buffer).load()):
            writer.write(kind, attributes)
            count += 1
        last: dict[str, object] = {"end": count}
    except Unsuitable:
        last = {"error": "it is a pickle, but not of luigid's state"}
    except MemoryError:
        last = {"error": f"it needs more than {megabytes} MB of memory"}
    except RecursionError:
        last = {"error": "it is nested too deeply"}
    except Exception as error:  # whatever a damaged or hostile pickle brings about
        last = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
    json.dump(last, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

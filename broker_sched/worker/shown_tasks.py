"""Tasks in few lines: by family, with what is common to them said once."""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from broker_sched.tasks.protocol import without_password

TASKS_SHOWN = 5  # of one family in one group; also how many runs of values, and how many other workers
VALUE_SHOWN = 80  # characters of one parameter
NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")  # one that is written the way int() would write it
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Summarized(Protocol):
    """The part of a task that the summary needs."""

    @property
    def task_id(self) -> str:
        """The task's id, by which the scheduler knows it."""

    @property
    def task_family(self) -> str:
        """The name of the task's class, with its namespace."""

    def deps(self) -> Iterable[Any]:
        """Return the tasks that this one depends on."""

    def to_str_params(self, only_significant: bool = False, only_public: bool = False) -> dict[str, str]:
        """Return parameter → text, of the significant or public ones only where that is asked for."""


def by_family(tasks: Iterable[Summarized]) -> list[str]:
    """Return a line for each family, with how many tasks it has and the parameters in which they differ."""
    families: dict[str, list[dict[str, str]]] = defaultdict(list)
    for task in tasks:
        families[task.task_family].append(task.to_str_params(only_significant=True, only_public=True))
    return [_family_line(family, members) for family, members in families.items()]


def _family_line(family: str, members: list[dict[str, str]]) -> str:
    """`3 Sales(country=AT, date=2024-03-01 … 2024-03-03)`; several that differ in more: the first few, one by one."""
    names = list(members[0])
    varying = [name for name in names if len({member.get(name) for member in members}) > 1]
    if len(varying) < 2:
        values = {name: one_value(value) for name, value in members[0].items()}
        for name in varying:
            values[name] = _values([member.get(name, "") for member in members])
        return f"{len(members)} {family}{_listed(values)}"
    shown = [_listed({name: one_value(value) for name, value in member.items()}) for member in members[:TASKS_SHOWN]]
    return f"{len(members)} {family}{', '.join(shown)}{_rest(len(members))}"


def _listed(values: Mapping[str, str]) -> str:
    return f"({', '.join(f'{name}={value}' for name, value in values.items())})"


def _rest(count: int) -> str:
    return f" … and {count - TASKS_SHOWN} more" if count > TASKS_SHOWN else ""


def one_value(text: str) -> str:
    """Return a value as one line of at most VALUE_SHOWN characters, without the password of a URL."""
    return one_line(text, VALUE_SHOWN)


def one_line(text: str, length: int) -> str:
    """Return any text as one line of at most `length` characters, without the password of a URL."""
    plain = without_password(text)
    line = plain if plain.isprintable() else repr(plain)[1:-1]
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _values(found: Sequence[str]) -> str:
    """The values of one parameter. Whole numbers and dates are sorted; three or more in a row are `first … last`."""
    for pattern, ordinal in ((NUMBER, int), (DATE, _day_number)):
        if all(pattern.fullmatch(text) for text in found):
            try:
                runs = _runs({ordinal(text): text for text in found})
            except ValueError:  # 2024-02-30
                break
            return ", ".join(runs[:TASKS_SHOWN]) + _rest(len(runs))
    return ", ".join(one_value(text) for text in found[:TASKS_SHOWN]) + _rest(len(found))


def _day_number(text: str) -> int:
    return datetime.date.fromisoformat(text).toordinal()


def _runs(texts: Mapping[int, str]) -> list[str]:
    """`1 … 3`, `7`, `8` from what stands at 1, 2, 3, 7 and 8."""
    runs: list[list[str]] = []
    previous: int | None = None
    for number in sorted(texts):
        if previous is None or number != previous + 1:
            runs.append([])
        runs[-1].append(texts[number])
        previous = number
    shown = ([f"{run[0]} … {run[-1]}"] if len(run) > 2 else run for run in runs)
    return [text for texts_of_run in shown for text in texts_of_run]

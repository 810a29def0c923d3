"""`make nightly` runs every test on every kind of Redis, in every combination, and the random ones for much longer."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

NIGHTLY = os.environ.get("NIGHTLY") == "1"
only_by_night = pytest.mark.only_by_night  # of a test whose claim another one shows by day


def by_night(at_night: T, otherwise: T) -> T:
    """How much of something a test does: `range(by_night(10_000, 300))`."""
    return at_night if NIGHTLY else otherwise


def combinations(*choices: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Every combination by night. By day as many as the longest has choices: each choice is in one of them."""
    if NIGHTLY:
        return list(itertools.product(*choices))
    longest = max(map(len, choices))
    return [tuple(each[number % len(each)] for each in choices) for number in range(longest)]


def deselect_combinations(config: pytest.Config, items: list[pytest.Item], names: Collection[str]) -> None:
    """By day leave of each test as many as combinations() gives of those of its parameters that are named."""
    if NIGHTLY:
        return
    choices: dict[tuple[str, str], dict[Any, int]] = defaultdict(dict)  # of a test's parameter: each value's number
    numbers: list[dict[tuple[str, str], int]] = []
    for item in items:
        function = item.nodeid.partition("[")[0]
        given = getattr(getattr(item, "callspec", None), "params", {})
        numbers.append({})
        for name in (each for each in names if each in given):
            values = choices[function, name]
            numbers[-1][function, name] = values.setdefault(given[name], len(values))
    left_out = set()
    for item, each in zip(items, numbers):
        longest = max(each, key=lambda key: len(choices[key]), default=None)
        if any(number != each[longest] % len(choices[key]) for key, number in each.items()):
            left_out.add(item)
    _deselect(config, items, left_out)


def deselect_only_by_night(config: pytest.Config, items: list[pytest.Item]) -> None:
    """By day leave out the tests that are marked by only_by_night."""
    if not NIGHTLY:
        _deselect(config, items, {item for item in items if item.get_closest_marker(only_by_night.name)})


def _deselect(config: pytest.Config, items: list[pytest.Item], left_out: Collection[pytest.Item]) -> None:
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]

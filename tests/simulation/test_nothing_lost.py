"""Whatever dies, gets lost, comes twice or late: one runner at most, nothing that was DONE is undone, everything ends.

A history that breaks a rule is made as short as it can be, and printed: carry_out() repeats it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.nightly import by_night
from tests.simulation.lossy_world import OPTIONS, Step, Violation, World, history

LOOK_EVERY = 50  # steps between two comparisons of all indexes with the slow model


def carry_out(scheduler: Any, clock: Any, steps: list[Step], workers: int = 4, tasks: int = 10) -> None:
    """Carry out a history to its end. Raises Violation."""
    clock.now = 1_000_000.0
    world = World(scheduler, clock, workers, tasks)
    for number, step in enumerate(steps, start=1):
        world.take(step)
        if number % LOOK_EVERY == 0:
            verify(scheduler)
    world.end_everything()
    verify(scheduler)


def verify(scheduler: Any) -> None:
    differences = scheduler.verify()
    if differences:
        raise Violation(f"indexes differ from what the tasks say: {differences[:3]}")


def violation(make: Callable[..., Any], clock: Any, steps: list[Step], **size: int) -> Violation | None:
    """What a history breaks; None where it breaks nothing."""
    scheduler = make(**OPTIONS)
    try:
        carry_out(scheduler, clock, steps, **size)
    except Violation as found:
        return found
    finally:
        scheduler._client.delete(*scheduler._client.keys(f"{scheduler.namespace.prefix}*"))
    return None


def shortened(breaks: Callable[[list[Step]], bool], steps: list[Step]) -> list[Step]:
    """Leave out of a history that breaks a rule whatever it breaks it without: parts, smaller and smaller ones."""
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            shorter = steps[:start] + steps[start + size :]
            if breaks(shorter):
                steps = shorter
        size //= 2
    return steps


def check(make: Callable[..., Any], clock: Any, seed: int, length: int = 200, **size: int) -> None:
    steps = history(seed, length)
    found = violation(make, clock, steps, **size)
    if found is not None:
        short = shortened(lambda tried: violation(make, clock, tried, **size) is not None, steps)
        lines = "\n".join(f"    {step!r}," for step in short)
        why = violation(make, clock, short, **size)
        pytest.fail(f"seed {seed}: {found}\nIts shortest form ({why}):\n{lines}")


@pytest.mark.timeout(by_night(36_000, 120))
@pytest.mark.parametrize("first", range(0, by_night(10_000, 10), 10))
def test_nothing_is_lost_and_nothing_runs_twice(scheduler_factory: Any, clock: Any, first: int) -> None:
    for seed in range(first, first + 10):
        check(scheduler_factory, clock, seed)


@pytest.mark.timeout(by_night(36_000, 120))
@pytest.mark.parametrize("seed", range(by_night(50, 1)))
def test_so_it_is_with_hundreds_of_workers(scheduler_factory: Any, clock: Any, seed: int) -> None:
    check(scheduler_factory, clock, seed, length=by_night(1500, 600), workers=200, tasks=120)

"""The tasks of the benchmarks, as a stock Luigi worker would add them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Task: TypeAlias = dict[str, Any]  # the arguments of add_task, without the worker
Shape: TypeAlias = Callable[[int, int], Task]  # (number, how many) → the task of this number

LAYERS = 10
FAMILIES = 200  # of the tasks that a page shows
RESOURCES = 10  # names; each with a limit of 2
BATCHER = {"task_family": "AggregateOrders", "batched_args": ["number", "date"], "max_batch_size": 10}
LIMITS = {f"database_{number}": 2 for number in range(RESOURCES)}
COUNTRIES = ("AT", "BE", "CH", "DE", "DK", "ES", "FI", "FR", "GB", "IT")


def task_id(number: int) -> str:
    """An id as Luigi makes them: family, first parameters, hash."""
    digest = hashlib.md5(str(number).encode()).hexdigest()[:10]
    return f"AggregateOrders_{COUNTRIES[number % 10]}_2024_03_{number % 28 + 1:02}_{number}_{digest}"


def flat(number: int, count: int) -> Task:
    """No deps, no resources."""
    return {
        "task_id": task_id(number),
        "deps": [],
        "family": "AggregateOrders",
        "module": "pipelines.orders",
        "params": {
            "country": COUNTRIES[number % 10],
            "date": f"2024-03-{number % 28 + 1:02}",
            "number": str(number),
        },
        "param_visibilities": {"country": 0, "date": 0, "number": 0},
        "priority": 0,
        "resources": {},
        "runnable": True,
        "retry_policy_dict": {"retry_count": None, "disable_hard_timeout": None, "disable_window": None},
    }


def layered(number: int, count: int) -> Task:
    """One of ten layers, with three deps in the layer before."""
    width = max(3, count // LAYERS)
    first = (number // width - 1) * width  # of the layer before
    deps = [] if first < 0 else [task_id(first + (number + offset) % width) for offset in (0, 1, width // 2)]
    return flat(number, count) | {"deps": deps}


def with_resources(number: int, count: int) -> Task:
    """One or two of ten resources, half of which are used up while the benchmark runs."""
    resources = {f"database_{number % RESOURCES}": 1}
    if number % 7 == 0:
        resources[f"database_{(number + 3) % RESOURCES}"] = 1
    return flat(number, count) | {"resources": resources}


def batchable(number: int, count: int) -> Task:
    """What a worker may run ten of at once, those of one country."""
    return flat(number, count) | {"batchable": True}


def varied(number: int, count: int) -> Task:
    """Of ten layers in many families. The first layer is done, of the second every tenth task has failed."""
    layer = number // max(3, count // LAYERS)
    status = "DONE" if layer == 0 else "FAILED" if layer == 1 and number % 10 == 0 else "PENDING"
    return layered(number, count) | {"family": f"Family{number % FAMILIES}", "status": status}


SHAPES: dict[str, Shape] = {
    "flat": flat,
    "layered": layered,
    "resources": with_resources,
    "batchable": batchable,
    "varied": varied,
}


def holders() -> Iterator[Task]:
    """Running tasks that use up the first half of the resources."""
    for number in range(RESOURCES):
        yield flat(0, 0) | {"task_id": f"Holder_{number}", "resources": {f"database_{number // 2}": 1}}

"""What became of one run of a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Wanted(NamedTuple):
    """A task that a running one asked for, as it can be loaded again."""

    module: str
    family: str
    params: dict[str, str]
    task_id: str | None = None  # None: from an rq worker of an older version


@dataclass(frozen=True)
class RunResult:
    """Made where the task ran; plain values only, so that it can always travel."""

    task_id: str
    status: Literal["DONE", "FAILED", "PENDING"]  # PENDING: it waits for `wanted`
    expl: str = "null"  # JSON: what on_success or on_failure returned
    missing: tuple[str, ...] = ()  # ids of deps that were not complete when it was to run
    wanted: tuple[Wanted, ...] = ()  # dynamic requirements that are not complete yet
    complete_ids: tuple[str, ...] = field(default=())  # tasks found complete meanwhile, for the cache
    is_unloadable: bool = False  # it could not be loaded where it was to run; FAILED for who does not know of this

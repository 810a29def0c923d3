"""The result of one run of a task, and the tasks that it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

# How a worker ends a run: then the task has failed, is disabled besides, or is run by others and has not failed.
EndsBy: TypeAlias = Literal["stop", "disable", "release"]
# How a run came to its end: that, or by itself, with what the task returned or raised; by a timeout; by a crash of what
# it ran in.
EndedBy: TypeAlias = EndsBy | Literal["itself", "timeout", "crash"]


class Ending(NamedTuple):
    """How and why a worker ends a run. reason: the rest of a sentence that begins with "the task was ended"."""

    by: EndsBy
    reason: str


class TaskSpec(NamedTuple):
    """A task that a running one asked for, by what it can be made of again."""

    module: str
    family: str
    params: dict[str, str]
    task_id: str | None = None  # None: not known


@dataclass(frozen=True)
class RunResult:
    """What became of one run of a task. Made where it ran, of plain values only, so that it can always travel."""

    task_id: str
    status: Literal["DONE", "FAILED", "PENDING"]  # PENDING: it waits for `new_deps`
    expl: str = "null"  # JSON: what on_success or on_failure returned; of a run that was ended, why
    missing: tuple[str, ...] = ()  # ids of deps that were not complete when it was to run
    new_deps: tuple[TaskSpec, ...] = ()  # dynamic requirements that are not complete yet
    complete_ids: tuple[str, ...] = field(default=())  # tasks found complete meanwhile, for the cache
    ended_by: EndedBy = "itself"
    is_unloadable: bool = False  # it could not be loaded where it was to run; FAILED for who does not know of this
    is_refused: bool = False  # nothing of its machine's could be used to run it: it goes back, whoever scheduled it

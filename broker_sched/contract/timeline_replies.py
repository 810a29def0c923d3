"""The shape of what timeline replies: which task ran where, from when to when. Times are seconds since the epoch."""

from __future__ import annotations

from typing import TypedDict


class Run(TypedDict):
    """A run of a task. worker: null where nobody handed it out.

    started: null where nothing tells: the event of its end is one of an older version. ended: null while it runs.
    outcome: RUNNING or BATCH_RUNNING, or what the task became by it: DONE, FAILED, DISABLED, PENDING (it was given
    back, or its run() wanted more deps), REMOVED.
    """

    task_id: str
    family: str
    worker: str | None
    started: float | None
    ended: float | None
    outcome: str


class Timeline(TypedDict):
    """Some runs: first those that have not ended, the latest first, then those that ended last.

    cursor: for those that ended earlier; null: there are no more. now: the time of the scheduler. all_running: whether
    there are all that have not ended: up to 1,000 are looked at. whole_since: what ended earlier is told only of tasks
    that are there, each with its last run; null: that is true of no run.
    """

    runs: list[Run]
    cursor: str | None
    now: float
    all_running: bool
    whole_since: float | None

"""The shape of what `submission_details` replies. Times are float seconds since the epoch."""

from __future__ import annotations

from typing import TypedDict

from broker_sched.contract.view_replies import EstimatedEnd


class SubmittedTask(TypedDict):
    """A task of a submission that runs."""

    task_id: str
    family: str
    worker: str | None
    since: float | None


class SubmittedFamily(TypedDict):
    """How many of a submission's tasks of one family, of those looked at, are in each state."""

    family: str
    tasks: dict[str, int]


class SubmissionDetails(TypedDict):
    """How far a submission is. state, tasks, submitted, ended, n_pending, n_running, n_ready: as in `submission`.

    total: how many tasks it has. counts: how many of those looked at are in each state, or EXTERNAL: no worker can run
    them. families: the same by family, most tasks first; empty when it has ended. running: up to 20, oldest first.
    failed: up to 20 that are FAILED or DISABLED. refused: up to 20 that nobody could load so far.
    """

    submission: str
    state: str
    tasks: list[str]
    submitted: float | None
    ended: float | None
    n_pending: int
    n_running: int
    n_ready: int
    total: int
    looked_at: int
    counts: dict[str, int]
    families: list[SubmittedFamily]
    running: list[SubmittedTask]
    failed: list[str]
    refused: list[str]
    estimated_end: EstimatedEnd

"""The reply of why(): the closed list of reasons for which a task does not run, and what is told of each.

Times are float seconds since the epoch.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict, get_args

from broker_sched.contract.view_replies import RunAttempt

WhyCode: TypeAlias = Literal[
    "done",
    "running",
    "in_batch",
    "unknown",
    "deps",
    "disabled",
    "cycle",
    "missing",
    "placeholder",
    "external",
    "over_limit",
    "failed",
    "refused",
    "no_worker",
    "paused",
    "family_paused",
    "starvation_guard",
    "resource",
    "busy",
    "postponed",
    "priority",
    "deferred",
    "linking",
    "ready",
]
# What each code says of a task, and what ends it. docs/states.md shows this table.
WHY_CODES: dict[WhyCode, tuple[str, str]] = {
    "done": ("it is DONE", "nothing has to be done"),
    "running": ("it runs on a worker", "its run ends"),
    "in_batch": ("it is BATCH_RUNNING, a member of a batch", "the batch ends"),
    "unknown": ("there is no task of this id, or not any more", "somebody schedules it"),
    "deps": ("it waits for deps; the causes are the tasks at the root of that", "the causes end"),
    "disabled": ("it is DISABLED, by the scheduler, a worker or people", "its time is over, or it is enabled or done"),
    "cycle": ("tasks depend on each other, in a ring", "one of them is added again without the dep, or marked as done"),
    "missing": ("a dep is not there: it was removed, or never added", "somebody schedules it, or nothing needs it"),
    "placeholder": (
        "it is UNKNOWN: known only as a dep, never scheduled",
        "somebody schedules it, or nothing needs it",
    ),
    "external": ("no worker has signed up for it, as for an external task", "it is reported DONE, or runnable"),
    "over_limit": ("it wants more of a resource than the limit", "the limit is raised, or it wants less"),
    "failed": ("it is FAILED, and waits for its retry time", "that has come, or it is forgiven or done"),
    "refused": ("all workers that live and might run it can't load it", "another worker comes, or the refusals end"),
    "no_worker": ("no worker that may run it is alive and enabled", "such a worker comes"),
    "paused": ("handing out is paused", "the scheduler is unpaused"),
    "family_paused": ("its family is paused", "the family is unpaused"),
    "starvation_guard": ("a resource is kept for a better task", "that task is handed out, or ends"),
    "resource": ("a resource that it wants is in use", "holders end, or the limit is raised"),
    "busy": ("all workers that may run it use all their slots", "one of their runs ends, or another worker comes"),
    "postponed": (
        "a worker refused it a moment ago, so all others go first",
        "those are handed out, or its time is over",
    ),
    "priority": ("another ready task goes first", "that task is handed out, or ends"),
    "deferred": (
        "a change of its deps has not reached it yet",
        "deferred steps are done: every call goes on with them",
    ),
    "linking": ("its long list of deps is being read in", "deferred steps are done: every call goes on with them"),
    "ready": ("nothing keeps it back", "a worker asks for work"),
}
assert tuple(WHY_CODES) == get_args(WhyCode)


class Holder(TypedDict):
    """A running task that holds some of a resource."""

    task_id: str
    worker: str | None
    since: float | None
    amount: float


class Candidate(TypedDict, total=False):
    """A worker that may run a task, or might have. state: free, busy, disabled, silent, gone, refuses, filtered,
    submission (it never runs anything). Of one that is gone only worker, state and last_contact are known."""

    worker: str | None  # null: its name is not known any more
    state: str
    host: str | None
    last_contact: float | None
    last_asked: float | None  # its last get_work
    slots: float
    running: int
    refuses: str  # the module, or module:family, that it refuses
    until: float  # of a refusal
    reason: str | None  # of a refusal: the last line of what the worker said
    assistant: bool


class Cause(TypedDict, total=False):
    """One reason, and the task that it is about. others: how many other tasks are at the root for the same reason.

    Beside these, only what the code is about is there.
    """

    code: WhyCode
    task_id: str
    sentence: str
    others: int
    family: str
    since: float | None  # its status, or the pause of its family
    until: float | None  # retry time, end of the disable or of the postponement; null: not by itself
    worker: str | None  # who runs it, or would be given it; of failed and disabled who ran it last
    host: str | None
    last_contact: float | None  # of that worker; null: it is unknown by now
    last_asked: float | None  # that worker's last get_work
    mean_seconds: float | None  # of the family's last 100 runs
    p95_seconds: float | None
    batch_id: str
    batch_size: int
    combined: str | None  # the task that the batch runs as; null: it has not begun
    by: str  # of a disable: scheduler, worker, operator
    author: str | None  # of an operator's disable: who that was
    error: str | None  # its last line
    failures: int  # within the window
    failures_allowed: int | None  # so many disable it; null: any number may
    runs: list[RunAttempt]  # the last 20, oldest first
    cycle: list[str]  # the tasks in the order in which each needs the next; the last needs the first
    dep: str | None  # of deferred: the dep that has changed
    steps: int  # deferred steps that wait
    failed_steps: int
    removed: float | None  # when the task was removed, as far as the stream `events` tells
    dependents: int  # how many tasks need a task that is not there
    resource: str
    wanted: float
    limit: float
    used: float
    holders: list[Holder]  # at most 20
    other_holders: int  # how many running tasks hold it beside those; at least, where there are very many
    workers: list[Candidate]  # at most 50
    other_workers: int
    refusal: str | None  # what the last worker said that could not load it
    first: str | None  # the task that goes first, or that the resource is kept for
    ahead: int  # how many tasks of its ready queue are before it
    may_be_batched: bool  # of priority: both are of one family, and may go in one batch


class Why(TypedDict):
    """Why a task does not run, or how it stands. status null: unknown.

    code: of the task itself; `deps` when it waits, and then causes are the tasks at the root, those first that somebody
        has to mend. Else there is one cause, of the same code.
    unmet: how many of its own deps are not DONE.
    other_causes: how many tasks at the root are in none of the causes.
    complete: False when there was more to look at than looked_at tasks; then counts are lower bounds.
    """

    task_id: str
    status: str | None
    code: WhyCode
    sentence: str
    causes: list[Cause]
    unmet: int
    other_causes: int
    looked_at: int
    complete: bool

"""The shapes of what the methods for looking reply (view_methods.py). Times are float seconds since the epoch."""

from __future__ import annotations

from typing import TypedDict

from broker_sched.contract.types import JSON


class WorkerCounts(TypedDict):
    """How many workers are in each state, as `workers` shows it, and how many tasks they may run and do run at once.

    slots: of the active ones together. slots_in_use: how many of these have a task.
    """

    active: int
    disabled: int
    silent: int
    submissions: int
    slots: float
    slots_in_use: int


class ResourceUse(TypedDict):
    """A resource, how much of it there is, and how much is held by running tasks. Without a limit there is 1."""

    name: str
    limit: float
    used: float


class UpstreamFailed(TypedDict):
    """How many PENDING tasks wait for a FAILED one; exact false: at least so many, not all were looked at."""

    count: int
    exact: bool


class Upstream(TypedDict):
    """How many PENDING tasks wait for a DISABLED task, or else for a FAILED one."""

    UPSTREAM_DISABLED: int
    UPSTREAM_FAILED: UpstreamFailed


class Throughput(TypedDict):
    """How many runs ended a second, on average over the time that the name says."""

    done_per_second: float
    failed_per_second: float


class EstimatedEnd(TypedDict):
    """When all that can run will have ended; at null: it can't be said, and reason says why."""

    at: float | None
    reason: str | None


class RedisState(TypedDict):
    """What Redis tells of itself; null where it does not, or where its user may not ask (INFO).

    used_memory, max_memory: bytes; max_memory 0 is no limit. persistence: "aof", or "no aof": snapshots at the most.
    last_save_ok: whether the last attempts to write to the disk succeeded. last_save: when the last snapshot was made,
    or Redis began. unsaved_changes: since then.
    """

    version: str | None
    used_memory: int | None
    max_memory: int | None
    persistence: str | None
    last_save_ok: bool | None
    last_save: float | None
    unsaved_changes: int | None


class ServerProcess(TypedDict):
    """A process of `bsched server` on this namespace. address: where it listens; null where that is not known."""

    server: str
    host: str
    pid: int
    version: str
    address: str | None
    started: float
    seen: float


class Versions(TypedDict):
    """Which versions are at work. workers: version → how many; "" stands for those that tell none, as Luigi's."""

    servers: list[ServerProcess]
    workers: dict[str, int]


class Overview(TypedDict):
    """How a namespace stands. tasks: state → how many. ready, oldest_ready: how many could run, and since when."""

    time: float
    namespace: str
    schema: str
    tasks: dict[str, int]
    ready: int
    oldest_ready: float | None
    upstream: Upstream
    workers: WorkerCounts
    resources: list[ResourceUse]
    paused: bool
    paused_families: list[str]
    throughput: dict[str, Throughput]  # of the last minute, ten_minutes, hour
    estimated_end: EstimatedEnd
    redis: RedisState
    versions: Versions


class Family(TypedDict):
    """A family of tasks. runs: how many ended DONE. mean_seconds, p95_seconds: of the last 100 of them; null: none yet.

    p95_seconds: the shortest of them that at least 95 % of them did not exceed. last_error: its last line.
    """

    family: str
    tasks: dict[str, int]
    total: int
    paused: bool
    runs: int
    mean_seconds: float | None
    p95_seconds: float | None
    failed_last_hour: int
    last_error: str | None
    last_failed: float | None
    last_failed_task: str | None


class Families(TypedDict):
    """Some families, those with most tasks first. cursor: for the next ones; null: there are no more."""

    families: list[Family]
    cursor: str | None


class DatedFamily(TypedDict):
    """A family with its tasks of a month. dates: day (or the month itself) → state → how many, without zeros."""

    family: str
    dates: dict[str, dict[str, int]]


class FamilyDates(TypedDict):
    """How many tasks families have for the days of a month. cursor: for the next families; null: there are no more.

    month: null where no task has a date. months: all for which there are tasks, of families that are left out, too.
    """

    month: str | None
    months: list[str]
    families: list[DatedFamily]
    cursor: str | None


class TaskLine(TypedDict):
    """A task in a listing, with its public parameters only.

    state: its status, where PENDING is READY, WAITING (for deps) or BLOCKED (by a DISABLED one). since: when it came
    into this state. worker: who runs it, or ran it last. started: when its latest run began. error: the last line of
    its latest explanation, at most 200 characters.
    """

    task_id: str
    display_name: str
    family: str
    status: str
    state: str
    since: float
    updated: float
    priority: float
    params: dict[str, JSON]
    resources: dict[str, float]
    worker: str | None
    started: float | None
    progress: float | None
    message: str | None
    error: str | None


class Tasks(TypedDict):
    """Some tasks of a listing. cursor: for the next ones; null: there are no more.

    looked_at: how many tasks were looked at since the listing began, of: how many there are to be looked at.
    """

    tasks: list[TaskLine]
    cursor: str | None
    looked_at: int
    of: int


class LinkedTask(TypedDict):
    """A task that another one depends on, or that depends on it. task: its line; null of one that is not there.

    state: as in TaskLine, or MISSING: depended on, and not there.
    """

    task_id: str
    state: str
    task: TaskLine | None


class TaskDeps(TypedDict):
    """Some of a task's deps, or of its dependents. cursor: for the next ones; null: there are no more.

    counts: state → how many of all of them; null where there are too many to look at, or the call had a cursor. total:
    how many there are, whatever is listed. looked_at: how many were looked at since the listing began.
    """

    tasks: list[LinkedTask]
    counts: dict[str, int] | None
    total: int
    cursor: str | None
    looked_at: int


class RunAttempt(TypedDict):
    """A run of a task that has ended.

    outcome: DONE, FAILED, DISABLED, PENDING (it was given back) or WAITING (its run() wanted more deps). error: a line.
    attempt: null where nobody handed it out.
    """

    attempt: int | None
    started: float | None
    ended: float
    outcome: str
    worker: str
    host: str | None
    error: str | None


class TaskDetails(TaskLine):
    """All that is known of a task. attempts: its last 20 runs that have ended, oldest first.

    workers: up to 100 that may run it, n_workers: how many there are. n_unmet: deps that are not DONE. attempt: the
    number of its latest run. retry_at, disabled_until: null where it is not FAILED, or not DISABLED by the scheduler.
    disabled_by: who of the people has disabled it; null where they have not.
    accepts_messages: whether it runs, and takes messages (send_scheduler_message), and the option send_messages is on.
    batch_id: of the batch in which it runs.
    log_size: how much its latest run wrote; null: no log is kept. error: all of its latest explanation. memory: bytes
    of the process that runs it, as far as its worker tells.
    """

    module: str | None
    created: float
    workers: list[str]
    n_workers: int
    resources_held: dict[str, float] | None
    n_deps: int
    n_unmet: int
    n_dependents: int
    attempt: int | None
    attempts: list[RunAttempt]
    retry_at: float | None
    disabled_until: float | None
    disabled_by: str | None
    accepts_messages: bool
    batch_id: str | None
    tracking_url: str | None
    log_size: int | None
    memory: int | None


class FailureGroup(TypedDict):
    """Failures of one family with the same last line of their error.

    tasks: how many different ones failed. example: the task that failed last. workers: up to 20 on which they failed.
    """

    family: str
    error: str
    count: int
    tasks: int
    first: float
    last: float
    example: str
    workers: list[str]


class Failures(TypedDict):
    """What failed since then, most failures first. total: how many failures, those of left out groups too.

    complete: false where more failed than is kept; then there are only those since `since`.
    """

    failures: list[FailureGroup]
    groups: int
    total: int
    since: float
    complete: bool


class WorkerLine(TypedDict):
    """A worker. state: active; disabled; silent, when it missed two pings or more; submission, which never calls.

    version: of broker_sched; null for Luigi's workers. last_contact: null for a submission. slots: how many tasks it
    runs at once. running: how many it does run. refuses: modules, and families as module:family, that it could not
    load and is not given for a while.
    """

    worker: str
    host: str | None
    version: str | None
    state: str
    assistant: bool
    last_contact: float | None
    started: float
    slots: float
    running: int
    failed_last_hour: int
    done_last_hour: int
    refuses: list[str]


class Workers(TypedDict):
    """Some workers, in the order of their ids. cursor: for the next ones; null: there are no more."""

    workers: list[WorkerLine]
    cursor: str | None


class RunningTask(TypedDict):
    """A task that runs on a worker. memory: bytes of its process, as far as the worker tells."""

    task_id: str
    family: str
    since: float
    memory: int | None


class Failure(TypedDict):
    """A run that failed. status: FAILED, or DISABLED by one failure too many. error: the last line of it."""

    task_id: str
    family: str
    worker: str
    host: str | None
    attempt: int | None
    status: str
    error: str
    time: float


class Refusal(TypedDict):
    """A module, or a family as module:family, that a worker could not load; it is not given the like until then."""

    label: str
    until: float


class WorkerDetails(WorkerLine):
    """All that is known of a worker. running_tasks: up to 1,000. failures: its last 20, newest first.

    modules: patterns of those it takes others' tasks from; empty for any. info: what it told of itself.
    """

    running_tasks: list[RunningTask]
    failures: list[Failure]
    refusals: list[Refusal]
    modules: list[str]
    info: dict[str, JSON]


Event = TypedDict(
    "Event",
    {
        "id": str,
        "task_id": str,
        "family": str,
        "from": str,
        "to": str,
        "worker": str | None,
        "time": float,
        "refused": str | None,
        "asked": str | None,
        "by": str | None,
        "started": float | None,
    },
)
Event.__doc__ = """A change of a task's status. started: when the run began that ended by it; null: none did.

refused: what was reported for a run that did not count any more. asked: what people did that changed no status, and
"transfer": the run goes on on `worker`. by: who of the people did it, "" when that was not told; null: they did not.
"""


class Events(TypedDict):
    """Some events, oldest first. last: the id of the last one looked at, to be given as `after` for those behind it.

    first: that of the first one looked at, to be given as `before` for those before it; null: none is before it.
    complete: false when some behind `after` were dropped before anybody asked: the last 10,000 or so are kept.
    """

    events: list[Event]
    last: str | None
    first: str | None
    complete: bool

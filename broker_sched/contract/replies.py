"""The shapes of the replies, as Luigi's clients and its page read them.

Times are float seconds since the epoch. Names such as taskId are Luigi's, and are used nowhere else in this package.
"""

from __future__ import annotations

from typing import TypedDict

from broker_sched.contract.types import JSON


class PendingCounts(TypedDict, total=False):
    """What a worker has still to do. n_pending_last_scheduled is missing where get_work answers a disabled worker."""

    n_pending_tasks: int  # PENDING or FAILED tasks this worker may run, upstream not disabled
    n_unique_pending: int  # of these, those no other worker may run
    n_pending_last_scheduled: int  # of these, those this worker was the last to sign up for
    worker_state: str  # "active" or "disabled"
    running_tasks: list[dict[str, JSON]]  # task_id, worker and that worker's info


class Work(PendingCounts, total=False):
    """What a worker was handed out. When that is nothing, task_id is null, and the keys behind it are missing."""

    task_id: str | None  # null for a batch too
    task_family: str
    task_module: str | None
    task_params: dict[str, JSON]  # in a batch: a list for each batched parameter
    attempt: int  # of this hand-out: higher than that of any earlier one of the task. Not in Luigi
    batch_id: str
    batch_task_ids: list[str]


class Exchange(TypedDict):
    """What became of a worker's reports, and what it is to run next.

    superseded: task id → why its report changed nothing. work: replies of get_work, in the order of the hand-outs.
    """

    superseded: dict[str, str]
    work: list[Work]


class Transferred(Work, total=False):
    """A run that is on another worker now. Its task_id is never null; of a batch it is that of the combined task.

    batch_id, batch_task_ids: only of a batch.
    """


class Awaited(TypedDict):
    """How a wait for work ended: `ready` says that the worker should ask now."""

    ready: bool  # the worker should ask for work now


class RpcMessage(TypedDict):
    """What a worker is asked to do: the name of one of its own methods, and the arguments."""

    name: str
    kwargs: dict[str, JSON]


class Ping(TypedDict):
    """The messages that waited for the worker, oldest first. Each is given once."""

    rpc_messages: list[RpcMessage]


class Paused(TypedDict):
    """Whether handing out is paused."""

    paused: bool


class Enabled(TypedDict):
    """Whether pause() has an effect in this namespace."""

    enabled: bool


class TaskStatus(TypedDict):
    """The status that a task has after a call; null when there is no such task."""

    task_id: str | None
    status: str | None


class TaskStanding(TypedDict):
    """How a task stands. worker_running: who ran it last. refusal: why the last who should load it gave it back."""

    status: str
    worker_running: str | None
    refusal: str | None


class Stopping(TypedDict):
    """Who was asked to end a task; worker null: nobody runs it."""

    task_id: str
    worker: str | None


class UnchangedTask(TypedDict):
    """Why nothing was done with a task: a sentence for people, and its status, which is null when there is none."""

    task_id: str
    status: str | None
    reason: str


class ChangedTasks(TypedDict):
    """What became of the tasks of a change_tasks; each of them is named once, in one of the lists."""

    changed: list[str]
    unchanged: list[UnchangedTask]


class PausedFamily(TypedDict):
    """How a family stands after a call."""

    family: str
    paused: bool  # false also where pause_enabled is off
    changed: bool  # it was not so before
    tasks: int  # how many the family has, of whatever status: none of a family that is misspelt


class DrainedWorker(TypedDict):
    """Whether a worker was asked to leave (it reads that with its next ping), or disabled, since it is Luigi's."""

    worker: str
    asked: bool
    disabled: bool  # neither: there is no such worker


class ForgottenWorker(TypedDict):
    """Whether a worker was removed, and why not; how many tasks it ran, which have failed."""

    worker: str
    forgotten: bool
    tasks: int
    reason: str | None


class RemovedResource(TypedDict):
    """Whether a resource had a limit of its own, and which."""

    resource: str
    removed: bool
    limit: float | None


class Option(TypedDict):
    """An option of the scheduler. set_at (s), set_by: null while it has its default, or when that is not known.

    meaning: what it does. takes: which values it may have.
    """

    name: str
    value: float | bool
    default: float | bool
    set_at: float | None
    set_by: str | None
    meaning: str
    takes: str


class SupersededReports(TypedDict):
    """How many reports about runs that did not count any more were refused since the namespace was made."""

    count: int


class MessageId(TypedDict):
    """Under which id a task may answer a message; null when messages are off."""

    message_id: str | None


class MessageResponse(TypedDict):
    """What a task has answered to a message; null when there is no answer."""

    response: JSON


class StatusMessage(TypedDict):
    """The text beside a task; '' for an unknown task."""

    taskId: str
    statusMessage: str | None


class ProgressPercentage(TypedDict):
    """The progress beside a task; null for an unknown task."""

    taskId: str
    progressPercentage: float | None


class RunningResources(TypedDict):
    """What a running task holds; null when it never ran or is unknown."""

    taskId: str
    resources: dict[str, float] | None


class TaskError(TypedDict, total=False):
    """Why a task failed last. Of an unknown task there is only taskId, and error ''."""

    taskId: str
    error: str | None
    displayName: str
    taskParams: dict[str, JSON]
    taskModule: str | None
    taskFamily: str


class TraceLinks(TypedDict):
    """The spans that an attempt follows from, as W3C's traceparent writes them."""

    submissions: list[str]  # in which the tasks were scheduled
    deps: dict[str, str]  # task id → its latest attempt; of up to 100 deps, those that have a trace


class TaskLog(TypedDict):
    """The last characters that a task's latest run wrote, and how many there were in all; status null: no such task."""

    task_id: str
    status: str | None
    run: float | None  # when it began (s)
    log: str | None
    size: int


class SubmissionState(TypedDict):
    """How a submission stands after a call, as in Submission; state null: there is none of this name."""

    submission: str
    state: str | None


class Submission(TypedDict):
    """A submission; of an unknown one state is null. Times in seconds since the epoch.

    state: ACTIVE; DONE; FAILED, when a task is FAILED or DISABLED; INCOMPLETE, when something is missing that no worker
        can make; CANCELLED.
    tasks: ids of those asked for.
    n_pending, n_running, n_ready: of its tasks; pending are also those that failed and will be retried. Members of a
        batch that runs are in none of them.
    counts: its tasks by status (with what they depend on), and EXTERNAL, those that no worker can run. Not in lists
        while it is active.
    failed: up to 20 ids of FAILED and DISABLED tasks.
    refused: up to 20 ids of tasks that wait since nobody could load them so far; fetch_error tells why. Not in lists.
    """

    submission: str
    state: str | None
    tasks: list[str]
    submitted: float | None
    ended: float | None
    n_pending: int
    n_running: int
    n_ready: int
    counts: dict[str, int]
    failed: list[str]
    refused: list[str]


class Task(TypedDict, total=False):
    """A task as listings and graphs show it: public parameters only."""

    display_name: str
    status: str
    workers: list[str]
    worker_running: str | None
    time_running: float | None
    start_time: float
    last_updated: float
    params: dict[str, JSON]
    name: str
    priority: float
    resources: dict[str, float]
    resources_running: dict[str, float] | None
    tracking_url: str | None
    status_message: str | None
    progress_percentage: float | None
    re_enable_able: bool  # when DISABLED
    deps: list[str]  # in graphs
    accepts_messages: bool  # when RUNNING and messages are on


class Resource(TypedDict):
    """A resource, how much of it there is, how much is used, by how many running tasks, and by which."""

    name: str
    num_total: float
    num_used: float
    num_consumer: int
    running: dict[str, Task]

"""The shapes of the replies, as Luigi's clients and its page read them.

Times are float seconds since the epoch. The names are Luigi's and are used
nowhere else in this package.
"""

from __future__ import annotations

from typing import Any, TypedDict

JSON = Any  # any JSON value: a client's own data, or Luigi's own merging of keys


class PendingCounts(TypedDict, total=False):
    """count_pending. A disabled worker's get_work has no n_pending_last_scheduled."""

    n_pending_tasks: int  # PENDING or FAILED tasks this worker may run, upstream not disabled
    n_unique_pending: int  # of these, those no other worker may run
    n_pending_last_scheduled: int  # of these, those this worker was the last to sign up for
    worker_state: str  # "active" or "disabled"
    running_tasks: list[dict[str, JSON]]  # task_id, worker and that worker's info


class Work(PendingCounts, total=False):
    """get_work. Without work: task_id is null, and family, module, params are absent."""

    task_id: str | None  # null for a batch too
    task_family: str
    task_module: str | None
    task_params: dict[str, JSON]  # in a batch: a list for each batched parameter
    attempt: int  # of this hand-out: higher than that of any earlier one of the task. Not in Luigi
    batch_id: str
    batch_task_ids: list[str]


class Awaited(TypedDict):
    ready: bool


class RpcMessage(TypedDict):
    """What a worker is asked to do: a method of its own and the arguments."""

    name: str
    kwargs: dict[str, JSON]


class Ping(TypedDict):
    rpc_messages: list[RpcMessage]


class Paused(TypedDict):
    paused: bool


class Enabled(TypedDict):
    enabled: bool


class TaskStatus(TypedDict):
    task_id: str | None
    status: str | None


class TaskStanding(TypedDict):
    """How a task stands. worker_running: who ran it last. refusal: why the last who should load it gave it back."""

    status: str
    worker_running: str | None
    refusal: str | None


class Stopping(TypedDict):
    task_id: str
    worker: str | None


class SupersededReports(TypedDict):
    count: int  # since the namespace was made


class MessageId(TypedDict):
    message_id: str | None


class MessageResponse(TypedDict):
    response: JSON


class StatusMessage(TypedDict):
    taskId: str
    statusMessage: str | None


class ProgressPercentage(TypedDict):
    taskId: str
    progressPercentage: float | None


class RunningResources(TypedDict):
    taskId: str
    resources: dict[str, float] | None


class TaskError(TypedDict, total=False):
    """fetch_error. An unknown task has only taskId and error ''."""

    taskId: str
    error: str | None
    displayName: str
    taskParams: dict[str, JSON]
    taskModule: str | None
    taskFamily: str


class TaskLog(TypedDict):
    """What the latest run wrote: its last characters, and how many there were in all.

    status null: an unknown task.
    """

    task_id: str
    status: str | None
    run: float | None  # when it began (s)
    log: str | None
    size: int


class SubmissionState(TypedDict):
    """state null: unknown."""

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
    name: str
    num_total: float
    num_used: float
    num_consumer: int
    running: dict[str, Task]

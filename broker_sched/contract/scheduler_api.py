"""The contract: every method, declared once.

`SchedulerAPI` has the signatures, the types and the documentation of Luigi's methods, and inherits those that Luigi
class SchedulerAPI(OwnMethods, ViewMethods, OperatorMethods):

Source of every behaviour named here: luigi.scheduler.Scheduler, 3.8.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from broker_sched.contract import replies as replies
from broker_sched.contract.operator_methods import OperatorMethods
from broker_sched.contract.own_methods import OwnMethods
from broker_sched.contract.registry import Method, read_methods, rpc
from broker_sched.contract.types import (
    JSON,
    Attempt,
    BatchedArgs,
    BatchSize,
    Number,
    ReportableStatus,
    Resources,
    RetryPolicy,
    StartId,
    StatusFilter,
    TaskId,
    UpstreamFilter,
    Visibility,
    WorkerId,
    WorkerInfo,
)
from broker_sched.contract.view_methods import ViewMethods
from broker_sched.contract.wrong_arguments import check_spelling


class SchedulerAPI(OwnMethods, ViewMethods, OperatorMethods):
    """Luigi's scheduler API. Base of everything that a worker can take for a scheduler.

    Every method may raise InvalidArgument (nothing was changed) and, when nobody answers, Unreachable. Every change is
    atomic.
    """

    def _invoke(self, method: Method, arguments: dict[str, Any]) -> Any:
        """Carry one call. `arguments` has only what the caller gave."""
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in METHODS.values():
            if method.name not in cls.__dict__:
                setattr(cls, method.name, _calling(method))

    # Tasks: what workers report

    @rpc(takes_any=True)
    def add_task(
        self,
        task_id: TaskId,
        status: ReportableStatus = "PENDING",
        runnable: bool | None = True,
        deps: Sequence[TaskId] | None = None,
        new_deps: Sequence[TaskId] | None = None,
        expl: JSON = None,
        resources: Resources | None = None,
        priority: Number = 0,
        family: str | None = "",
        module: str | None = None,
        params: Mapping[str, JSON] | None = None,
        param_visibilities: Mapping[str, Visibility] | None = None,
        accepts_messages: bool | None = False,
        assistant: bool | None = False,
        tracking_url: str | None = None,
        *,
        worker: WorkerId,
        batchable: bool | None = None,
        batch_id: str | None = None,
        retry_policy_dict: RetryPolicy | None = None,
        owners: JSON = None,
        attempt: Attempt | None = None,
    ) -> None:
        """Create a task or update it, report its status, and sign the worker up for it.

        status: PENDING, RUNNING, DONE, FAILED, DISABLED, UNKNOWN, or SUSPENDED (stored as PENDING).
        runnable: this worker can run it; unless the status is FAILED, it joins the task's workers.
        deps: the ids it depends on: null leaves them, [] clears them. new_deps adds to them.
        resources: {name: amount ≥ 0} it holds while running, replaced at every call.
        priority: only ever raises the task's; existing deps are raised with it.
        retry_policy_dict: retry_count, disable_hard_timeout, disable_window (seconds); null means the scheduler's.
        attempt: the one that get_work told, for reports on its run. Is it superseded, nothing is changed, and
        Superseded is raised (409). Without it, Luigi's rules are all there is.
        """
        raise NotImplementedError

    @rpc()
    def add_task_batcher(
        self,
        worker: WorkerId,
        task_family: str,
        batched_args: BatchedArgs,
        max_batch_size: BatchSize = float("inf"),
    ) -> None:
        """Let get_work hand this worker several tasks of the family as one, with a list per batched parameter."""
        raise NotImplementedError

    @rpc(takes_any=True)
    def announce_scheduling_failure(
        self,
        task_name: str,
        family: str,
        params: JSON,
        expl: JSON,
        owners: JSON,
        worker: str | None = None,
        param_visibilities: Mapping[str, Visibility] | None = None,
    ) -> None:
        """Tell that a task could not be scheduled. With batch_emails, a mail will say so.

        owners: mail addresses. param_visibilities: name → 0 for each parameter that may be shown; Luigi's worker
        tells none, and none is shown.
        """
        raise NotImplementedError

    @rpc()
    def set_task_status_message(
        self, task_id: TaskId, status_message: str | None, attempt: Attempt | None = None
    ) -> None:
        """Show a text beside the task; a running combined task passes it on to its batch. attempt: as in add_task."""
        raise NotImplementedError

    @rpc(reads_only=True)
    def get_task_status_message(self, task_id: TaskId) -> replies.StatusMessage:
        """Read the text beside the task; '' for an unknown task."""
        raise NotImplementedError

    @rpc()
    def set_task_progress_percentage(
        self, task_id: TaskId, progress_percentage: Number | None, attempt: Attempt | None = None
    ) -> None:
        """Show a progress (0 to 100) beside the task; a running combined task passes it on to its batch.

        attempt: as in add_task.
        """
        raise NotImplementedError

    @rpc(reads_only=True)
    def get_task_progress_percentage(self, task_id: TaskId) -> replies.ProgressPercentage:
        """Read the progress beside the task; null for an unknown task."""
        raise NotImplementedError

    @rpc()
    def decrease_running_task_resources(
        self, task_id: TaskId, decrease_resources: Mapping[str, Number], attempt: Attempt | None = None
    ) -> None:
        """Give back part of what a RUNNING task holds; never below 0. attempt: as in add_task."""
        raise NotImplementedError

    @rpc(reads_only=True)
    def get_running_task_resources(self, task_id: TaskId) -> replies.RunningResources:
        """Read what the task holds; null when it never ran or is unknown."""
        raise NotImplementedError

    @rpc()
    def report_task_statistics(self, task_id: TaskId, statistics: JSON) -> None:
        """Take a task's own measurements. Accepted; nothing is derived from them yet."""
        raise NotImplementedError

    @rpc()
    def update_metrics_task_started(self, task: JSON) -> None:
        """Accepted for completeness: Luigi declares it, but no client can send it a task object."""
        raise NotImplementedError

    # Work: what workers ask for

    @rpc(allow_null=False, takes_any=True)
    def get_work(
        self,
        host: str | None = None,
        assistant: bool | None = False,
        current_tasks: Sequence[TaskId] | None = None,
        *,
        worker: WorkerId,
        start_id: StartId | None = None,
    ) -> replies.Work:
        """Hand out the best task, or batch of tasks, that this worker may run now.

        current_tasks: what the worker believes it runs. A task RUNNING here but not in the list is handed out
        again, since the reply that carried it was lost. null: no reconciliation.
        start_id: as in add_worker.
        """
        raise NotImplementedError

    @rpc()
    def count_pending(self, worker: WorkerId) -> replies.PendingCounts:
        """Count the tasks this worker still has to do, alone or with others."""
        raise NotImplementedError

    @rpc(attempts=1, answered_within_seconds=10.0, takes_any=True)  # the next heartbeat follows
    def ping(self, worker: WorkerId, start_id: StartId | None = None) -> replies.Ping:
        """Tell that the worker lives, and take the messages that wait for it (each is given once).

        start_id: as in add_worker.
        """
        raise NotImplementedError

    # Workers

    @rpc(takes_any=True)
    def add_worker(
        self,
        worker: WorkerId,
        info: WorkerInfo,
        start_id: StartId | None = None,
    ) -> None:
        """Merge info (a dict, or a list of pairs) into what is known of the worker.

        `workers` is its number of processes, `assistant` whether it runs others' tasks, `ping_interval` how many
        seconds there are between two of its pings, `version` that of broker_sched. `task_memory`, an object of task id
        → bytes of the process that runs it, is kept for a minute, and shown beside these tasks only.
        start_id: made anew at each start of the worker. Another one than before is a new worker under an old name:
        what the former one ran has failed. While that is heard of and runs tasks, NameTaken is raised (409), and
        nothing is changed; once the new one has the name, the former one's ping and get_work raise it.
        """
        raise NotImplementedError

    @rpc()
    def disable_worker(self, worker: WorkerId) -> None:
        """Give the worker no more work; what it runs, it may finish. An unknown one is created, as in Luigi."""
        raise NotImplementedError

    @rpc()
    def set_worker_processes(self, worker: WorkerId, n: int) -> None:
        """Leave the worker a message to change its number of processes. An unknown one is created, as in Luigi."""
        raise NotImplementedError

    @rpc(is_view=True, takes_any=True)
    def worker_list(self, include_running: bool = True) -> list[dict[str, JSON]]:
        """List the workers, newest first, each merged with its info; prunes first."""
        raise NotImplementedError

    # Messages to running tasks

    @rpc()
    def send_scheduler_message(self, worker: WorkerId, task: TaskId, content: JSON) -> replies.MessageId:
        """Leave the worker a message for one of its tasks; the id is null when messages are off."""
        raise NotImplementedError

    @rpc()
    def add_scheduler_message_response(self, task_id: TaskId, message_id: str, response: JSON) -> None:
        """Keep a task's answer to a message until it is read."""
        raise NotImplementedError

    @rpc()
    def get_scheduler_message_response(self, task_id: TaskId, message_id: str) -> replies.MessageResponse:
        """Take a task's answer; null when there is none. Reading removes it."""
        raise NotImplementedError

    # Operators: what people and timers do

    @rpc()
    def prune(self) -> None:
        """Remove silent workers, fail what they ran, retry what is due, re-enable and remove what is due."""
        raise NotImplementedError

    @rpc()
    def pause(self) -> None:
        """Hand out nothing new until unpause (where pause_enabled)."""
        raise NotImplementedError

    @rpc()
    def unpause(self) -> None:
        """Hand out work again, after pause()."""
        raise NotImplementedError

    @rpc(reads_only=True)
    def is_paused(self) -> replies.Paused:
        """Whether handing out is paused."""
        raise NotImplementedError

    @rpc(reads_only=True)
    def is_pause_enabled(self) -> replies.Enabled:
        """Return whether pause() has an effect here."""
        raise NotImplementedError

    @rpc()
    def forgive_failures(self, task_id: TaskId | None = None) -> replies.TaskStatus:
        """Put a FAILED task back to PENDING now; its failures still count. status null: unknown task."""
        raise NotImplementedError

    @rpc()
    def mark_as_done(self, task_id: TaskId | None = None) -> replies.TaskStatus:
        """Make a RUNNING, FAILED or DISABLED task DONE. status null: unknown task."""
        raise NotImplementedError

    @rpc()
    def re_enable_task(self, task_id: TaskId) -> dict[str, JSON]:
        """Lift a scheduler disable: the task is FAILED, its failures forgotten. {} when it had none."""
        raise NotImplementedError

    @rpc(reads_only=True)
    def has_task_history(self) -> bool:
        """Whether a task history is recorded. It never is: none is kept."""
        raise NotImplementedError

    # Resources

    @rpc()
    def update_resources(self, /, **resources: Number) -> None:
        """Set the limits of the resources named; a resource without a limit has 1."""
        raise NotImplementedError

    @rpc()
    def update_resource(self, resource: str, amount: JSON) -> bool:
        """Set one limit; False, and no change, when the amount is no int or negative."""
        raise NotImplementedError

    @rpc(is_view=True)
    def resource_list(self) -> list[replies.Resource]:
        """List the limits, what is in use, and by which running tasks; prunes first."""
        raise NotImplementedError

    # Views

    @rpc(is_view=True, takes_any=True)
    def graph(self) -> dict[str, JSON]:
        """Return all tasks with their deps; prunes first."""
        raise NotImplementedError

    @rpc(is_view=True, takes_any=True)
    def dep_graph(self, task_id: TaskId, include_done: bool = True) -> dict[str, JSON]:
        """Return the task and all it depends on, breadth first up to max_graph_nodes; prunes first."""
        raise NotImplementedError

    @rpc(is_view=True, takes_any=True)
    def inverse_dep_graph(self, task_id: TaskId, include_done: bool = True) -> dict[str, JSON]:
        """The task and all that depend on it, breadth first up to max_graph_nodes; prunes first."""
        raise NotImplementedError

    @rpc(is_view=True, takes_any=True)
    def task_list(
        self,
        status: StatusFilter | None = "",
        upstream_status: UpstreamFilter | None = "",
        limit: bool = True,
        search: str | None = None,
        max_shown_tasks: int | None = None,
    ) -> dict[str, JSON]:
        """The tasks of a status (all: ''), or only {num_tasks} when they are more than max_shown_tasks.

        upstream_status: of the PENDING ones, only those with this. search: words that must all be in
        the display name, whatever their case. Prunes first, unless only the number is answered.
        """
        raise NotImplementedError

    @rpc(is_view=True, takes_any=True)
    def task_search(self, task_str: str) -> dict[str, dict[str, JSON]]:
        """The tasks whose id has this text in it, by status; prunes first."""
        raise NotImplementedError

    @rpc(reads_only=True, takes_any=True)
    def fetch_error(self, task_id: TaskId) -> replies.TaskError:
        """The explanation of the task's last failure, with all its parameters."""
        raise NotImplementedError


def _calling(method: Method) -> Callable[..., Any]:
    """A method that gathers its arguments and hands them to the instance's _invoke."""
    names = [parameter.name for parameter in method.parameters]
    declared = getattr(SchedulerAPI, method.name)

    @wraps(declared)
    def call(self: SchedulerAPI, /, *args: Any, **kwargs: Any) -> Any:
        if len(args) > len(names):
            raise TypeError(f"{method.name} takes {len(names)} arguments ({len(args)} given)")
        for name, value in zip(names, args):
            if name in kwargs:
                raise TypeError(f"{method.name} got {name!r} twice")
            kwargs[name] = value
        check_spelling(method, kwargs, METHODS["add_task"])
        return self._invoke(method, kwargs)

    return call


METHODS: dict[str, Method] = read_methods(SchedulerAPI, OwnMethods, ViewMethods, OperatorMethods)

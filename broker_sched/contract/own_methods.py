"""Methods that Luigi does not have; more are in view_methods.py and operator_methods.py. luigid answers them by 404."""

from __future__ import annotations

from collections.abc import Sequence

from broker_sched.contract import replies as replies
from broker_sched.contract import why_replies as why_replies
from broker_sched.contract.registry import rpc
from broker_sched.contract.types import (
    AddTaskArguments,
    Attempt,
    AwaitSeconds,
    LogText,
    RefusalReason,
    RefusalScope,
    RefusalSeconds,
    RefusedIds,
    Size,
    StartId,
    TaskId,
    TaskIds,
    TraceParent,
    Wanted,
    WorkerId,
)


class OwnMethods:
    """The part of SchedulerAPI that Luigi does not have."""

    @rpc()
    def add_tasks(self, worker: WorkerId, tasks: AddTaskArguments) -> None:
        """Do add_task for each of up to 1,000 tasks, in this order.

        tasks: the arguments of add_task, without the worker. When one of them is wrong, nothing is changed.
        """
        raise NotImplementedError

    @rpc(allow_null=False)
    def exchange(
        self,
        worker: WorkerId,
        reports: AddTaskArguments = (),
        wanted: Wanted = 1,
        host: str | None = None,
        assistant: bool | None = False,
        current_tasks: Sequence[TaskId] | None = None,
        start_id: StartId | None = None,
    ) -> replies.Exchange:
        """Do add_task for each report, in this order, and then get_work until there are `wanted` tasks, in one call.

        reports: the arguments of add_task, without the worker. When one of them is wrong, nothing is changed. Each is
        one step by itself, and so is each hand-out. A report on a run that does not count any more changes nothing, and
        keeps the others from nothing: superseded has its task's id, and why.
        wanted: 0 only reports. work: replies of get_work: one for each task that was handed out, and one more, without
        a task, where there was none left for this worker: only that one tells running_tasks. Batches come last;
        each must be reported as RUNNING before the next question.
        The other arguments are those of get_work; current_tasks is what runs after the reports.
        """
        raise NotImplementedError

    @rpc(attempts=1, answered_within_seconds=40.0)  # it waits for up to 30 itself
    def await_work(self, worker: WorkerId, assistant: bool = False, seconds: AwaitSeconds = 5.0) -> replies.Awaited:
        """Wait until there is work or a message for this worker, at most so long.

        ready: it should ask for work now. seconds 0: end its wait; was it woken just then, another worker is instead.
        """
        raise NotImplementedError

    @rpc()
    def release_task(self, task_id: TaskId, worker: WorkerId, attempt: Attempt | None = None) -> replies.TaskStatus:
        """Put a task that this worker runs back to PENDING, without a failure; status null: unknown.

        attempt: as in add_task.
        """
        raise NotImplementedError

    @rpc()
    def transfer_task(
        self,
        task_id: TaskId,
        worker: WorkerId,
        to: WorkerId,
        attempt: Attempt,
        host: str | None = None,
        start_id: StartId | None = None,
    ) -> replies.Transferred:
        """Have a run go on on another worker, as the same attempt, and return it as get_work had handed it out.

        worker: who was handed the task. to: who runs it from now on, reports on it, is told of messages and missed when
        silent. add_worker must have told of it; it is an assistant, or has a stake in the task (add_task). host,
        start_id: of `to`, as in get_work. attempt: as in get_work's reply.
        Of a batch the combined task is given, and its members move with it. Where the run is on `to` already, the reply
        is the same. When it is not on `worker` any more, or not in this attempt, the call is refused like a report of
        it (superseded), and so is a worker that can't run it; then nothing is changed.
        """
        raise NotImplementedError

    @rpc(reads_only=True)
    def superseded_reports(self) -> replies.SupersededReports:
        """How many reports were refused because their run of the task did not count any more.

        Each is also an entry in the stream `events`, with the fields refused (the status, or the script) and attempt.
        """
        raise NotImplementedError

    @rpc(reads_only=True)
    def done_since_awaited(self, task_id: TaskId, deps: Sequence[TaskId]) -> list[TaskId]:
        """Return which of these deps became DONE after the task was put back to wait for them.

        task_id: a running task. deps: what it wants once more. A worker that finds one of those returned not complete
        fails the task, which would be started for it again and again.
        """
        raise NotImplementedError

    @rpc()
    def refuse_tasks(
        self,
        worker: WorkerId,
        task_ids: RefusedIds,
        reason: RefusalReason,
        scope: RefusalScope = "family",
        seconds: RefusalSeconds = 30.0,
        attempt: Attempt | None = None,
    ) -> list[str]:
        """Put tasks that this worker was handed out and can't load back to PENDING, with no failure. Returns their ids.

        reason: what fetch_error tells of them, together with the worker's id and host.
        scope: what the worker is not handed out for so many seconds: the `module` of the tasks, or only their `family`.
        attempt: as in get_work's reply. Tasks that this worker does not run, or not any more, are left as they are.
        """
        raise NotImplementedError

    @rpc(reads_only=True)
    def task_statuses(self, task_ids: TaskIds) -> dict[str, replies.TaskStanding]:
        """How up to 1,000 tasks stand, by id; unknown ones are left out. refusal: why a PENDING one went back."""
        raise NotImplementedError

    @rpc()
    def stop_task(self, task_id: TaskId, disable: bool = False, release: bool = False) -> replies.Stopping:
        """Ask the worker that runs the task to end it; then it is FAILED, or DISABLED.

        release: it is given back instead, for others to run, without a failure.
        worker: who was asked, within a second or so; null when nobody runs it. A Luigi worker does not do it.
        """
        raise NotImplementedError

    @rpc()
    def set_task_log(self, task_id: TaskId, log: LogText, size: Size, attempt: Attempt | None = None) -> None:
        """Keep the end of what the task's latest run has written so far, for a day. Of an unknown task nothing.

        log: at most 16,384 characters. size: how many there were in all. attempt: as in add_task.
        """
        raise NotImplementedError

    @rpc(reads_only=True)
    def task_log(self, task_id: TaskId) -> replies.TaskLog:
        """The end of what the task's latest run has written; log null when nothing is kept of it."""
        raise NotImplementedError

    @rpc(attempts=1)
    def note_submission_trace(self, task_ids: TaskIds, traceparent: TraceParent) -> None:
        """Keep for a week in which span these tasks were scheduled; unknown ones are passed over."""
        raise NotImplementedError

    @rpc(attempts=1)
    def begin_trace(self, task_ids: TaskIds, traceparent: TraceParent) -> replies.TraceLinks:
        """Keep for a week in which span the latest attempt of these tasks runs, and return what that follows from.

        task_ids: one, or the members of a batch.
        """
        raise NotImplementedError

    @rpc()
    def add_submission(self, submission: WorkerId, tasks: Sequence[TaskId]) -> replies.SubmissionState:
        """Make a submission of a worker that has scheduled tasks: it keeps them, and need not ping.

        submission: the worker's id, the submission's from now on. tasks: those asked for.
        """
        raise NotImplementedError

    @rpc(is_view=True)
    def submission(self, submission: WorkerId) -> replies.Submission:
        """How a submission stands, or ended within the last week. Reads all its tasks."""
        raise NotImplementedError

    @rpc(is_view=True)
    def submission_list(self) -> list[replies.Submission]:
        """The active submissions, and those that ended within the last week; newest first."""
        raise NotImplementedError

    @rpc()
    def cancel_submission(self, submission: WorkerId) -> replies.SubmissionState:
        """End a submission: what nobody else wants is not handed out any more; what runs goes on."""
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def why(self, task_id: TaskId) -> why_replies.Why:
        """Say why a task does not run, to the root cause, or how it stands: a sentence, and the same as data.

        code: one of a closed list of reasons (see states.md); `deps` when the task waits for others. Then causes are
        the tasks at the root of that, each with its own code and sentence, those first that somebody has to mend; else
        there is one cause, about the task itself. others: how many more are at the root for the same reason.
        Looks at no more than about 1,000 tasks; complete false says that there were more.
        """
        raise NotImplementedError

"""The methods for looking: how a namespace stands, what is in it, what went wrong. A stock luigid answers 404 to them.

None of them scans: what they need is kept as statuses change. No call looks at more than 1,000 tasks, or changes
anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from broker_sched.contract import (
    audit_replies,
    graph_replies,
    resource_replies,
    submission_replies,
    timeline_replies,
    view_replies,
)
from broker_sched.contract.registry import rpc
from broker_sched.contract.types import (
    JSON,
    AuditResult,
    Cursor,
    Date,
    ExpandedNodes,
    Family,
    GraphDirection,
    GraphNodes,
    LinkedStateFilter,
    ListLimit,
    ListOrder,
    Moment,
    Month,
    PathMeasure,
    ResourceName,
    SinceSeconds,
    StateFilter,
    TaskId,
    WorkerId,
)


class ViewMethods:
    """The part of SchedulerAPI that only looks."""

    @rpc(reads_only=True, looks=True)
    def overview(self) -> view_replies.Overview:
        """Return how the namespace stands: tasks by state, workers, resources, throughput, Redis; when it will end.

        upstream: how many PENDING tasks wait for a DISABLED task, and how many others for a FAILED one. For these up to
        1,000 tasks are looked at, from the FAILED ones on; exact false: there are at least so many.
        estimated_end: each family's mean run time, of its last 100 runs, times its tasks that are READY or WAITING and
        half of those RUNNING, divided by the slots of the active workers. It knows nothing of deps, resources or
        priorities. Null, with the reason, where it can't be said honestly, or more than 500 families have tasks left.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def families(self, cursor: Cursor | None = None, limit: ListLimit = 200) -> view_replies.Families:
        """Return families with their tasks by state, run times, and last failure; those with most tasks first.

        cursor: that of the reply before, for the next ones.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def family_dates(
        self,
        family: str | None = None,
        month: Month | None = None,
        cursor: Cursor | None = None,
        limit: ListLimit = 50,
    ) -> view_replies.FamilyDates:
        """Return how many tasks families have for each day of a month, by state; families by name, with those days only
        for which they have tasks.

        A task is for the day, or month, that its public parameter `date` begins with, as in 2024-03-01, 2024-03-01T05
        or 2024-03; without such a one, for that of its first other parameter, by name. Families none of whose tasks has
        a date in this month are left out. family: only this one. month: as in 2024-03; null: the last one for which
        there are tasks. cursor: that of the reply before, with the same other arguments.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def tasks(
        self,
        family: str | None = None,
        status: StateFilter | None = None,
        params: Mapping[str, JSON] | None = None,
        worker: WorkerId | None = None,
        text: str | None = None,
        error: str | None = None,
        failed_since: Moment | None = None,
        updated_since: Moment | None = None,
        date: Date | None = None,
        order: ListOrder = "newest",
        cursor: Cursor | None = None,
        limit: ListLimit = 50,
    ) -> view_replies.Tasks:
        """Return tasks for which all that is given holds, in the order of since when they are in their state.

        status: a status, or a state of PENDING tasks: READY, WAITING or BLOCKED. params: the values of public
        parameters, compared as text. worker: it runs the task, or may run it. text: words that all are in the display
        name, whatever their case. error: a text that is in the last line of its error, whatever its case.
        failed_since: FAILED or DISABLED since then or later. updated_since: its status changed then or later. date: the
        day or month that it is for, as family_dates has it.
        family, status, failed_since and updated_since cost nothing, nor does a date that up to 10,000 tasks are for.
        For the other filters a call looks at up to 1,000 tasks, so its reply may be short, or empty, and have a cursor:
        looked_at says how far it got.
        cursor: that of the reply before, with the same other arguments; it holds when tasks have come and gone.
        """
        raise NotImplementedError

    @rpc(reads_only=True)
    def task_details(self, task_id: TaskId) -> view_replies.TaskDetails | None:
        """Return all that is known of one task, but for its hidden parameters; null when there is no such task."""
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def task_deps(
        self,
        task_id: TaskId,
        direction: GraphDirection = "deps",
        status: LinkedStateFilter | None = None,
        include_done: bool = True,
        cursor: Cursor | None = None,
        limit: ListLimit = 50,
    ) -> view_replies.TaskDeps | None:
        """Return the tasks that a task depends on directly, or that depend on it; null when nobody knows the task.

        Of up to 1,000 those come first that somebody has to see to, as failed ones; deps that are DONE come last. More
        are listed in no order.
        status: a status, or a state as in `tasks`, or MISSING: depended on, and not there. cursor: that of the reply
        before, with the same other arguments. limit: a reply has as many, or up to 100 more. A call looks at about
        1,000 tasks, so with a filter its reply may be short, or empty, and have a cursor.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def failures(self, since_seconds: SinceSeconds = 3600.0, limit: ListLimit = 100) -> view_replies.Failures:
        """Return the failures of the last so many seconds by family and last line of the error, most failures first.

        limit: of groups. The last 10,000 failures or so are kept, whatever became of their tasks.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def workers(self, cursor: Cursor | None = None, limit: ListLimit = 200) -> view_replies.Workers:
        """Return workers and submissions, in the order of their ids. cursor: that of the reply before."""
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def worker_details(self, worker: WorkerId) -> view_replies.WorkerDetails | None:
        """Return all that is known of one worker: what it runs, failed at and could not load; null when unknown."""
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def resource_details(
        self, resource: ResourceName, limit: ListLimit = 100
    ) -> resource_replies.ResourceDetails | None:
        """Return who holds a resource, and which ready tasks want it; null when it has no limit and nobody does.

        limit: of holders and of waiters. Up to 1,000 running tasks are looked at, those first that were handed out
        first by their rank.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def submission_details(self, submission: WorkerId) -> submission_replies.SubmissionDetails | None:
        """Return how far a submission is, and when it may end; null when it is unknown.

        Up to 1,000 of its tasks are looked at, chosen by chance where it has more; `submission` looks at all.
        estimated_end: as in `overview`, if all active workers ran nothing else.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def events(
        self,
        after: str | None = None,
        limit: ListLimit = 100,
        family: str | None = None,
        status: StateFilter | None = None,
        task_id: TaskId | None = None,
        before: str | None = None,
    ) -> view_replies.Events:
        """Return changes of tasks' statuses, oldest first: those after the event with this id, or the newest.

        status: the one a task changed to. before: the newest before the event with this id, to go back in time; not
        together with after. With family, status or task_id a call looks at up to 1,000 events: so there may be fewer
        than `limit`, and more behind `last` or before `first`. The last 10,000 events or so are kept.
        """
        raise NotImplementedError

    @rpc(reads_only=True)
    def audit(
        self,
        after: str | None = None,
        limit: ListLimit = 100,
        since: Moment | None = None,
        who: str | None = None,
        method: str | None = None,
        result: AuditResult | None = None,
        before: str | None = None,
    ) -> audit_replies.Audit:
        """Return who asked for which change, oldest first: the records after the one with this id, or the newest.

        A record is there for each change that a person or a token asked for, be it over HTTP or straight in Redis, and
        for each such call, and each login, that was refused; refused ones that are alike are counted in one. There is
        none for what workers report, nor for what changes nothing. who: a user, a token's name, or user@host. before:
        the newest before the record with this id, to go back in time; not together with after. With who, method or
        result a call looks at up to 1,000 records, so there may be more behind `last` or before `first`. How many are
        kept, and for how long, say the options audit_max_records and audit_max_age. unfinished: what was begun and has
        not ended yet; after 15 minutes it becomes a record with the result unknown, since its process must have ended.
        """
        raise NotImplementedError

    @rpc(reads_only=True, is_view=True)
    def condensed_graph(
        self,
        task_id: TaskId,
        direction: GraphDirection = "deps",
        nodes: GraphNodes = 150,
        expand: ExpandedNodes = (),
        include_done: bool = True,
    ) -> graph_replies.CondensedGraph | None:
        """Draw what a task depends on, or what depends on it, in few nodes; null when nobody knows the task.

        Near the task each node is one task; beyond, the tasks of one family that are in one state. Reads at most 1,000
        tasks, the nearest ones, at most 100 steps away.
        nodes: how many there may be. expand: names of nodes (`group:…`) whose tasks are to be shown one by one, as far
        as they fit. `more` in a node has the arguments that show more of it. include_done: false leaves out DONE tasks,
        but for the one that was asked for, and what is reached through them alone.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def critical_path(
        self, task_id: TaskId | None = None, submission: WorkerId | None = None, by: PathMeasure = "total"
    ) -> graph_replies.CriticalPath | None:
        """Return the chain of deps that takes longest, and ends with this task, or with one that was submitted.

        How long a task takes: what its last 20 runs took that have ended, and a run to come as long as the last 100 of
        its family that were DONE, on average; of one that runs what is left of that. by: only what was spent, or only
        what is expected. It knows nothing of how long a task waits for workers or resources. Looks at the nearest 1,000
        tasks. null when nobody knows the task, or the submission.
        """
        raise NotImplementedError

    @rpc(reads_only=True, looks=True)
    def timeline(
        self,
        since: Moment | None = None,
        until: Moment | None = None,
        worker: WorkerId | None = None,
        family: Family | None = None,
        cursor: Cursor | None = None,
        limit: ListLimit = 500,
    ) -> timeline_replies.Timeline:
        """Return which runs of tasks ended from `since` to `until`, the last ones first, and which have not ended yet.

        Two sources tell of a run. Each task that is there has its last one, when it is DONE, FAILED or DISABLED by it.
        The last 10,000 events or so have all of them, of tasks that were removed, too. Of a batch each member has a
        run. With cursor, that of the reply before, there are only such that have ended. A call looks at up to 1,000
        tasks and 2,000 events, so its reply may be short, or empty, and have a cursor.
        """
        raise NotImplementedError

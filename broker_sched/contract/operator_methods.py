"""The methods by which people change what a scheduler does: tasks in bulk, families, workers, limits, options.

A stock luigid has none of them. `by`, where a method takes it, is who does it, as text for those who look later.
"""

from __future__ import annotations

from collections.abc import Mapping

from broker_sched.contract import replies as replies
from broker_sched.contract.registry import rpc
from broker_sched.contract.types import (
    JSON,
    Author,
    DrainSeconds,
    Family,
    ResourceName,
    TaskAction,
    TaskIds,
    WorkerId,
)


class OperatorMethods:
    """The part of SchedulerAPI that is for operators and that Luigi does not have."""

    @rpc()
    def change_tasks(
        self, task_ids: TaskIds, action: TaskAction, dry_run: bool = False, by: Author | None = None
    ) -> replies.ChangedTasks:
        """Do one thing with each of up to 1,000 tasks, and say of each that it was done with, or why not.

        retry: FAILED and DISABLED ones are PENDING at once. A disable is lifted, whoever made it.
        forgive: as retry, and failures are forgotten, so that retry_count begins anew; of any other task, too.
        enable: DISABLED ones are FAILED, their failures forgotten, and are retried after retry_delay.
        disable: those that don't run are DISABLED until they are retried, forgiven, enabled or done, whoever adds them
        again. They are kept though no worker wants them any more.
        done: those that do not run in a batch are DONE.
        stop: the workers of RUNNING ones are asked to end them, within a second or so; then they are FAILED.
        remove: they are forgotten. Not those that run, nor those that a task needs which is neither DONE nor removed
        by the same call.
        dry_run: nothing is changed, and the reply is the one that would be given.
        """
        raise NotImplementedError

    @rpc()
    def pause_family(self, family: Family) -> replies.PausedFamily:
        """Hand out no task of this family until unpause_family (where pause_enabled); what runs goes on.

        They count as pending, and keep no resource and no slot from others. The family may be one that is yet to come.
        """
        raise NotImplementedError

    @rpc()
    def unpause_family(self, family: Family) -> replies.PausedFamily:
        """Hand out the tasks of a family again, after pause_family(), also where pause_enabled is off by now."""
        raise NotImplementedError

    @rpc()
    def drain_worker(self, worker: WorkerId, seconds: DrainSeconds | None = None) -> replies.DrainedWorker:
        """Ask a worker to take no more work, to finish what it runs, and to leave; unlike disable_worker, its name may
        be used again at once.

        seconds: what runs for longer is ended, and given back. A stock Luigi worker can't be asked: it is disabled.
        """
        raise NotImplementedError

    @rpc()
    def forget_worker(self, worker: WorkerId, force: bool = False, by: Author | None = None) -> replies.ForgottenWorker:
        """Remove a worker at once, as one that was silent for too long: what it ran has failed.

        force: also one that was heard of within three of its ping intervals (at least 5 s). It comes back when it is
        alive.
        """
        raise NotImplementedError

    @rpc()
    def remove_resource(self, resource: ResourceName) -> replies.RemovedResource:
        """Give a resource the limit 1 again, which it has without one; removed: false when it had none."""
        raise NotImplementedError

    @rpc(reads_only=True)
    def option_list(self) -> list[replies.Option]:
        """Return the scheduler's options, by name, with who set which and when, as far as that is known."""
        raise NotImplementedError

    @rpc()
    def update_options(self, options: Mapping[str, JSON], by: Author | None = None) -> list[replies.Option]:
        """Set options of the scheduler; null: back to the default. All its processes follow at once.

        Returns the options that are named. An unknown one, or a value that it can't have, is refused, and nothing is
        changed.
        """
        raise NotImplementedError

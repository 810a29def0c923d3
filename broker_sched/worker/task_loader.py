"""Makes the tasks that other workers scheduled, and gives back what can't be made here."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from broker_sched.errors import BrokerSchedError, Superseded, UnknownMethod
from broker_sched.tasks.loading import TaskNotLoadable, load_task
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.module_trial import ModuleTrial
from broker_sched.worker.refusals import Label, Refusals
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from broker_sched.worker.task_registration import TaskRegistration, attempt_argument
from broker_sched.worker.text_limits import explanation

log = logging.getLogger("bsched.worker")


class TaskLoader:
    """Makes tasks of what get_work replies.

    config: its allow_modules says what may be loaded. trial: of first imports. failures: how many tasks have failed
    since they could not be loaded, and the scheduler takes nothing back.
    """

    def __init__(
        self,
        scheduler: RetryingScheduler,
        worker_id: str,
        registration: TaskRegistration,
        config: WorkerConfig,
        trial: ModuleTrial,
    ) -> None:
        self.failures = 0
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._registration = registration
        self._allowed = config.allow_modules
        self._trial = trial
        self._refusals = Refusals(scheduler, worker_id)

    def load_task(self, reply: dict[str, Any], task_ids: list[str]) -> TaskLike | None:
        """Make the task of a reply from its module, family and parameters. What can't be made is given back: None.

        task_ids: of the task, or of the members of its batch.
        """
        module, family = reply.get("task_module") or "", reply["task_family"]
        try:
            check_allowed(module, self._allowed, is_whole_module=True)
            if not self._trial.survives(module) and self.release_tasks(
                list(task_ids), **attempt_argument(reply.get("attempt"))
            ):
                return None
            task = load_task(module, family, reply["task_params"], reply.get("task_id"))
            check_allowed(type(task).__module__, self._allowed)  # an allowed module may have imported it from elsewhere
        except Exception as error:
            reason = str(error) if isinstance(error, BrokerSchedError) else traceback.format_exc()
            is_whole_module = isinstance(error, TaskNotLoadable) and error.is_whole_module
            has_own = self._registration.has_own_of(module, family)
            label = Label(module, None if is_whole_module and not has_own else family)
            is_known = has_own or any(each.task_family == family for each in self._registration.tasks.by_id().values())
            if has_own and self._refusals.step_aside(task_ids, label, reason, reply.get("attempt")):
                return None
            if not self._refusals.refuse_tasks(task_ids, label, reason, is_known, reply.get("attempt")):
                log.error("%s can't be loaded, and fails: %s", ", ".join(task_ids), reason)
                self.fail_tasks(reply, task_ids, reason)
            return None
        self._refusals.note_loaded(module, family)
        return task

    def release_tasks(self, task_ids: Sequence[str | None], **attempt: int) -> bool:
        """Give tasks back without a reason. Returns False when this scheduler (a stock luigid) has no way to do that.

        task_ids: None among them is left out. attempt: the number that get_work gave with them.
        """
        try:
            for task_id in task_ids:
                if task_id is not None:
                    self._scheduler.call("release_task", task_id=task_id, worker=self._worker_id, **attempt)
        except (UnknownMethod, AttributeError):
            return False
        return True

    def fail_tasks(self, reply: dict[str, Any], task_ids: list[str], expl: str) -> None:
        """Report that tasks have failed which a reply hands out. expl: why."""
        self.failures += 1
        self._registration.mails.not_loaded(reply["task_family"], task_ids, expl)
        for task_id in task_ids:
            failure = {"task_id": task_id, "status": "FAILED", "runnable": False, "expl": explanation(expl)}
            with contextlib.suppress(Superseded):  # it failed for others, or they run it
                self._scheduler.call(
                    "add_task", worker=self._worker_id, **failure, **attempt_argument(reply.get("attempt"))
                )


def check_allowed(module: str, allowed: Sequence[str], is_whole_module: bool = False) -> None:
    """Raise TaskNotLoadable for a module that no pattern of allow_modules fits. Without any, all are allowed."""
    if allowed and not any(fnmatchcase(module, pattern) for pattern in allowed):
        raise TaskNotLoadable(
            f"This worker may not load tasks from {module or 'no module'}; allowed: {', '.join(allowed)}.",
            is_whole_module,
        )

"""Tells the scheduler what became of runs. That a task is DONE goes along with the next question for work."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any, NamedTuple, cast

from broker_sched.errors import BrokerSchedError, LoginRefused, Unreachable
from broker_sched.tasks.loading import TaskNotLoadable, load_task
from broker_sched.tasks.protocol import TaskLike, logged_name
from broker_sched.worker.executors.protocol import TaskRun
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.summary import SUPERSEDED
from broker_sched.worker.task_description import described
from broker_sched.worker.task_registration import TaskRegistration, attempt_argument
from broker_sched.worker.work_source import WorkSource

log = logging.getLogger("bsched.worker")


class Waiting(NamedTuple):
    """A report that is yet to be sent: of a task that is DONE, as arguments of add_task without the worker."""

    task: TaskLike
    arguments: dict[str, Any]


class RunReports:
    """Reports what became of runs, and schedules anew what they asked for.

    succeeded: whether all runs ended well so far. waiting: reports that go along with the next question.
    """

    def __init__(self, registration: TaskRegistration, work_source: WorkSource, is_assistant: bool) -> None:
        self.succeeded = True
        self.waiting: list[Waiting] = []
        self._registration = registration
        self._work_source = work_source
        self._is_assistant = is_assistant

    def note_run(self, process: TaskRun) -> None:
        """Report what became of a run whose result is known; its process has ended, or will soon."""
        task = process.task
        if process.is_superseded:
            self._registration.note_end(task, SUPERSEDED)
            self._work_source.forget_task(task)
            return
        if process.reported is not None:
            self._note_reported(task, cast(RunResult, process.result), process.reported)
            return
        attempt, result = self._work_source.attempt_of(task), cast(RunResult, process.result)
        if result.ended_by != "itself":
            event = "event.core.timeout" if result.ended_by == "timeout" else "event.core.process_failure"
            why = json.loads(result.expl)
            log.error("%s", why)
            task.trigger_event(event, task, why)
        if result.ended_by == "release" and self._registration.release(task, attempt):
            self._work_source.forget_task(task)
            self.succeeded &= self._registration.tasks.status_of(task.task_id) == SUPERSEDED
            return
        if not self._work_source.gives_back_unloadable(task, result):
            self.note_result(task, result)
        if result.ended_by == "disable":
            self._registration.report(task, "DISABLED", attempt, assistant=self._is_assistant)

    def _note_reported(self, task: TaskLike, result: RunResult, status: str) -> None:
        """Note the end of a run that its job has reported itself, and keep a stake in what it wants besides."""
        if self._registration.known is not None:
            self._registration.known.update(result.complete_ids)
        waits = status == "PENDING" and bool(result.new_deps)
        for each in result.new_deps if waits else ():
            try:
                self._registration.add_again(load_task(each.module, each.family, each.params, each.task_id))
            except TaskNotLoadable as error:  # where it is to run it can be: the job has scheduled it
                log.info("%s can't be scheduled here, too: %s", each.task_id, error)
        if status != SUPERSEDED:
            self._work_source.note_run_elsewhere(task)
        self._registration.note_end(task, status)
        self._work_source.forget_task(task)
        self._registration.forget_ended(self._work_source.unreported)
        if status in ("FAILED", "DISABLED"):
            self._registration.mails.failed(task, result.expl)
        self.succeeded &= status in ("DONE", SUPERSEDED) or waits
        if result.missing and self._registration.may_reschedule(result.missing):
            self._registration.add_again(task)

    def note_result(self, task: TaskLike, result: RunResult) -> None:
        """Report the result of a run, and schedule anew what it asked for."""
        if self._registration.known is not None:
            self._registration.known.update(result.complete_ids)
        if result.status == "DONE" and self._work_source.can_exchange and self._let_wait(task, result):
            return
        status, expl, new_deps = str(result.status), result.expl, list[str]()
        try:
            new_deps = self._registration.add_new_deps(task, result.new_deps)
        except (KeyboardInterrupt, Unreachable, LoginRefused):
            raise
        except BaseException as error:
            log.error("What %s asked for can't be scheduled, or waited for: %s", logged_name(task), error)
            is_told = isinstance(error, BrokerSchedError)
            status, expl = "FAILED", json.dumps(str(error) if is_told else traceback.format_exc())
        self._report(task, status, new_deps, expl)
        if result.missing and self._registration.may_reschedule(result.missing):
            self._registration.add_again(task)

    def waiting_ids(self) -> set[str]:
        """Return the ids of the tasks whose reports wait."""
        return {each.task.task_id for each in self.waiting}

    def note_sent(self, sent: list[Waiting], superseded: dict[str, str]) -> None:
        """Note that the scheduler has had these reports. superseded: task id → why its report changed nothing."""
        self.waiting = self.waiting[len(sent) :]
        for task, arguments in sent:
            reason = superseded.get(task.task_id)
            if reason is None:
                log.info("Informed scheduler that task   %s   has status   %s", task.task_id, arguments["status"])
            else:
                log.warning("%s", reason)
            self._registration.note_end(task, "DONE" if reason is None else SUPERSEDED)
            self._work_source.forget_task(task)
        self._registration.forget_ended(self._work_source.unreported)

    def send_singly(self) -> None:
        """Send the reports that wait, each by a call of its own, which tells what is wrong with it."""
        while self.waiting:
            task, arguments = self.waiting[0]
            self._report(task, "DONE", [], arguments["expl"])
            self.waiting = self.waiting[1:]

    def _let_wait(self, task: TaskLike, result: RunResult) -> bool:
        attempt = attempt_argument(self._work_source.attempt_of(task))
        more: dict[str, Any] = {"expl": result.expl, "new_deps": [], "assistant": self._is_assistant, **attempt}
        try:
            self.waiting.append(
                Waiting(task, {**described(task, "DONE", self._work_source.params_of(task)), "runnable": None, **more})
            )
        except Exception:  # a property of the task fails, which is reported
            return False
        return True

    def _report(self, task: TaskLike, status: str, new_deps: list[str], expl: str) -> None:
        more = {"expl": expl, "new_deps": new_deps, "assistant": self._is_assistant}
        status = self._registration.report(task, status, self._work_source.attempt_of(task), **more)
        self._work_source.forget_task(task)
        self._registration.forget_ended(self._work_source.unreported)
        if status != SUPERSEDED:
            self.succeeded &= status == "DONE" or (status == "PENDING" and bool(new_deps))

"""Schedules tasks: finds out what they need, and reports them to the scheduler.

Source: luigi.worker.Worker.add, 3.8.1.
"""

from __future__ import annotations

import contextlib
import json
import logging
import traceback
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from broker_sched.errors import (
    BrokerSchedError,
    LoginRefused,
    Refused,
    Superseded,
    UnknownMethod,
    Unreachable,
    WorkerError,
)
from broker_sched.mails.texts import public_name
from broker_sched.tasks.loading import forget_instances, load_task
from broker_sched.tasks.protocol import TaskLike, check_task, logged_name, owners_of, visibilities_of
from broker_sched.worker.add_task_buffer import AddTaskBuffer
from broker_sched.worker.attempt_traces import AttemptTraces
from broker_sched.worker.awaited_deps import AwaitedDeps
from broker_sched.worker.completion import Completion, InParallel, InTurn
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.dependency_cycles import DependencyGraph, cycle_message
from broker_sched.worker.failure_mails import FailureMails
from broker_sched.worker.final_statuses import look_back
from broker_sched.worker.known_tasks import KnownTasks
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from broker_sched.worker.run_result import TaskSpec
from broker_sched.worker.summary import SUPERSEDED, Report, Response, RunHistory, Standing
from broker_sched.worker.task_description import described
from broker_sched.worker.task_state import TaskState
from broker_sched.worker.text_limits import shortened
from broker_sched.worker.traversal import Finding, examine, over_limit

log = logging.getLogger("bsched.worker")
MOST_OF_REASON = 1000  # characters of the reason


class TaskRegistration:
    """Schedules tasks under a worker's id, and reports what becomes of them.

    tasks: those that were scheduled or handed out here. handed_out: task_id → what is known of a run here,
    until its end was told. roots: ids of what was added from outside. reports: statuses that were reported to the
    scheduler. known: ids of tasks that are complete; None where complete() is asked each time. context: of
    multiprocessing, for complete() in parallel. check: called with each task that is to be run, before it is scheduled;
    may raise WorkerError. mails: told of what could not be scheduled.
    """

    def __init__(
        self, scheduler: RetryingScheduler, worker_id: str, config: WorkerConfig, context: Any, mails: FailureMails
    ) -> None:
        self.tasks = KnownTasks()
        self.handed_out: dict[str, TaskState] = {}
        self.roots: list[str] = []
        self.reports: list[Report] = []
        self.known: set[str] | None = set() if config.cache_task_completion else None
        self.succeeded = True
        self.check: Callable[[TaskLike], None] | None = None
        self._standings: dict[str, Standing] = {}
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._config = config
        self._context = context
        self.mails = mails
        self._completion = Completion(self.known)
        self.traces = AttemptTraces(scheduler, worker_id)
        self._buffer = AddTaskBuffer(scheduler, worker_id)
        self._awaited_deps = AwaitedDeps(scheduler, self._completion)
        self._dependency_graph = DependencyGraph()
        self._batchers_sent: set[str] = set()
        self._unfulfilled: dict[str, int] = defaultdict(int)

    def add(
        self, task: TaskLike, multiprocess: bool = False, processes: int = 0, settled: Collection[str] = ()
    ) -> bool:
        """Schedule a task and all it needs, as Worker.add says. settled: ids of tasks to leave as they are."""
        check_task(task)
        self.succeeded = True
        asking = InParallel(self._completion, processes, self._context) if multiprocess else InTurn(self._completion)
        try:
            asking.ask_about(task)
            seen = dict.fromkeys([task.task_id, *settled])  # in order
            for item, answer in asking.answers():
                finding = self._examine(item, answer)
                for dep in finding.deps or ():
                    if dep.task_id not in seen:
                        seen[dep.task_id] = None
                        asking.ask_about(dep)
                self._schedule(finding)
            self._refuse_cycles(seen)
            self._buffer.flush(self._note_refused)
            self.traces.note_submission(task, seen)
        except (KeyboardInterrupt, WorkerError):
            self.succeeded = False
            raise
        except Exception as error:
            self.succeeded = False
            self.mails.broke(task, traceback.format_exc())
            if not isinstance(error, BrokerSchedError):
                log.exception("%s could not be scheduled", logged_name(task))
                task.trigger_event("event.core.task.broken", task, error)
            raise
        finally:
            asking.end_processes()
            with contextlib.suppress(BrokerSchedError):  # after an error: what was found so far
                self._buffer.flush(self._note_refused)
        return self.succeeded

    def add_again(self, task: TaskLike, settled: Collection[str] = ()) -> bool:
        """Schedule a task that was handed out or scheduled before. Returns whether all of it could be scheduled.

        An error of the task's own is logged, and ends nothing. settled: ids of tasks to leave as they are. Raises
        KeyboardInterrupt, Unreachable and LoginRefused.
        """
        try:
            return self.add(task, settled=settled)
        except (KeyboardInterrupt, Unreachable, LoginRefused):
            raise
        except BaseException as error:
            log.error("%s could not be scheduled again: %s: %s", task.task_id, type(error).__name__, error)
            return False

    def _examine(self, task: TaskLike, answer: Any) -> Finding:
        limit = self._config.task_limit
        if limit is not None and len(self.tasks) >= limit:
            return over_limit(task, limit)
        finding = examine(task, answer, self._config.retry_external_tasks)
        if finding.trace is not None:
            self._announce_failure(task, finding.trace)
        elif finding.deps is not None:
            if self.check is not None and finding.runnable:
                self.check(task)
            self.send_batcher(task)
        return finding

    def _announce_failure(self, task: TaskLike, why: str) -> None:
        self.succeeded = False
        params = task.to_str_params(only_significant=True, only_public=True)
        self._scheduler.call(
            "announce_scheduling_failure",
            worker=self._worker_id,
            task_name=public_name(task),
            family=task.task_family,
            params={name: shortened(value) for name, value in params.items()},
            expl=why,
            owners=owners_of(task),
            param_visibilities=visibilities_of(task),
        )
        self.mails.not_scheduled(task, why)

    def _refuse_cycles(self, task_ids: Collection[str]) -> None:
        """What can never run is not left to wait: a worker that stays while tasks are pending would stay for ever."""
        cycles, stuck = self._dependency_graph.cycles(task_ids)
        for cycle in cycles:
            log.error("%s", cycle_message(cycle))
            self._announce_failure(self.tasks.task_of(cycle[0]), cycle_message(cycle))
        members = {task_id for cycle in cycles for task_id in cycle}
        if stuck:  # they are told once
            self.reports[:] = [report for report in self.reports if report.task.task_id not in stuck]
        for task_id in stuck:
            task = self.tasks.task_of(task_id)
            self._note(task, "UNKNOWN", False)
            arguments = described(task, "UNKNOWN", runnable=False, deps=[] if task_id in members else None)
            self._buffer.add_task(arguments, self._note_refused)

    def _note_refused(self, arguments: dict[str, Any], error: Refused) -> None:
        """One task can't be told of, mostly since its parameters are too long for a server or a proxy: without them it
        can be DONE, but not run. The others go on."""
        task_id, status = arguments["task_id"], "DONE" if arguments["status"] == "DONE" else "UNKNOWN"
        short = {name: arguments[name] for name in ("task_id", "family", "module")}
        self._scheduler.call("add_task", worker=self._worker_id, **short, status=status, runnable=False)
        if status == arguments["status"]:
            return
        log.error("%s is not scheduled: %s", task_id, error)
        self.reports[:] = [report for report in self.reports if report.task.task_id != task_id]
        self._note(self.tasks.task_of(task_id), status, False)
        self._announce_failure(self.tasks.task_of(task_id), f"The scheduler refuses this task: {error}")

    def send_batcher(self, task: TaskLike) -> None:
        """Let the scheduler hand out tasks of this family in batches, where they can be batched. Told once."""
        if task.task_family in self._batchers_sent:
            return
        self._batchers_sent.add(task.task_family)
        if names := type(task).batch_param_names():
            self._scheduler.call(
                "add_task_batcher",
                worker=self._worker_id,
                task_family=task.task_family,
                batched_args=list(names),
                max_batch_size=task.max_batch_size,
            )

    def offer_batches(self, task: TaskLike) -> None:
        """Do what send_batcher() does for a task that others scheduled: when that fails, its family is not batched for
        this worker."""
        try:
            self.send_batcher(task)
        except (KeyboardInterrupt, Unreachable, LoginRefused):
            raise
        except BaseException as error:
            failure = (task.task_family, type(error).__name__, error)
            log.error("Tasks of %s are not asked for in batches: %s: %s", *failure)

    def _schedule(self, finding: Finding) -> None:
        task = finding.task
        self.tasks.add(task, is_own=True)
        self._awaited_deps.forget_task(task.task_id)
        self._dependency_graph.note_deps(task.task_id, [dep.task_id for dep in finding.deps or ()])
        self._note(task, finding.status, finding.runnable)
        self._buffer.add_task(
            described(
                task,
                finding.status,
                runnable=finding.runnable,
                deps=None if finding.deps is None else [dep.task_id for dep in finding.deps],  # []: earlier ones go
                priority=task.priority,
                batchable=task.batchable,
            ),
            self._note_refused,
        )

    def report(self, task: TaskLike, status: str, attempt: int | None, **more: Any) -> str:
        """Tell the scheduler now what became of a run, and remember it for the summary.

        attempt: as it was handed out; None: by a luigid. Returns the status that the task has then: FAILED where the
        report was refused, or could not be made; SUPERSEDED when the run does not count any more.
        """
        unreported = ""
        try:
            self._tell({**described(task, status), "runnable": None, **more, **attempt_argument(attempt)})
        except Superseded as error:
            log.warning("%s", error)
            status = SUPERSEDED
        except (KeyboardInterrupt, Unreachable, LoginRefused):
            raise
        except BaseException as error:  # the scheduler says no, or a property of the task fails
            kind = "" if isinstance(error, BrokerSchedError) else f"{type(error).__name__}: "
            unreported = f"{status} of this task could not be reported: {shortened(f'{kind}{error}', MOST_OF_REASON)}"
            status = "FAILED"
        finally:
            self.note_end(task, status)
        if unreported:
            log.error("%s is reported as FAILED. %s", logged_name(task), unreported)
            failed = {"task_id": task.task_id, "status": status, "runnable": None, "expl": json.dumps(unreported)}
            with contextlib.suppress(Superseded):
                self._tell({**failed, **attempt_argument(attempt)})
        if status == "FAILED":
            self.mails.failed(task, json.dumps(unreported) if unreported else more.get("expl", ""))
        return status

    def note_end(self, task: TaskLike, status: str) -> None:
        """Note what became of a run here, for the summary.

        status: the task's; SUPERSEDED when the run does not count any more.
        """
        if status != "PENDING":
            self._awaited_deps.forget_task(task.task_id)
        self._note(task, status, False)
        self.tasks.note_end(task)
        state = self.handed_out.get(task.task_id)
        if state is not None:
            for member in state.members:
                self._note(member, status, True)
            state.members = ()

    def forget_ended(self, handed_out: Collection[str]) -> None:
        """Forget the oldest runs of tasks that others scheduled, when there are many.

        handed_out: ids of tasks that are here again.
        """
        old = self.tasks.forget_ended(handed_out)
        if old:
            self.reports[:] = [report for report in self.reports if report.task.task_id not in old]
            if not self.tasks.has_own():
                forget_instances()

    def release(self, task: TaskLike, attempt: int | None) -> bool:
        """Give a running task back, so that others run it at once. False: the scheduler (luigid) can't do that."""
        try:
            self._scheduler.call(
                "release_task", task_id=task.task_id, worker=self._worker_id, **attempt_argument(attempt)
            )
        except (UnknownMethod, AttributeError):
            return False
        except Superseded as error:
            log.warning("%s", error)
            self.note_end(task, SUPERSEDED)
            return True
        self._note(task, "PENDING", True)
        log.info("Gave back to the scheduler       %s", task.task_id)
        return True

    def _note(self, task: TaskLike, status: str, runnable: bool) -> None:
        self.reports.append(Report(task, status, runnable))
        self.tasks.note_status(task, status)

    def _tell(self, described_task: dict[str, Any]) -> None:
        self._buffer.add_task(described_task)
        self._buffer.flush()

    def announce_again(
        self,
        running: Mapping[str, int | None],
        are_jobs: bool,
        is_assistant: bool,
        is_leaving: bool,
        on_superseded: Callable[[str, int | None], None],
    ) -> None:
        """Report to a scheduler that may have forgotten them what runs here, and what was added and has not ended.

        running: task_id → attempt. are_jobs: they run elsewhere, and tell of themselves. on_superseded: called with
        both for each run that does not count any more.
        """
        for task_id, attempt in () if are_jobs else running.items():
            more: dict[str, Any] = {"assistant": is_assistant, **attempt_argument(attempt)}
            state = self.handed_out.get(task_id)
            if state is not None and state.batch_id is not None and attempt is not None:
                more["batch_id"] = state.batch_id
            try:
                self._tell(described(self.tasks.task_of(task_id), "RUNNING", runnable=None, **more))
            except Superseded as error:
                log.warning("%s", error)
                on_superseded(task_id, attempt)
            except (KeyboardInterrupt, Unreachable, LoginRefused):
                raise
            except BaseException as error:  # its end will be told
                failure = (task_id, type(error).__name__, error)
                log.error("%s could not be reported as running: %s: %s", *failure)
        if is_leaving:
            return
        self._batchers_sent.clear()
        succeeded = self.succeeded
        # Not asked about: what runs may look complete before it is, and what has failed waits to be retried.
        settled = {*running, *(each.task.task_id for each in self.tasks.with_status("FAILED"))}
        for task_id in dict.fromkeys(self.roots):
            if task_id in self.tasks and task_id not in settled:
                succeeded &= self.add_again(self.tasks.task_of(task_id), settled)
        self.succeeded = succeeded

    def counts(self, running: int) -> dict[str, int]:
        """Return how many tasks are scheduled, done, running and failed, by the last status reported of each."""
        latest = self.tasks.counts()
        return {
            "scheduled": latest.total(),
            "done": latest["DONE"],
            "running": running,
            "failed": latest["FAILED"],
        }

    def history(self, responses: tuple[Response, ...], run_succeeded: bool) -> RunHistory:
        """Return what was scheduled and reported, with these replies of get_work, for the summary."""
        scheduled = (self.tasks.by_id(), tuple(self.reports), responses, tuple(self.roots))
        return RunHistory(self._worker_id, *scheduled, run_succeeded, self._standings, self.tasks.forgotten.total())

    def has_own_of(self, module: str, family: str) -> bool:
        """Return whether tasks of that module or family were scheduled here that are yet to be run."""
        waiting = [each.task for each in self.tasks.with_status("PENDING") if each.is_own]
        return any(family == task.task_family or module == task.task_module for task in waiting)

    def look_back(self) -> bool:
        """Ask how the tasks stand that have not ended here. Returns whether none of them failed elsewhere."""
        left = [each.task.task_id for each in self.tasks.with_status("PENDING", SUPERSEDED) if each.is_own]
        self._standings = look_back(self._scheduler, left, self.roots)
        return not any(standing.status in ("FAILED", "DISABLED") for standing in self._standings.values())

    def add_new_deps(self, task: TaskLike, wanted: Sequence[TaskSpec]) -> list[str]:
        """Schedule the tasks that a running one asked for, and return their ids.

        Raises WorkerError when it would wait in vain.
        """
        deps = [load_task(each.module, each.family, each.params, each.task_id) for each in wanted]
        if deps:
            self._awaited_deps.check_deps(task, deps, self.may_reschedule)
            self._dependency_graph.note_new_deps(
                task.task_id,
                [dep.task_id for dep in deps],
                lambda each: self.tasks.status_of(each) == "DONE",
            )
        for dep in deps:
            self.add(dep)
        return [dep.task_id for dep in deps]

    def may_reschedule(self, missing: tuple[str, ...]) -> bool:
        """Count these missing deps, and return whether a task may go back for them once more."""
        for dep in missing:
            self._unfulfilled[dep] += 1
        return all(self._unfulfilled[dep] <= self._config.max_reschedules for dep in missing)


def attempt_argument(attempt: int | None) -> dict[str, int]:
    """Return the argument that names a run's attempt; none where a luigid handed the task out."""
    return {} if attempt is None else {"attempt": attempt}

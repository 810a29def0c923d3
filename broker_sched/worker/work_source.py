"""Asks for work, and reads the reply: a task that the worker knows, one to load, or a batch to put together.

What was handed out is kept until its end is reported: a worker that leaves gives it back.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import deque
from collections.abc import Callable, Container
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from broker_sched.errors import BrokerSchedError, LoginRefused, Refused, Superseded, UnknownMethod, Unreachable
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.refusals import Label, Refusals
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.summary import Response
from broker_sched.worker.task_loader import TaskLoader
from broker_sched.worker.task_registration import TaskRegistration, attempt_argument
from broker_sched.worker.task_state import TaskState

log = logging.getLogger("bsched.worker")
Replies: TypeAlias = list[dict[str, Any]]  # of get_work
NO_TASK = "-"  # an id that nobody has: giving it back shows only whether the scheduler knows how


class Work(NamedTuple):
    """The part of a reply of get_work that the worker's loop needs."""

    task_id: str | None
    n_pending: int = 0
    n_unique: int = 0
    n_last_scheduled: int = 0
    is_disabled: bool = False
    is_unusable: bool = False  # something was handed out that can't be run here, or not any more


class Reports(Protocol):
    """Reports on runs that wait to be sent."""

    waiting: list[Any]

    def note_sent(self, sent: list[Any], superseded: dict[str, str]) -> None:
        """Note that the scheduler has had them. superseded: task id → why its report changed nothing."""

    def send_singly(self) -> None:
        """Send them one after the other."""


class WorkSource:
    """Asks the scheduler for work, and makes tasks of its replies.

    responses: those that the summary needs. loader: makes the tasks that others scheduled.
    """

    def __init__(
        self,
        scheduler: RetryingScheduler,
        worker_id: str,
        registration: TaskRegistration,
        loader: TaskLoader,
    ) -> None:
        self.responses: list[Response] = []
        self._elsewhere: set[tuple[str, str]] = set()  # (worker, task_id) that are in `responses`
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._registration = registration
        self._traces = registration.traces
        self.loader = loader
        self._refused_elsewhere = Refusals(scheduler, worker_id)  # by where tasks run, when that is not here
        self._states = registration.handed_out
        self._handed = deque[Work]()  # out by the last answer, and not begun
        self.can_exchange = hasattr(scheduler.scheduler, "exchange")  # as far as is known
        self._wanted = 0  # so many tasks were asked for last
        self._begun: Callable[[], Replies | None] | None = None  # waits for the answer to a question on its way
        self._question: dict[str, Any] | None = None  # to which there may be an answer that was not read to its end

    def next_work(self, reports: Reports, wanted: int, running: list[str], who: dict[str, Any]) -> Work:
        """Return the next of what was handed out, or that there is nothing; the scheduler is asked where need be.

        Its task is in the registration's `tasks` then.

        reports: some of it may wait to be sent; it goes along. wanted: how many tasks may be started now. running: ids
        of those that run. who: the other arguments of get_work.
        """
        if self._begun is not None and not self.handed_out():
            self._handed.clear()  # that there was nothing is older news than the answer that is to come
            self._take_answer(reports)
        if len(self._handed) == 1 and self._handed[0].task_id is None and reports.waiting:
            self._handed.clear()  # what is reported now may leave something to do
        if not self._handed:
            self._ask(reports, wanted, {**who, "current_tasks": running})
            self._take_answer(reports)
        return self._handed.popleft()

    def ask_ahead(self, reports: Reports, wanted: int, running: list[str], who: dict[str, Any]) -> None:
        """Ask as next_work() would, but do not wait: what is handed out is next when what is there has begun.

        So the scheduler finds more work while this worker starts what it has. Does nothing without reports, while a
        question is under way, or where the scheduler knows single calls only. running: includes what is about to be
        started.
        """
        if reports.waiting and self._begun is None and self.can_exchange:
            self._ask(reports, wanted, {**who, "current_tasks": [*running, *self.handed_out()]})

    def handed_out(self) -> list[str]:
        """Return the ids of the tasks that were handed out and have not begun."""
        return [each.task_id for each in self._handed if each.task_id is not None]

    def take_over(self, task: TaskLike, worker: str, who: dict[str, Any], traceparent: str | None) -> None:
        """Have a run handed over to this worker, and keep it as the next work.

        worker: who was handed the task. who: attempt, host and start_id, as transfer_task wants them. traceparent: of
        the attempt's trace, which that worker has begun. Raises Superseded when that one does not run it any more.
        """
        more = {"task_id": task.task_id, "worker": worker, "to": self._worker_id, **who}
        state = TaskState(task, who["attempt"], traceparent=traceparent)
        self._states[task.task_id] = state  # before: the reply may be lost
        try:
            reply = self._scheduler.call("transfer_task", **more)
        except Refused:
            del self._states[task.task_id]
            raise
        self._registration.tasks.add(task)
        self._note_batch(state, reply)
        self._handed.append(Work(task.task_id))

    def _ask(self, reports: Reports, wanted: int, question: dict[str, Any]) -> None:
        self._question, self._wanted = question, wanted
        self._begun = self._exchange(reports, wanted, question) if self.can_exchange else lambda: None

    def _take_answer(self, reports: Reports) -> None:
        """Wait for the answer to the question that is under way, if there is one, and keep what it hands out."""
        begun, self._begun = self._begun, None
        if begun is None:
            return
        told = begun()
        if told is None:
            reports.send_singly()
            told = [self._scheduler.call("get_work", **(self._question or {}))]
        for reply in told:
            work = self.work_from_reply(reply)
            if work.task_id is not None:
                state = TaskState(self._registration.tasks.task_of(work.task_id), reply.get("attempt"))
                self._states[work.task_id] = state
                if not self._note_batch(state, reply):
                    state.params = reply.get("task_params")
                self._traces.begin(state, reply.get("batch_task_ids") or [work.task_id])
            self._handed.append(work)
        self._question = None

    def _note_batch(self, state: TaskState, reply: dict[str, Any]) -> bool:
        """Note the members of a combined task, and return whether it is one: what it becomes they become, too."""
        if reply.get("batch_id") is None:
            return False
        known = self._registration.tasks
        members = [known.task_of(task_id) for task_id in reply["batch_task_ids"] if task_id in known]
        state.batch_id, state.members = reply["batch_id"], members
        return True

    def _exchange(self, reports: Reports, wanted: int, question: dict[str, Any]) -> Callable[[], Replies | None]:
        """Send the reports that wait, with a question for so many tasks, and return what waits for the replies to it.

        That returns None where the scheduler does not know how, or refuses them together.
        """
        sent = list(reports.waiting)
        told = [each.arguments for each in sent]
        answered = self._scheduler.begin("exchange", reports=told, wanted=wanted, **question)

        def replies() -> Replies | None:
            try:
                answer = answered()
            except UnknownMethod:
                self.can_exchange = False
                return None
            except Refused as error:  # because of a report, maybe; one after the other it is known which
                if not sent or isinstance(error, LoginRefused):
                    raise
                log.debug("%d reports and a question together are refused: %s", len(sent), error)
                return None
            reports.note_sent(sent, answer["superseded"])
            return cast(Replies, answer["work"])

        return replies

    def send_reports(self, reports: Reports) -> None:
        """Send the reports that wait, without a question for work."""
        self._take_answer(reports)
        if reports.waiting and (
            not self.can_exchange or self._exchange(reports, 0, {"worker": self._worker_id})() is None
        ):
            reports.send_singly()

    def puts_back(self, work: Work, running: Container[str]) -> bool:
        """Keep what was handed out for release_handed(), unless it runs here already, or a luigid handed it out."""
        if work.task_id is None or work.task_id in running or not self.can_exchange:
            return False
        self._handed.appendleft(work)
        return True

    def note_given_back(self, task: TaskLike) -> None:
        """Note that the scheduler has a task back which this worker may be handed again: that there is nothing more to
        do, which it may have told before, is so no more.
        """
        self.forget_task(task)
        if self._handed and self._handed[-1].task_id is None:
            self._handed.pop()

    def release_handed(self, reports: Reports) -> None:
        """Give back what was handed out and not begun, since the worker begins nothing more.

        reports: some may have been sent with a question that is under way still.
        """
        self._take_answer(reports)
        while self._handed:
            task_id = self._handed.popleft().task_id
            state = self._states.get(task_id) if task_id is not None else None
            if state is not None and self._registration.release(state.task, state.attempt):
                self.forget_task(state.task)

    @property
    def unreported(self) -> tuple[str, ...]:
        """Ids of the tasks that were handed out, and whose end was not reported yet."""
        return tuple(self._states)

    def attempt_of(self, task: TaskLike) -> int | None:
        """Return the number of the hand-out that the task's run here comes from; None where a luigid handed it out."""
        state = self._states.get(task.task_id)
        return None if state is None else state.attempt

    def params_of(self, task: TaskLike) -> dict[str, str] | None:
        """Return the task's parameters as it was handed out with; None where that is not known.

        The scheduler has them so; to ask luigi's tasks for them takes longer than all else that a report takes.
        """
        state = self._states.get(task.task_id)
        return None if state is None else state.params

    def traceparent_of(self, task: TaskLike) -> str | None:
        """Return the context of the trace of the task's run here; None where it has none."""
        state = self._states.get(task.task_id)
        return None if state is None else state.traceparent

    def forget_task(self, task: TaskLike) -> None:
        """Note that the scheduler knows how the task ended, or has it back."""
        state = self._states.pop(task.task_id, None)
        if state is not None:
            self._traces.end(state, self._registration.tasks.status_of(task.task_id))

    def give_back_or_warn(self, is_heard: bool, pass_on: Callable[[], None], reports: Reports) -> None:
        """Give back what is left, where the scheduler is heard, and log what could not be given back.

        pass_on: passes on what the tasks have asked for last. reports: those of tasks that are DONE are sent before.
        """
        why = "the scheduler does not answer"
        try:
            if is_heard:
                with contextlib.suppress(Unreachable):  # give_back() asks again
                    self._take_answer(reports)
                self.send_reports(reports)
                self.give_back()
                pass_on()
        except BrokerSchedError as error:
            why = str(error)
        if self._states:
            log.warning(
                "Not given back, since %s: %s. The scheduler counts a failure of each, and tries it again, when it has "
                "missed this worker for worker_disconnect_delay.",
                *(why.rstrip("."), ", ".join(self._states)),
            )

    def give_back(self) -> None:
        """Give back all that was handed out and not reported, when nothing runs any more. Raises BrokerSchedError."""
        for state in list(self._states.values()):
            self._registration.release(state.task, state.attempt)
            self.forget_task(state.task)
        question, self._question = self._question, None
        if question is not None and self.loader.release_tasks([NO_TASK]):  # a luigid can't
            # The answer was lost: asked again by a worker without tasks, the scheduler hands out the same.
            for _ in range(self._wanted):
                reply = self._scheduler.call("get_work", **{**question, "current_tasks": []})
                task_ids = reply.get("batch_task_ids") or [reply["task_id"]]
                if task_ids == [None]:
                    break
                self.loader.release_tasks(task_ids, **attempt_argument(reply.get("attempt")))

    def work_from_reply(self, reply: dict[str, Any]) -> Work:
        """Return the work that a reply hands out. Its task is in the registration's `tasks` then."""
        task_id = reply.get("task_id")
        was_given = task_id is not None or reply.get("batch_id") is not None
        if task_id is None and reply.get("batch_id") is not None:
            try:
                task_id = self._take_batch(reply)
            except Superseded as error:
                log.warning("%s", error)
        self._note(task_id, reply["running_tasks"])
        if task_id is not None and task_id not in self._registration.tasks:
            log.info("%s was scheduled by another worker: loading it.", task_id)
            task = self.loader.load_task(reply, [task_id])
            if task is None:
                task_id = None
            else:
                self._registration.tasks.add(task)
                self._registration.offer_batches(task)
        return Work(
            task_id,
            reply["n_pending_tasks"],
            reply["n_unique_pending"],
            reply.get("n_pending_last_scheduled", 0),
            reply.get("worker_state") == "disabled",
            was_given and task_id is None,
        )

    def _note(self, task_id: str | None, running: list[dict[str, Any]]) -> None:
        """Keep for the summary what of ours runs elsewhere while there is no work for us; each run once."""
        new = []
        for each in running if task_id is None else ():
            where = (each["worker"], each["task_id"])
            if each["task_id"] in self._registration.tasks and where not in self._elsewhere:
                self._elsewhere.add(where)
                new.append(each)
        if new:
            self.responses.append(Response(None, new))

    def _take_batch(self, reply: dict[str, Any]) -> str | None:
        """Make the combined task of a batch, and report it as RUNNING. Returns its id; None where that failed."""
        task = self.loader.load_task(reply, reply["batch_task_ids"])
        if task is None:
            return None
        self._registration.tasks.add(task)
        try:
            self._scheduler.call(
                "add_task",
                worker=self._worker_id,
                task_id=task.task_id,
                module=reply.get("task_module"),
                family=reply["task_family"],
                params=task.to_str_params(),
                status="RUNNING",
                batch_id=reply["batch_id"],
                **attempt_argument(reply.get("attempt")),
            )
        except (KeyboardInterrupt, LoginRefused, Unreachable, Superseded):
            raise
        except BaseException as error:  # the scheduler says no, or a property of the task fails
            self.loader.fail_tasks(
                reply, reply["batch_task_ids"], f"The batch is refused: {type(error).__name__}: {error}"
            )
            return None
        return task.task_id

    def note_run_elsewhere(self, task: TaskLike) -> None:
        """Note that a task could be loaded where it was to run, when that is not here."""
        self._refused_elsewhere.note_loaded(task.task_module or "", task.task_family)

    def gives_back_unloadable(self, task: TaskLike, result: RunResult) -> bool:
        """Give back a task that could be loaded here, but not where it was to run. Returns whether it went back.

        A task that was scheduled here fails instead, unless it is its machine that can't be used.
        """
        if not result.is_refused and (not result.is_unloadable or self._registration.tasks.is_own(task)):
            return False
        label = Label(task.task_module or "", task.task_family)
        attempt = self.attempt_of(task)
        if not self._refused_elsewhere.refuse_tasks([task.task_id], label, json.loads(result.expl), False, attempt):
            return False
        self.forget_task(task)
        return True

"""The tasks that a worker runs now, in processes of their own, and what they say meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection
from typing import Any

from broker_sched import interrupts
from broker_sched.worker.executors.protocol import TaskRun
from broker_sched.worker.executors.task_process import LOOK_SECONDS, SchedulerCall
from broker_sched.worker.run_result import Ending
from broker_sched.worker.run_watch import RunWatch

LOG_METHOD = "set_task_log"
# Calls about a run, which name its attempt.
OF_A_RUN = frozenset(
    "add_task set_task_status_message set_task_progress_percentage decrease_running_task_resources set_task_log".split()
)
CHECK_SECONDS = 5.0  # a wait ends after so long even when nothing was heard of anybody
ROUND_SECONDS = 0.5  # where a wait ends before, everybody is looked at after so long, heard of or not


def with_attempt(call: SchedulerCall, attempt: int | None) -> SchedulerCall:
    """Return the call with the attempt of the run that it is about; unchanged where a luigid handed the task out."""
    if attempt is None or call.method not in OF_A_RUN:
        return call
    return SchedulerCall(call.method, {**call.arguments, "attempt": attempt})


class RunningTasks:
    """The runs of a worker by task id, and the calls of the scheduler that they ask for."""

    def __init__(self) -> None:
        self._processes: dict[str, TaskRun] = {}
        self._watch = RunWatch()
        self._next_round = 0.0
        self._leaving: list[TaskRun] = []  # have told their result, and must still end
        self._ended: list[TaskRun] = []  # of all of these, those that have
        self.scheduler_calls: deque[SchedulerCall] = (
            deque()
        )  # what they asked for, to be passed on to the scheduler in this order

    def __len__(self) -> int:
        return len(self._processes)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._processes

    def runs(self) -> list[TaskRun]:
        """Return all runs whose result is not known yet."""
        return list(self._processes.values())

    def task_ids(self) -> list[str]:
        """Return the ids of the tasks whose result is not known yet."""
        return list(self._processes)

    def attempts(self) -> dict[str, int | None]:
        """Return task id → attempt of the runs that count; the superseded ones are left out."""
        return {name: each.attempt for name, each in self._processes.items() if not each.is_superseded}

    def memory(self) -> dict[str, int]:
        """Return task id → resident bytes of the process that runs it, where these are known. Any thread may ask.

        Runs that a luigid handed out, which asks for no such thing, are left out.
        """
        told = {name: each.memory() for name, each in list(self._processes.items()) if each.attempt is not None}
        return {name: size for name, size in told.items() if size is not None}

    def supersede(self, task_id: str, attempt: int | None) -> None:
        """End a run of which the scheduler says that it does not count any more; nothing of it is reported."""
        process = self._processes.get(task_id)
        if process is not None and process.attempt == attempt and not process.is_superseded:
            process.is_superseded = True
            process.end_run(Ending("stop", "it does not count any more"))

    def add_run(self, process: TaskRun) -> None:
        """Keep watch over a run that was started."""
        self._processes[process.task.task_id] = process
        self._watch.look_at(process)

    def find_run(self, task_id: str) -> TaskRun | None:
        """Return the run of a task; None when it does not run here."""
        return self._processes.get(task_id)

    def wait_for_news(self, seconds: float, *also: Any, though_some_are_done: bool = False) -> None:
        """Wait until a run has news or one of `also` is readable, so many seconds at the most; then poll these runs.

        though_some_are_done: also while there are runs whose result is known already.
        Raises the KeyboardInterrupt that was kept.
        """
        interrupts.raise_due()
        everyone = [each for each in (*self._processes.values(), *self._leaving) if each not in self._ended]
        news: set[TaskRun] = set()
        if though_some_are_done or not self._is_somebody_done():
            lefts = [left for process in everyone if (left := process.seconds_left()) is not None]
            if self._watch.blind:  # only their programs are left, which nothing tells of
                seconds = min(seconds, LOOK_SECONDS)
            news = self._watch.wait(max(0.0, min([seconds, CHECK_SECONDS, *lefts])), also)
        is_round = time.monotonic() >= self._next_round
        if is_round:
            self._next_round = time.monotonic() + ROUND_SECONDS
        for process in everyone:
            if is_round or process in news or process in self._watch.blind or process.seconds_left() == 0.0:
                has_ended = process.poll()
                self._collect_calls(process)
                self._watch.look_at(process)
                if has_ended:
                    self._ended.append(process)

    def have_only_done(self) -> bool:
        """Return whether all that is new of the runs is that some are DONE, which takes no call of its own to tell."""
        return not self.scheduler_calls and all(
            each.result is None or (each.result.status == "DONE" and each.reported is None and not each.is_superseded)
            for each in self._processes.values()
        )

    @interrupts.whole
    def take_finished(self) -> TaskRun | None:
        """Return a run whose result has become known; it is no longer among runs(). None: there is none."""
        for task_id, process in self._processes.items():
            if process.result is not None:
                del self._processes[task_id]
                self._leaving.append(process)
                return process
        return None

    def clean_up_ended(self, unreported: Collection[str] = ()) -> None:
        """Give back what runs hold that have ended, and were taken. unreported: task ids of those that keep it yet."""
        for process in [each for each in self._ended if each in self._leaving]:
            if process.task.task_id not in unreported:
                self._ended.remove(process)
                self._leaving.remove(process)
                self._watch.forget(process)
                process.clean_up()

    def wait_for_leaving(self) -> None:
        """Wait until the runs whose result is known have ended, as long as they may take for it."""
        while not all(each in self._ended for each in self._leaving):
            self.wait_for_news(CHECK_SECONDS)
        self.clean_up_ended()

    @interrupts.whole
    def stop_all(self) -> None:
        """End all runs, and whatever they started. An interruption kills them, and is raised later."""
        left = [*self._processes.values(), *self._leaving]

        def kill() -> None:
            for process in left:
                process.kill()

        with interrupts.hurried_by(kill):
            for process in left:  # all of them first, so that they share the time to end
                process.terminate()
            while left:
                left[-1].wait_until_ended()
                self._collect_calls(left[-1])
                left.pop().clean_up()
        self._processes, self._leaving, self._ended, self._watch = {}, [], [], RunWatch()

    def _collect_calls(self, process: TaskRun) -> None:
        """Take over the calls that a run asks for.

        Of the tails of one task's output only the latest is kept, however long the scheduler is away.
        """
        for each in process.take_scheduler_calls():
            if process.is_superseded:
                continue
            each = with_attempt(each, process.attempt)
            if each.method == LOG_METHOD:
                of_task = each.arguments["task_id"]
                others = (
                    x for x in self.scheduler_calls if x.method != LOG_METHOD or x.arguments["task_id"] != of_task
                )
                self.scheduler_calls = deque(others)
            self.scheduler_calls.append(each)

    def _is_somebody_done(self) -> bool:
        return any(process.result is not None for process in self._processes.values())

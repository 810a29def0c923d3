"""The tasks that a worker runs now, in processes of their own, and what they say meanwhile."""

from __future__ import annotations

import itertools
import multiprocessing.connection
from collections import deque
from collections.abc import Iterator
from typing import Any

from broker_sched import interrupts
from broker_sched.worker.executors.protocol import TaskRun
from broker_sched.worker.executors.task_process import LOOK_SECONDS, SchedulerCall

LOG_METHOD = "set_task_log"
# Calls about a run, which name its attempt.
OF_A_RUN = frozenset(
    "add_task set_task_status_message set_task_progress_percentage decrease_running_task_resources set_task_log".split()
)
CHECK_SECONDS = 5.0  # a process is looked at after so long even when nothing was heard of it


def with_attempt(told: SchedulerCall, attempt: int | None) -> SchedulerCall:
    """The call, with the attempt of the run that it is about."""
    if attempt is None or told.method not in OF_A_RUN:
        return told
    return SchedulerCall(told.method, {**told.arguments, "attempt": attempt})


class RunningTasks:
    """Task processes by task id."""

    def __init__(self) -> None:
        self._processes: dict[str, TaskRun] = {}
        self._leaving: list[TaskRun] = []  # have told their outcome, and must still end
        self.told: deque[SchedulerCall] = deque()  # what they asked for, to be passed on to the scheduler in this order

    def __len__(self) -> int:
        return len(self._processes)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._processes

    def all(self) -> list[TaskRun]:
        """The processes."""
        return list(self._processes.values())

    def ids(self) -> list[str]:
        """Of the tasks."""
        return list(self._processes)

    def attempts(self) -> dict[str, int | None]:
        """By task id, of the runs that count."""
        return {name: each.attempt for name, each in self._processes.items() if not each.is_superseded}

    def supersede(self, task_id: str, attempt: int | None) -> None:
        """The scheduler says that this run does not count any more: end it, and report nothing of it."""
        process = self._processes.get(task_id)
        if process is not None and process.attempt == attempt and not process.is_superseded:
            process.is_superseded = True
            process.end("it does not count any more")

    def add(self, process: TaskRun) -> None:
        """Keep an eye on a started process."""
        self._processes[process.task.task_id] = process

    def get(self, task_id: str) -> TaskRun | None:
        """The process that runs a task."""
        return self._processes.get(task_id)

    def wait(self, seconds: float, *also: Any) -> None:
        """Until something happens, or one of `also` is readable, but at most so long.

        Deadlines are kept, what is told is received. Raises the KeyboardInterrupt that was kept.
        """
        interrupts.raise_due()
        everyone = [*self._processes.values(), *self._leaving]
        lefts = [left for process in everyone if (left := process.seconds_left()) is not None]
        if not self._is_somebody_done():
            things = [process.wait_on() for process in everyone]
            if not all(things):  # of some only the programs are left, which nothing tells of
                seconds = min(seconds, LOOK_SECONDS)
            seconds = max(0.0, min([seconds, CHECK_SECONDS, *lefts]))
            multiprocessing.connection.wait([*dict.fromkeys(itertools.chain(*things)), *also], seconds)
        for process in everyone:
            has_ended = process.check()
            self._keep(process)
            if has_ended and process in self._leaving:
                self._leaving.remove(process)
                process.close()

    @interrupts.whole
    def take_finished(self) -> Iterator[TaskRun]:
        """Those whose outcome is known; they are no longer among the running."""
        for task_id, process in list(self._processes.items()):
            if process.outcome is not None:
                del self._processes[task_id]
                self._leaving.append(process)
                yield process

    def settle(self) -> None:
        """Wait until those that have told their outcome have ended, as long as they may take for it."""
        while self._leaving:
            self.wait(CHECK_SECONDS)

    @interrupts.whole
    def stop(self) -> None:
        """End them all, and whatever they started. An interruption kills them, and is raised later."""
        left = [*self._processes.values(), *self._leaving]

        def kill() -> None:
            for process in left:
                process.kill()

        with interrupts.hurried_by(kill):
            for process in left:  # all of them first, so that they share the time to end
                process.terminate()
            while left:
                left[-1].stop()
                self._keep(left[-1])
                left.pop().close()
        self._processes, self._leaving = {}, []

    def _keep(self, process: TaskRun) -> None:
        """What it asked for. Of the ends of one task's output only the latest, however long the scheduler is away."""
        for each in process.take_scheduler_calls():
            if process.is_superseded:
                continue
            each = with_attempt(each, process.attempt)
            if each.method == LOG_METHOD:
                of_task = each.arguments["task_id"]
                others = (x for x in self.told if x.method != LOG_METHOD or x.arguments["task_id"] != of_task)
                self.told = deque(others)
            self.told.append(each)

    def _is_somebody_done(self) -> bool:
        return any(process.outcome is not None for process in self._processes.values())

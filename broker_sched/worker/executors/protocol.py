"""What the worker's loop needs of an executor and of a run; and `TaskProcesses`, which runs tasks here."""

from __future__ import annotations

import math
import pickle
from typing import Any, Protocol

from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.executors.process_pool import ProcessPool
from broker_sched.worker.executors.reused_run import ReusedRun
from broker_sched.worker.executors.task_process import SchedulerCall, TaskProcess
from broker_sched.worker.run_result import Ending, RunResult
from broker_sched.worker.run_task import RunOptions


class TaskRun(Protocol):
    """One run of one task, as the worker's loop sees it. Nothing here waits, except wait_until_ended()."""

    task: TaskLike
    result: RunResult | None
    reported: str | None  # the status that the run has reported to the scheduler by itself; None: the worker does that
    ending: Ending | None  # how and why the worker ends it
    attempt: int | None  # what get_work told with the task; None: a luigid's hand-out
    is_superseded: bool  # it does not count any more: nothing is reported of it

    def start(self) -> None:
        """Begin to run the task. Whatever it raises is the task's failure."""

    def waitables(self) -> list[Any]:
        """Return the objects that multiprocessing.connection.wait shall wait for; several runs may share one."""

    def seconds_left(self) -> float | None:
        """Return the seconds until this run must be polled because of a deadline; None while it has none."""

    def take_scheduler_calls(self) -> list[SchedulerCall]:
        """Return the calls of the scheduler that the task asked for since the last time, and forget them."""

    def poll(self) -> bool:
        """Receive what the task has sent, and keep the deadlines, without waiting.

        Returns whether everything has ended.

        `result` is set as soon as the result is known, which may be earlier.
        """

    def end_run(self, ending: Ending) -> None:
        """Have the run ended in this way, and for this reason, unless its result is known or it is being ended."""

    def terminate(self) -> None:
        """Have the run ended without a reason that is reported: the worker leaves."""

    def kill(self) -> None:
        """Make wait_until_ended() return as soon as it can. A signal handler may call it."""

    def wait_until_ended(self) -> None:
        """Wait until the run has ended, as long as that may take after terminate()."""

    def memory(self) -> int | None:
        """Return the resident bytes of the process that runs the task; None where that is not known here."""

    def send_message(self, message_id: str, content: Any, payload: dict[str, Any]) -> None:
        """Hand a scheduler message to the task; where the executor has no way to do so, it is logged and lost."""

    def clean_up(self) -> None:
        """Give back what the run holds, after its end."""


class Executor(Protocol):
    """Makes the runs of a worker.

    is_elsewhere: no task runs in the worker's own process, not even where it runs one at a time. runs_on: what takes
    one task at a time, for messages: "process", "rq worker".
    """

    is_elsewhere: bool
    runs_on: str

    def capacity(self, processes: int) -> float:
        """Return how many tasks may run at once now, for a worker that was asked to run `processes` at once.

        0: none for the time.
        """

    def run_of(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> TaskRun:
        """Make a run of the task that is yet to be started. timeout_seconds: how long it may take; 0 for no limit."""

    def end_idle(self) -> None:
        """End what waits for tasks: the worker leaves, and no run of it is left."""


class TaskProcesses:
    """Runs tasks in processes of this machine: several one after another, or each in one of its own.

    context: of multiprocessing, which says how a process is started. config: its tasks_per_process; 1, or a true
    attribute `fresh_process` of a task, lets each have a process that has run nothing else. So has one that can't be
    pickled.
    """

    is_elsewhere = False
    runs_on = "process"

    def __init__(self, context: Any, config: WorkerConfig) -> None:
        self._context = context
        self._config = config
        self._pool = ProcessPool(context, config)

    def capacity(self, processes: int) -> float:
        """Return the worker's own number.

        A worker that only watches (0 processes) has no limit, since it is handed nothing.
        """
        return processes or math.inf

    def run_of(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> TaskRun:
        """Make a run that is yet to be started. Raises OSError when the machine has no more files."""
        config = self._config
        given = (task, options, self._context, timeout_seconds, config.kill_after, config.capture_output)
        pickled = self._pickled(task) if config.tasks_per_process > 1 else None
        return TaskProcess(*given) if pickled is None else ReusedRun(self._pool, pickled, *given)

    def end_idle(self) -> None:
        """End the processes that wait for a task."""
        self._pool.end_idle()

    def _pickled(self, task: TaskLike) -> bytes | None:
        if not self._pool.can_be_sent(task) or getattr(task, "fresh_process", False):
            return None
        try:
            return pickle.dumps(task)
        except Exception as error:  # what it holds decides that
            self._pool.note_unsendable(task, f"{type(error).__name__}: {error}")
            return None

"""Where a worker's tasks run: in processes here, unless it is given another executor (such as executors.rq)."""

from __future__ import annotations

import math
from typing import Any, Protocol

from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.executors.task_process import SchedulerCall, TaskProcess
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.run_task import RunOptions


class TaskRun(Protocol):
    """One run of one task. TaskProcess says what each of its members means."""

    task: TaskLike
    outcome: RunResult | None
    death: str | None
    reason: str | None
    is_timed_out: bool
    is_released: bool
    attempt: int | None  # what get_work told with the task; None: a luigid's hand-out
    is_superseded: bool  # it does not count any more: nothing is reported of it
    is_to_be_disabled: bool

    def start(self) -> None:
        """Begin. What it raises fails the task."""

    def wait_on(self) -> list[Any]:
        """What multiprocessing.connection.wait shall look at; several runs may share a thing."""

    def seconds_left(self) -> float | None:
        """Until the next deadline; None without one."""

    def take_scheduler_calls(self) -> list[SchedulerCall]:
        """What the task asked for since the last time."""

    def check(self) -> bool:
        """Receive what there is, without waiting. Returns whether it has ended."""

    def end(self, reason: str, *, releases: bool = False, disables: bool = False) -> None:
        """Have it ended, for this reason."""

    def terminate(self) -> None:
        """Have it ended, without a word about why."""

    def kill(self) -> None:
        """Make stop() wait no longer. A signal handler may call it."""

    def stop(self) -> None:
        """Wait until it has ended, as long as that may take after terminate()."""

    def tell(self, message_id: str, content: Any, payload: dict[str, Any]) -> None:
        """Hand a scheduler message to the task."""

    def close(self) -> None:
        """Give back what it holds, after the end."""


class Executor(Protocol):
    """Makes runs. is_elsewhere: never in the worker's own process, not even a single one."""

    is_elsewhere: bool

    def capacity(self, processes: int) -> float:
        """How many tasks may run at once now, of a worker that was told to run `processes`. 0: none, for the time."""

    def run_of(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> TaskRun:
        """A run that is yet to be started. timeout_seconds: 0 for none."""


class TaskProcesses:
    """A process here for each run. context: of multiprocessing."""

    is_elsewhere = False

    def __init__(self, context: Any, config: WorkerConfig) -> None:
        self._context = context
        self._config = config

    def capacity(self, processes: int) -> float:
        """Of a worker that only watches (0 processes): no limit, since it is handed nothing."""
        return processes or math.inf

    def run_of(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> TaskRun:
        """Raises OSError when there are no more files."""
        config = self._config
        return TaskProcess(task, options, self._context, timeout_seconds, config.kill_after, config.capture_output)

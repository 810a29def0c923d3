"""Runs of tasks in the worker's own process: one at a time, which nothing but the task itself can end."""

from __future__ import annotations

from typing import Any

import psutil

from broker_sched import interrupts
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.executors.task_process import SchedulerCall, resident_bytes
from broker_sched.worker.retrying_scheduler import RetryingScheduler
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.run_task import RunOptions, execute, read
from broker_sched.worker.running_tasks import with_attempt
from broker_sched.worker.started_programs import StartedPrograms
from broker_sched.worker.status_reporter import StatusReporter


class OwnProcess:
    """Runs tasks where the worker itself runs.

    config: its kill_after says how long the programs of an interrupted task may take to end.
    """

    def __init__(self, scheduler: RetryingScheduler, worker_id: str, config: WorkerConfig) -> None:
        self._config = config
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._reporter: StatusReporter | None = None  # of the task that runs
        self._attempt: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a task runs in this process at the moment."""
        return self._reporter is not None

    def run_task(self, task: TaskLike, options: RunOptions, attempt: int | None) -> RunResult:
        """Run the task to its end, and return its result.

        Raises KeyboardInterrupt, after it has ended what the task started.

        attempt: the number that get_work gave with the task; it goes with all that the task reports meanwhile.
        """

        def tell(method: str, arguments: dict[str, Any]) -> None:
            self._scheduler.pass_on(*with_attempt(SchedulerCall(method, arguments), attempt))

        accepts_messages = read(task, "accepts_messages", False)
        if isinstance(accepts_messages, RunResult):
            return accepts_messages
        self._reporter = StatusReporter(tell, task.task_id, self._worker_id, bool(accepts_messages), task)
        self._attempt = attempt
        programs = StartedPrograms()
        try:
            with interrupts.witnessed_by(programs.note_programs):
                return execute(task, options, self._reporter)
        except KeyboardInterrupt:
            programs.end_programs(self._config.kill_after)
            raise
        finally:
            self._reporter = None

    def memory(self) -> dict[str, int]:
        """Return task id → resident bytes of this process while it runs a task. Any thread may ask.

        A task that a luigid handed out, which asks for no such thing, is left out.
        """
        reporter = self._reporter
        size = resident_bytes(psutil.Process()) if reporter is not None and self._attempt is not None else None
        return {reporter.task_id: size} if reporter is not None and size is not None else {}

    def receive_message(self, task_id: str, message_id: str, content: Any, payload: dict[str, Any]) -> bool:
        """Hand a scheduler message to the task that runs. Returns False when the task of this id does not run here."""
        reporter = self._reporter
        if reporter is None or reporter.task_id != task_id:
            return False
        reporter.receive(message_id, content, payload)
        return True

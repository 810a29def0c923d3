"""The methods by which a running task reports to the scheduler, and the messages that it gets."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.task_description import described
from broker_sched.worker.text_limits import shortened_value

# Calls a method of the scheduler, here or in the worker's process: (method, arguments).
Tell: TypeAlias = Callable[[str, dict[str, Any]], None]


class SchedulerMessage:
    """A message from the scheduler to a running task, from its queue `scheduler_messages`.

    content: the text that was sent. payload: further arguments.
    Source: luigi.worker.SchedulerMessage, 3.8.1.
    """

    def __init__(self, tell: Tell, task_id: str, message_id: str, content: Any, **payload: Any) -> None:
        self._call_scheduler = tell
        self._task_id = task_id
        self._message_id = message_id
        self.content = content
        self.payload = payload

    def __str__(self) -> str:
        return str(self.content)

    def __eq__(self, other: object) -> bool:
        return bool(self.content == (other.content if isinstance(other, SchedulerMessage) else other))

    __hash__ = None  # type: ignore[assignment]  # it equals its content, which may be unhashable

    def respond(self, response: Any) -> None:
        """Answer the message; whoever sent it finds the answer by the message's id."""
        arguments = {"task_id": self._task_id, "message_id": self._message_id, "response": shortened_value(response)}
        self._call_scheduler("add_scheduler_message_response", arguments)


def _tell_nobody(method: str, arguments: dict[str, Any]) -> None:
    """Drop the call: there is no worker to make it."""


class StatusReporter:
    """What a task may report while it runs. Source: luigi.worker.TaskStatusReporter, 3.8.1.

    Its methods are attached to the task for the time of its run, under the names in ATTACHED. A text longer than
    text_limits.MAX_TEXT characters is shortened.
    """

    ATTACHED: ClassVar[dict[str, str]] = {
        "set_tracking_url": "update_tracking_url",
        "set_status_message": "update_status_message",
        "set_progress_percentage": "update_progress_percentage",
        "decrease_running_resources": "decrease_running_resources",
        "scheduler_messages": "scheduler_messages",
    }

    def __init__(
        self, tell: Tell, task_id: str, worker_id: str, accepts_messages: bool, task: TaskLike | None = None
    ) -> None:
        self._call_scheduler = tell
        self._task = task
        self.task_id = task_id
        self._worker_id = worker_id
        self.scheduler_messages: queue.Queue[SchedulerMessage] | None = queue.Queue() if accepts_messages else None

    def __reduce__(self) -> tuple[Any, ...]:
        """A task sent to a process of its own making, as pools do with bound methods, reports nothing from there."""
        return StatusReporter, (_tell_nobody, self.task_id, self._worker_id, False)

    def update_tracking_url(self, tracking_url: str) -> None:
        """Show a URL where the task's progress can be seen."""
        arguments: dict[str, Any] = {"task_id": self.task_id, "status": "RUNNING"}
        if self._task is not None:  # or the scheduler would forget its resources, and that it takes messages
            arguments = described(self._task, "RUNNING")
        self._call_scheduler(
            "add_task", {**arguments, "worker": self._worker_id, "tracking_url": shortened_value(tracking_url)}
        )

    def update_status_message(self, message: str) -> None:
        """Show one line, or more, about what the task does at the moment."""
        self._call_scheduler(
            "set_task_status_message", {"task_id": self.task_id, "status_message": shortened_value(message)}
        )

    def update_progress_percentage(self, percentage: float) -> None:
        """Show how far the task is, from 0 to 100."""
        self._call_scheduler(
            "set_task_progress_percentage",
            {"task_id": self.task_id, "progress_percentage": shortened_value(percentage)},
        )

    def decrease_running_resources(self, decrease_resources: dict[str, float]) -> None:
        """Give back resources before the end of the run: {name: amount}."""
        arguments = {"task_id": self.task_id, "decrease_resources": decrease_resources}
        self._call_scheduler("decrease_running_task_resources", arguments)

    def report_task_statistics(self, statistics: dict[str, Any]) -> None:
        """Report numbers about the run, for whoever collects metrics."""
        self._call_scheduler(
            "report_task_statistics", {"task_id": self.task_id, "statistics": shortened_value(statistics)}
        )

    def receive(self, message_id: str, content: Any, payload: dict[str, Any]) -> None:
        """Put a message into the task's queue, if it takes any."""
        if self.scheduler_messages is not None:
            message = SchedulerMessage(self._call_scheduler, self.task_id, message_id, content, **payload)
            self.scheduler_messages.put(message)

"""What a worker keeps of a task that it was handed, until the scheduler knows the end, or has the task back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker_sched import tracing
from broker_sched.tasks.protocol import TaskLike


@dataclass
class TaskState:
    """A task that was handed out, until the scheduler knows its end, or has it back.

    attempt: the number of the hand-out; None: a luigid made it. params: as the scheduler has them; None: not known, as
    of a batch. batch_id, members: of a combined task; the members as far as they are known here. span: of the attempt's
    trace, where it has one. traceparent: the context of that, or of one that another worker has begun, and ends.
    """

    task: TaskLike
    attempt: int | None
    params: dict[str, str] | None = None
    batch_id: str | None = None
    members: Sequence[TaskLike] = ()
    span: tracing.Span | None = None
    traceparent: str | None = None

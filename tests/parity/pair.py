"""A pair: the reference and a subject under one clock, sent the same steps, compared at each.

A step is pure data: `("advance", seconds)` or `(method, arguments)`. Two things
in arguments are symbolic, since message ids are random: `"$label"` names the id
that send_scheduler_message returns; an argument equal to such a name stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from broker_sched.errors import BrokerSchedError
from tests.parity.compare import describe, forgive, normalise
from tests.parity.reference import Reference, ReferenceFactory

Step = tuple[str, Any]
STARTED = 1_700_000_000.0  # a time of today's size, so that lost digits would show
ADVANCE, LABEL = "advance", "$label"
STATUSES = ("PENDING", "RUNNING", "BATCH_RUNNING", "DONE", "FAILED", "DISABLED", "UNKNOWN")


class FakeClock:
    """Seconds since the epoch that pass only when told to."""

    def __init__(self, now: float = STARTED) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Side(Protocol):
    """What answers calls: a reference or ours."""

    def call(self, method: str, arguments: dict[str, Any]) -> Any:
        """The reply; errors are raised."""

    def problems(self) -> list[str]:
        """What the side finds wrong with its own state."""

    def close(self) -> None:
        """Remove every trace."""


SideFactory = Callable[[Callable[[], float], dict[str, Any]], Side]


class Difference(NamedTuple):
    """The first step that was answered differently."""

    index: int
    step: Step
    text: str


class _Session:
    """One side with its message ids."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.labels: dict[str, str] = {}  # message id → name
        self._ids: dict[str, str] = {}  # name → message id

    def send(self, method: str, arguments: dict[str, Any]) -> Any:
        label = arguments.get(LABEL)
        sent = {name: self._ids.get(value, value) if isinstance(value, str) else value
                for name, value in arguments.items() if name != LABEL}  # fmt: skip
        reply = self.side.call(method, sent)
        if label and reply["message_id"]:
            self.labels[reply["message_id"]] = label
            self._ids[label] = reply["message_id"]
        return reply


class Pair:
    """Runs steps on both sides until they differ, or until the reference itself fails."""

    def __init__(self, reference: ReferenceFactory, subject: SideFactory, options: dict[str, Any]) -> None:
        self.clock = FakeClock()
        self.reference: Reference = reference(self.clock, options)
        self._expected = _Session(self.reference)
        self.subject = subject(self.clock, options)
        self._actual = _Session(self.subject)
        self.steps = 0
        self.ended = False  # the reference raised: its state may be half changed

    def run(self, step: Step) -> tuple[Any, Difference | None]:
        """Send one step; returns the reference's reply as it came, and what differed."""
        index, self.steps = self.steps, self.steps + 1
        name, payload = step
        if name == ADVANCE:
            self.clock.now += payload
            return None, None
        try:
            expected = self._expected.send(name, payload)
        except Exception as error:
            self.ended = True
            return None, self._expect_refusal(index, step, error)
        try:
            actual = self._actual.send(name, payload)
        except Exception as error:
            text = f"  the reference answers: {expected!r}\n  ours raises: {type(error).__name__}: {error}"
            return expected, Difference(index, step, text)
        one = normalise(name, expected, self._expected.labels)
        two = forgive(name, one, normalise(name, actual, self._actual.labels))
        text = describe(one, two)
        return expected, Difference(index, step, text) if text else None

    def check_subject(self) -> Difference | None:
        """The subject's own verdict on its state."""
        problems = self.subject.problems()
        if not problems:
            return None
        return Difference(self.steps, ("verify", {}), "\n".join(f"  {problem}" for problem in problems))

    def close(self) -> None:
        """Remove the subject's traces."""
        self.subject.close()

    def _expect_refusal(self, index: int, step: Step, error: Exception) -> Difference | None:
        try:
            actual = self._actual.send(*step)
        except (BrokerSchedError, type(error)):
            return None
        raised = f"{type(error).__name__}: {error}"
        return Difference(index, step, f"  the reference raises: {raised}\n  ours answers: {actual!r}")


def replay(
    reference: ReferenceFactory, subject: SideFactory, options: dict[str, Any], steps: Iterable[Step]
) -> Difference | None:
    """Send recorded steps to a fresh pair; the first difference, or None."""
    pair = Pair(reference, subject, options)
    try:
        for step in steps:
            _, difference = pair.run(step)
            if difference or pair.ended:
                return difference
        return pair.check_subject()
    finally:
        pair.close()


def closing_steps(workers: Sequence[str], tasks: Sequence[str]) -> list[Step]:
    """Bring to light what replies have not shown yet: all views, who gets what next, what becomes due when."""
    work: list[Step] = [("get_work", {"worker": worker, "current_tasks": None}) for worker in workers for _ in range(2)]
    everything: list[Step] = [
        ("task_list", {"limit": False}),
        ("graph", {}),
        ("worker_list", {}),
        ("resource_list", {}),
    ]
    details: list[Step] = [("task_list", {"status": status, "limit": False}) for status in STATUSES]
    details += [("fetch_error", {"task_id": task_id}) for task_id in tasks]
    counts: list[Step] = [("count_pending", {"worker": worker}) for worker in workers]
    later: list[Step] = []
    for seconds in (50.0, 650.0, 90000.0):
        later += [(ADVANCE, seconds), ("prune", {}), *everything[:1], *everything[2:]]
    return [*everything, *details, *counts, *work, *everything, *counts, *later]

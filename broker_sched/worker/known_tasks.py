"""The tasks that a worker has scheduled or was handed, as long as its summary needs them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass

from broker_sched.tasks.protocol import TaskLike

MOST_FOREIGN = 1000  # runs of tasks that others scheduled


@dataclass
class KnownTask:
    """A task that was scheduled or handed out here.

    is_own: it was scheduled here, and not only by others. status: the last one reported; "": none was.
    """

    task: TaskLike
    is_own: bool = False
    status: str = ""


class KnownTasks:
    """Tasks by their ids. Of those that only others scheduled, the ones that ended long ago can be forgotten.

    forgotten: status → how many were.
    """

    def __init__(self) -> None:
        self.forgotten = Counter[str]()
        self._known: dict[str, KnownTask] = {}
        self._foreign = deque[str]()  # ids of those that others scheduled, and whose runs here have ended

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._known

    def add(self, task: TaskLike, is_own: bool = False) -> None:
        """Keep a task; from now on this object stands for it. is_own: it is scheduled here."""
        found = self._known.setdefault(task.task_id, KnownTask(task))
        found.task, found.is_own = task, found.is_own or is_own

    def note_status(self, task: TaskLike, status: str) -> None:
        """Note what was reported of a task last."""
        self._known.setdefault(task.task_id, KnownTask(task)).status = status

    def note_end(self, task: TaskLike) -> None:
        """Note that a run has ended here: a task of others can be forgotten after many more."""
        if not self.is_own(task):
            self._foreign.append(task.task_id)

    def task_of(self, task_id: str) -> TaskLike:
        """Return a task. Raises KeyError for one that is not known."""
        return self._known[task_id].task

    def by_id(self) -> dict[str, TaskLike]:
        """Return all of them, each under its id."""
        return {task_id: each.task for task_id, each in self._known.items()}

    def status_of(self, task_id: str) -> str:
        """Return the last status that was reported of a task; "" when none was."""
        found = self._known.get(task_id)
        return "" if found is None else found.status

    def with_status(self, *statuses: str) -> list[KnownTask]:
        """Return the tasks of which one of these was reported last, in the order in which they became known."""
        return [each for each in self._known.values() if each.status in statuses]

    def is_own(self, task: TaskLike) -> bool:
        """Return whether the task was scheduled here, and not only handed out."""
        found = self._known.get(task.task_id)
        return found is not None and found.is_own

    def counts(self) -> Counter[str]:
        """Return status → number of the tasks it was reported of last, forgotten ones included. Any thread may ask."""
        return Counter(each.status for each in self._known.copy().values() if each.status) + self.forgotten

    def forget_ended(self, handed_out: Collection[str]) -> set[str]:
        """Forget those of others that ended first, when there are many: a worker may stay for years. Returns their ids.

        MOST_FOREIGN of them are kept for the summary, and twice as many at times. handed_out: ids of tasks that are
        here again.
        """
        if len(self._foreign) < 2 * MOST_FOREIGN:
            return set()
        ended = {self._foreign.popleft() for _ in range(MOST_FOREIGN)} - set(handed_out) - set(self._foreign)
        old = {task_id for task_id in ended if task_id in self._known and not self._known[task_id].is_own}
        for task_id in old:
            self.forgotten[self._known.pop(task_id).status] += 1
        return old

    def has_own(self) -> bool:
        """Return whether anything was scheduled here."""
        return any(each.is_own for each in self._known.values())

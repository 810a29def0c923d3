"""Deps that a task's run() yields: it is put back to wait for them, but not once more when they were DONE meanwhile.

Such a dep was run without making its output, or it differs from one that was made only in parameters that are not
significant. Luigi starts the task again at once, and again, for ever.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from broker_sched.errors import UnknownMethod, WorkerError
from broker_sched.tasks.protocol import TaskLike, flatten
from broker_sched.worker.completion import Completion
from broker_sched.worker.retrying_scheduler import RetryingScheduler

MOST_NAMED = 5  # deps in a message, and outputs of each


class InVain(WorkerError):
    """A task waits for deps that are DONE, and will not become complete."""


class AwaitedDeps:
    """Finds out whether a task that waits for deps does so in vain.

    The scheduler knows which deps were DONE since a task began to wait, whichever worker ran them. Of luigid, which
    does not, a worker asks about those that it has put the task back for itself.
    """

    def __init__(self, scheduler: RetryingScheduler, is_complete: Completion) -> None:
        self._scheduler = scheduler
        self._is_complete = is_complete
        self._is_known = True  # by the scheduler
        self._awaited: dict[str, set[str]] = defaultdict(set)  # task_id → ids that it was put back for, for luigid

    def check_deps(
        self, task: TaskLike, deps: Sequence[TaskLike], may_again: Callable[[tuple[str, ...]], bool]
    ) -> None:
        """Look, before a task is put back to wait for deps, whether these can ever make it go on.

        Raises InVain when they can't.

        may_again: whether it may go back though all of these ids are complete: what its run() has seen may be late.
        """
        done = self._done([dep.task_id for dep in deps], task.task_id)
        missing = [dep for dep in deps if dep.task_id in done and not self._is_complete(dep)]
        if missing:
            named = "; ".join(_named(dep) for dep in missing[:MOST_NAMED])
            more = f"; and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            raise InVain(
                f"Its run() waits for what was DONE and still is not complete: {named}{more}. "
                "Look at what that writes, and where. Tasks that differ only in parameters that are not significant "
                "have one id, and only one of them is run."
            )
        ids = tuple(dep.task_id for dep in deps)
        if done.issuperset(ids) and not may_again(ids):
            raise InVain(
                f"Its run() waits for {', '.join(ids[:MOST_NAMED])}, which are DONE and complete, but not by the "
                "custom_complete of the requirements that it yields. Look at that."
            )
        if not self._is_known:
            self._awaited[task.task_id].update(ids)

    def forget_task(self, task_id: str) -> None:
        """Drop what is kept about a task, since it has ended or is scheduled anew."""
        self._awaited.pop(task_id, None)

    def _done(self, ids: list[str], task_id: str) -> set[str]:
        if self._is_known:
            try:
                return set(self._scheduler.call("done_since_awaited", task_id=task_id, deps=ids))
            except (UnknownMethod, AttributeError):
                self._is_known = False
        awaited = self._awaited.get(task_id, ())
        again = [dep for dep in ids if dep in awaited]
        return {dep for dep in again if dep in self._scheduler.call("task_search", task_str=dep).get("DONE", {})}


def _named(dep: TaskLike) -> str:
    outputs: list[Any] = []
    with contextlib.suppress(Exception):  # the user's output() and exists() may fail
        outputs = [output for output in flatten(dep.output()) if not output.exists()]
    named = ", ".join(str(getattr(output, "path", output)) for output in outputs[:MOST_NAMED])
    return f"{dep.task_id} ({named} is missing)" if named else dep.task_id

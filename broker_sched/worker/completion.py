"""Is a task complete? Asked once for each where the answer may be believed, in this process or in several."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, MutableSet
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from broker_sched import interrupts
from broker_sched.tasks import command_line
from broker_sched.tasks.protocol import TaskLike, TaskTypeError, no_targets_of

WAIT_SECONDS = 0.2  # so long an interruption may have to wait


@dataclass(frozen=True)
class Failure:
    """Stands for an answer of complete() that raised, or returned neither True nor False."""

    trace: str


class Completion:
    """Answers whether tasks are complete. With a cache, what was complete once stays so."""

    def __init__(self, known: MutableSet[str] | None = None) -> None:
        self.known = known  # ids of complete tasks; None: no cache

    def __call__(self, task: TaskLike) -> bool:
        """Return whether the task is complete.

        Raises what complete() raises, TypeError when it returned neither True nor False, TaskTypeError when the task's
        output has no exists().
        """
        if self.known is not None and task.task_id in self.known:
            return True
        try:
            found = task.complete()
        except AttributeError as error:
            if (why := no_targets_of(task)) is not None:
                raise TaskTypeError(why) from error
            raise
        if found not in (True, False):
            hint = " Is there a return in it?" if found is None else ""
            raise TypeError(f"complete() of {task.task_id} returned {found!r}; it must return True or False.{hint}")
        if found and self.known is not None:
            self.known.add(task.task_id)
        return bool(found)

    def or_failure(self, task: TaskLike) -> bool | Failure:
        """Return whether the task is complete, or a Failure with the stack trace where asking raised an exception."""
        try:
            return self(task)
        except (Exception, SystemExit):  # a task may not end its worker
            return Failure(traceback.format_exc())


class InTurn:
    """Asks one task after the other, in this process, in the order of ask_about()."""

    def __init__(self, completion: Completion) -> None:
        self._completion = completion
        self._waiting: list[TaskLike] = []

    def ask_about(self, task: TaskLike) -> None:
        """Put a task at the end of the line of those that answers() asks."""
        self._waiting.append(task)

    def answers(self) -> Iterator[tuple[TaskLike, bool | Failure]]:
        """Yield each task with its answer, until nobody is in line; more may be put into it meanwhile."""
        position = 0
        while position < len(self._waiting):
            task = self._waiting[position]
            position += 1
            yield task, self._completion.or_failure(task)

    def end_processes(self) -> None:
        """Do nothing: everything was asked in this process."""


class InParallel:
    """Asks several tasks at once, in processes of their own; `processes` of them, or with 0 one for each processor."""

    def __init__(self, completion: Completion, processes: int, context: Any) -> None:
        self._completion = completion
        self._pool = ProcessPoolExecutor(
            processes if processes > 0 else None,
            mp_context=context,
            initializer=command_line.install,
            initargs=(command_line.installed(),),
        )
        self._waiting: dict[Future[bool | Failure], TaskLike] = {}

    @interrupts.whole
    def ask_about(self, task: TaskLike) -> None:
        """Hand a task to the next process that is free."""
        self._waiting[self._pool.submit(_answer, task)] = task

    def answers(self) -> Iterator[tuple[TaskLike, bool | Failure]]:
        """Yield each task with its answer, first answered first; more may be handed over meanwhile."""
        while self._waiting:
            done = self._wait()
            interrupts.raise_due()
            for future in done:
                task = self._waiting.pop(future)
                answer = future.result()
                if answer is True and self._completion.known is not None:
                    self._completion.known.add(task.task_id)
                yield task, answer

    @interrupts.whole
    def _wait(self) -> set[Future[bool | Failure]]:
        """Wait for an answer, a moment at the most.

        Whole, since the wait begins by taking the locks of all answers. Were it interrupted then, who brings the
        answers would wait for these locks for ever, and whoever ends the processes would wait for that.
        """
        done, _ = wait(self._waiting, WAIT_SECONDS, FIRST_COMPLETED)
        return done

    def end_processes(self) -> None:
        """End the processes, and wait until they have ended; tasks that were not asked yet are dropped."""
        self._pool.shutdown(cancel_futures=True)


def _answer(task: TaskLike) -> bool | Failure:
    return Completion().or_failure(task)

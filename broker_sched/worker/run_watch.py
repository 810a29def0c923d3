"""Waits for many runs at once. What they are waited for by is registered once, and not anew for each wait."""

from __future__ import annotations

import math
import select
from collections.abc import Collection
from typing import Any

from broker_sched import interrupts
from broker_sched.worker.executors.protocol import TaskRun


class RunWatch:
    """Waits for runs, by whatever they say that they may be waited for by. Several may share such a thing.

    blind: the runs that say nothing, and have to be looked at.
    """

    def __init__(self) -> None:
        self.blind: set[TaskRun] = set()
        self._poll = select.poll()  # knows file descriptors by number only: one may be closed before it is left out
        self._numbers: dict[TaskRun, set[int]] = {}  # the file descriptors of each run
        self._runs: dict[int, set[TaskRun]] = {}  # the runs behind each file descriptor

    @interrupts.whole
    def look_at(self, run: TaskRun) -> None:
        """Wait for this run, by what it says now. Called at its start, and whenever that may have changed."""
        now = {each if isinstance(each, int) else each.fileno() for each in run.waitables()}
        before = self._numbers.get(run, set())
        (self.blind.discard if now else self.blind.add)(run)
        if now != before:
            self._numbers[run] = now
            self._leave_out(before - now, run)
            for each in now - before:
                self._runs.setdefault(each, set()).add(run)
                self._poll.register(each, select.POLLIN)

    @interrupts.whole
    def forget(self, run: TaskRun) -> None:
        """Wait for this run no more: it has ended, and gives back what it holds."""
        self.blind.discard(run)
        self._leave_out(self._numbers.pop(run, set()), run)

    def wait(self, seconds: float, also: Collection[Any]) -> set[TaskRun]:
        """Wait until a run has news or one of `also` is readable, for so many seconds at the most.

        Returns the runs that may have news.
        """
        for each in also:
            self._poll.register(each, select.POLLIN)
        try:
            ready = self._poll.poll(math.ceil(1000 * seconds))
        finally:
            for each in also:
                self._poll.unregister(each)
        return {run for number, _ in ready for run in self._runs.get(number, ())}

    def _leave_out(self, numbers: set[int], run: TaskRun) -> None:
        for each in numbers:
            self._runs[each].discard(run)
            if not self._runs[each]:
                del self._runs[each]
                self._poll.unregister(each)

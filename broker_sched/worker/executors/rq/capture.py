"""Captures what a task writes while an rq worker runs it: shown with the task's id, and its end kept."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from types import TracebackType

from broker_sched import log_lines, tracing
from broker_sched.worker.executors.output import STDERR, STDOUT, Output, Tail, write_to


class Capture:
    """A context in which all that this process, and what it starts, writes goes through a pipe of its own."""

    def __init__(self, task_id: str, traceparent: str | None = None) -> None:
        self._task_id = task_id
        self._fields = tracing.ids_of(traceparent)
        self._told = Tail("", 0)

    def __enter__(self) -> Capture:
        self._streams = sys.stdout, sys.stderr
        self._flush()
        self._kept = os.dup(STDOUT), os.dup(STDERR)
        source, pipe = multiprocessing.Pipe(duplex=False)
        self._output = Output(self._task_id, source, shown_on=self._kept[1], fields=self._fields)
        write_to(pipe)
        self._is_capturing = True
        self._handler: logging.Handler | None = None
        if not logging.getLogger().handlers:  # RQ has none there
            self._handler = logging.StreamHandler(sys.stderr)
            self._handler.setFormatter(log_lines.formatter(log_lines.TEXT))
            logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        self._restore()

    def _restore(self) -> None:
        if not self._is_capturing:
            return
        self._is_capturing = False
        self._flush()
        for kept, number in zip(self._kept, (STDOUT, STDERR)):
            os.dup2(kept, number)
        os.close(self._kept[0])  # the other one shows what is still to come, and is closed after that
        sys.stdout, sys.stderr = self._streams

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()

    def final_tail(self) -> Tail:
        """Return the tail of all that was written. From now on nothing more is captured."""
        self._restore()
        return self._output.final_tail()

    def new_tail(self) -> Tail | None:
        """Return the tail of what was written so far; None when nothing was added since the last time."""
        tail = self._output.tail
        is_new, self._told = tail != self._told, tail
        return tail if is_new else None

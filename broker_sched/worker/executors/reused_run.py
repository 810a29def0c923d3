"""A run of a task in a process that runs one after another."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

from broker_sched.tasks import command_line
from broker_sched.tasks.protocol import TaskLike, logged_name
from broker_sched.worker.executors.process_pool import ProcessPool, ReusedProcess
from broker_sched.worker.executors.reused_child import Ended, Job, Message
from broker_sched.worker.executors.task_process import TaskProcess
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.run_task import RunOptions

log = logging.getLogger("bsched.worker")


class ReusedRun(TaskProcess):
    """One run of one task in a process of the pool; in one of its own, should the pool's not get as far as to begin.

    pickled: the task, for the process. The other arguments are those of TaskProcess.
    """

    def __init__(
        self,
        pool: ProcessPool,
        pickled: bytes,
        task: TaskLike,
        options: RunOptions,
        context: Any,
        timeout_seconds: float,
        kill_after_seconds: float,
        captures: bool = False,
    ) -> None:
        self._pool = pool
        self._pickled = pickled
        self._host: ReusedProcess | None = None  # until it is given back, or the run is in a process of its own
        super().__init__(task, options, context, timeout_seconds, kill_after_seconds, captures)
        self._captures = captures

    def _prepare(self) -> None:
        """Nothing is needed before the start: the process is there, or is made then."""

    def start(self) -> None:
        """Give the task to a process. Raises OSError when none is there, and none can be started."""
        self._read_output()
        try:
            host = self._host = self._pool.take()
            self._process, self._root, self._connection = host.process, host.root, host.connection
            given = command_line.installed()
            job = Job(host.number + 1, self._pickled, self._options, given, self._childs_pipe is not None)
            host.give_job(job, self._childs_pipe)
        finally:
            if self._childs_pipe is not None:
                self._childs_pipe.close()

    def _receive(self, everything: bool) -> Iterator[Any]:
        if self._host is None:
            if not self._is_through:
                yield from super()._receive(everything)
            return
        for number, received in self._connection.receive(everything):
            if number != self._host.number:
                continue  # from a thread that an earlier task left behind
            if isinstance(received, Ended):
                self._leave_process(received)
                if received.result is not None:
                    yield received.result
                return
            else:
                yield received

    def _leave_process(self, ended: Ended) -> None:
        host = self._host
        if ended.why_to_leave is not None:  # it ends now, and is waited for as any other
            log.info("The process of %s runs no other task: %s.", logged_name(self.task), ended.why_to_leave)
            return
        self._host = None
        if host is not None:
            self._pool.give_back(host)
        if ended.why_unreadable is None:
            self._is_through = True
        else:
            self._pool.note_unsendable(self.task, ended.why_unreadable)
            self._start_own_process()

    def _conclude(self) -> None:
        if self._host is None or self._host.has_begun or self._is_being_ended():
            super()._conclude()
            return
        self._pool.drop(self._host)  # it had died before it was given the task
        self._host = None
        self._start_own_process()

    def _start_own_process(self) -> None:
        try:
            self._source, self._childs_pipe = self._context.Pipe(duplex=False) if self._captures else (None, None)
            super()._prepare()
            super().start()
        except Exception:
            self.result, self._is_through = (
                RunResult(self.task.task_id, "FAILED", json.dumps(traceback.format_exc())),
                True,
            )

    def send_message(self, message_id: str, content: Any, payload: dict[str, Any]) -> None:
        """Hand a scheduler message to the task. The heartbeat's thread may call it."""
        host = self._host
        if host is None:
            super().send_message(message_id, content, payload)
        elif not self._is_through and not host.connection.send(Message(host.number, (message_id, content, payload))):
            log.error("%s reads none of its messages: this one is lost: %s", logged_name(self.task), content)

    def clean_up(self) -> None:
        """Give back what the operating system holds for the process, unless it is kept for another task."""
        if self._host is not None:
            self._pool.drop(self._host)
        elif not self._is_through:
            super().clean_up()

"""Processes that run one task after another, kept for the next one when a run has ended."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

import psutil

from broker_sched import interrupts
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.executors.reused_child import Job, run_jobs
from broker_sched.worker.executors.task_connection import WorkersEnd
from broker_sched.worker.executors.task_process import close_process, process_of

log = logging.getLogger("bsched.worker")
SECONDS_TO_LEAVE = 5.0  # for a process without a task, once it was told to end


class ReusedProcess:
    """A process that runs one task after another, at most `tasks` of them.

    context: of multiprocessing, which says how it is started. has_pipes: whether the output of tasks is captured.
    others: worker's ends of the connections of other processes, which a fork inherits and has to close.
    Raises OSError when the machine has no more files or processes.
    """

    def __init__(self, context: Any, tasks: int, has_pipes: bool, others: list[socket.socket]) -> None:
        self.tasks_left = tasks
        self.number = 0  # of the run that is under way, or was last
        ours, childs = socket.socketpair()
        self.ends, childs_ends = [ours], [childs]
        if has_pipes:
            ours, childs = socket.socketpair()
            self.ends.append(ours)
            childs_ends.append(childs)
        self.connection = WorkersEnd(self.ends[0])
        self._begun = context.RawValue("Q", 0)  # shared with the process: the number of the run that began last
        arguments = (childs_ends, [*others, *self.ends], os.getpid(), self._begun)
        self.process = context.Process(target=run_jobs, args=arguments, name="tasks")
        try:
            self.process.start()
        except BaseException:
            self.close_connection()
            raise
        finally:
            for each in childs_ends:
                each.close()
        self.root: psutil.Process | None = process_of(self.process.pid)

    def give_job(self, job: Job, pipe: Any) -> None:
        """Have it run a job. pipe: the writing end of a pipe for its output, where that is captured."""
        self.number = job.number
        self.tasks_left -= 1
        if pipe is not None:
            socket.send_fds(self.ends[1], [b"p"], [pipe.fileno()])
        self.connection.send(job)

    @property
    def has_begun(self) -> bool:
        """Whether the process has made the task of its last job; one that it has not can be given to another."""
        return bool(self._begun.value == self.number)

    def close_connection(self) -> None:
        """Close the worker's ends of its connections."""
        for each in self.ends:
            each.close()


class ProcessPool:
    """The processes of a worker that run one task after another.

    context: of multiprocessing. config: its tasks_per_process and capture_output.
    """

    def __init__(self, context: Any, config: WorkerConfig) -> None:
        self._context = context
        self._config = config
        self._busy: set[ReusedProcess] = set()
        self._idle: list[ReusedProcess] = []
        self._leaving: list[ReusedProcess] = []
        self._unsendable: set[type] = set()

    def can_be_sent(self, task: TaskLike) -> bool:
        """Return whether nothing is known that keeps tasks of this class from being sent to a process."""
        return type(task) not in self._unsendable

    def note_unsendable(self, task: TaskLike, reason: str) -> None:
        """Note that tasks of this class can't be sent to a process that is there. It is said once."""
        if self.can_be_sent(task):
            self._unsendable.add(type(task))
            log.info(
                "Each %s gets a process of its own, since it can't be sent to another: %s.", task.task_family, reason
            )

    def take(self) -> ReusedProcess:
        """Return a process without a task, a new one if there is none. Raises OSError as ReusedProcess does."""
        if self._leaving:
            self._forget_ended()
        while self._idle and not self._idle[-1].process.is_alive():
            self.drop(self._idle.pop())
        if self._idle:
            process = self._idle.pop()
        else:
            config, everyone = self._config, (*self._busy, *self._leaving)
            ends = [end for each in everyone for end in each.ends]
            process = ReusedProcess(self._context, config.tasks_per_process, config.capture_output, ends)
        self._busy.add(process)
        return process

    def give_back(self, process: ReusedProcess) -> None:
        """Keep a process whose run has ended for the next task, unless it has run enough of them."""
        self._busy.discard(process)
        if process.tasks_left > 0:
            self._idle.append(process)
        else:
            self._let_go(process)

    def drop(self, process: ReusedProcess) -> None:
        """Forget a process that has ended."""
        self._busy.discard(process)
        process.close_connection()
        close_process(process.process)

    @interrupts.whole
    def end_idle(self) -> None:
        """End the processes that have no task; those that do not end within SECONDS_TO_LEAVE are killed."""
        while self._idle:
            self._let_go(self._idle.pop())
        for each in self._leaving:
            each.process.join(SECONDS_TO_LEAVE)
            if each.process.is_alive():
                each.process.kill()
                each.process.join()
        self._forget_ended()

    def _let_go(self, process: ReusedProcess) -> None:
        process.connection.send(None)
        self._leaving.append(process)

    def _forget_ended(self) -> None:
        for each in [each for each in self._leaving if not each.process.is_alive()]:
            self._leaving.remove(each)
            self.drop(each)

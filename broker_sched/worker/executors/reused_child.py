"""What a process does that runs one task after another: it takes a job, runs it, puts things back, tells the result.

The tasks of one worker share it. So it looks after each of them what that one has left behind (surroundings.py); a
process that can't be as it was before takes no other task.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from broker_sched import interrupts, log_lines, tracing
from broker_sched.tasks import command_line
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.executors.output import STDERR, STDOUT, write_to
from broker_sched.worker.executors.surroundings import Surroundings, resident_bytes_of_self
from broker_sched.worker.executors.task_connection import TasksEnd
from broker_sched.worker.executors.task_process import (
    WATCH_SECONDS,
    SchedulerCall,
    end_with_worker,
    lives,
    process_of,
    seed_random,
    take_childs_signals,
)
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.run_task import RunOptions, execute
from broker_sched.worker.status_reporter import StatusReporter

log = logging.getLogger("bsched.worker")


class Job(NamedTuple):
    """A task that the process is to run. number: of the run in this process. task: pickled."""

    number: int
    task: bytes
    options: RunOptions
    given: command_line.Given
    has_pipe: bool  # its output goes into a pipe that the next file descriptor on the control socket leads to


class Message(NamedTuple):
    """A message of the scheduler for a run."""

    number: int
    message: tuple[str, Any, dict[str, Any]]


class Begun(NamedTuple):
    """The process has made its task. One of which this was not told can be given to another process."""


class Ended(NamedTuple):
    """The run is over, and nothing of it is to come.

    result: None where the task could not be made from what was pickled: it has not run. why_to_leave: why no other task
    shall run in this process. why_unreadable: why the task could not be made.
    """

    result: RunResult | None
    why_to_leave: str | None = None
    why_unreadable: str | None = None


class Desk:
    """Hands messages to the run that is under way, and keeps those that arrive before their run has begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0  # of the run that began last
        self._reporter: StatusReporter | None = None
        self._early: list[Message] = []

    def begin_run(self, number: int, reporter: StatusReporter) -> None:
        """Give this run all messages from now on, and those for it that were early."""
        with self._lock:
            self._number, self._reporter = number, reporter
            early, self._early = self._early, []
            for each in early:
                self._hand_over(each)

    def end_run(self) -> None:
        """Drop whatever is still to come for the run."""
        with self._lock:
            self._reporter = None

    def receive(self, message: Message) -> None:
        """Hand a message to its run. One for a run that is over is dropped."""
        with self._lock:
            if message.number > self._number:
                self._early.append(message)
            else:
                self._hand_over(message)

    def _hand_over(self, message: Message) -> None:
        if self._reporter is not None and message.number == self._number:
            self._reporter.receive(*message.message)


def run_jobs(own_ends: list[socket.socket], workers_ends: list[socket.socket], worker_pid: int) -> None:
    """Run jobs until the worker says that there are no more, or a task has left the process unfit for others.

    own_ends: of the connection to the worker, and, where output is captured, of the one that the pipes for it come by.
    workers_ends: the other ends, and those of other processes, which a fork has inherited.
    """
    own_end, pipes = own_ends[0], own_ends[1] if len(own_ends) > 1 else None
    for each in workers_ends:
        each.close()
    take_childs_signals()
    connection, jobs, desk = TasksEnd(own_end), queue.SimpleQueue[Job | None](), Desk()
    listening = threading.Thread(target=_listen, args=(connection, jobs, desk, worker_pid), daemon=True)
    interrupts.start_beside(listening)
    if pipes is not None:
        log_lines.write_text()
    started_with = resident_bytes_of_self()
    while (job := jobs.get()) is not None:
        with _output_to(pipes if job.has_pipe else None):
            ended = _run(job, connection, desk, started_with)
        connection.send((job.number, ended))
        tracing.flush()
        if ended.why_to_leave is not None:
            return


def _run(job: Job, connection: TasksEnd, desk: Desk, started_with: int) -> Ended:
    """Run one job, and put back what it has changed of the process."""

    def tell(method: str, arguments: dict[str, Any]) -> None:
        connection.send((job.number, SchedulerCall(method, arguments)))

    before = Surroundings(started_with)
    try:
        task: TaskLike = pickle.loads(job.task)
        if job.given or command_line.installed():
            command_line.install(job.given)  # also when they are: luigi is told, where the task has brought it along
    except Exception as error:
        return Ended(None, why_unreadable=f"{type(error).__name__}: {error}")
    connection.send((job.number, Begun()))
    seed_random()  # forked processes would draw the same numbers
    reporter = StatusReporter(tell, task.task_id, job.options.worker_id, bool(task.accepts_messages), task)
    desk.begin_run(job.number, reporter)
    try:
        result = execute(task, job.options, reporter)
    finally:
        desk.end_run()
    changed = before.put_back()
    if changed:
        log.info("Put back after %s, for the next task: %s.", task.task_id, ", ".join(changed))
    return Ended(result, before.why_to_leave())


@contextlib.contextmanager
def _output_to(pipes: socket.socket | None) -> Iterator[None]:
    """Let all that is written meanwhile go into the pipe that comes next, and nothing of it later."""
    if pipes is None:
        yield
        return
    _, descriptors, _, _ = socket.recv_fds(pipes, 1, 1)
    numbers, streams = (STDOUT, STDERR), (sys.stdout, sys.stderr)
    before = [os.dup(number) for number in numbers]
    write_to(Connection(descriptors[0], readable=False))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # a task may have closed it
                stream.flush()
        for number, kept in zip(numbers, before):
            os.dup2(kept, number)
            os.close(kept)
        sys.stdout, sys.stderr = streams


def _listen(connection: TasksEnd, jobs: queue.SimpleQueue[Job | None], desk: Desk, worker_pid: int) -> None:
    """Pass jobs and messages on. Ends the process when the worker is gone: the scheduler gives its tasks to others."""
    worker = process_of(worker_pid)
    while lives(worker):
        try:
            received = connection.receive(WATCH_SECONDS)
        except TimeoutError:
            continue
        except OSError:
            break
        if isinstance(received, Message):
            desk.receive(received)
        else:
            jobs.put(received)
    end_with_worker(worker_pid)

"""What a process does that runs one task after another: it takes a job, runs it, puts things back, tells the result.

The tasks of one worker share it. So it looks after each of them what that one has left behind (surroundings.py); a
process that can't be as it was before takes no other task.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import pickle
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from broker_sched import interrupts, log_lines, tracing
from broker_sched.tasks import command_line
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.executors.output import STDERR, STDOUT, write_to
from broker_sched.worker.executors.surroundings import Surroundings
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
from broker_sched.worker.wakeup_socket import WakeupSocket

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


class Ended(NamedTuple):
    """The run is over, and nothing of it is to come.

    result: None where the task could not be made from what was pickled: it has not run. why_to_leave: why no other task
    shall run in this process. why_unreadable: why the task could not be made.
    """

    result: RunResult | None
    why_to_leave: str | None = None
    why_unreadable: str | None = None


class Inbox:
    """Reads what the worker sends: jobs while no run is under way, and messages for the run while one is.

    So no other thread is needed where a task takes no messages: to hand each job from one thread to another costs more
    than to unpickle it.
    """

    def __init__(self, connection: TasksEnd) -> None:
        self._connection = connection
        self._early: list[Message] = []  # that arrived while no run was under way

    def next_job(self) -> Job | None:
        """Return the next job; None when there are no more. Raises OSError when the worker is gone."""
        while isinstance(received := self._connection.receive(), Message):
            self._early.append(received)
        job: Job | None = received
        return job

    @contextlib.contextmanager
    def messages_for(self, number: int, reporter: StatusReporter) -> Iterator[None]:
        """Hand the messages for a run to it, as long as the context lasts, and those that were early. Others go."""
        early, self._early = self._early, []
        if reporter.scheduler_messages is None:
            yield
            return
        for each in early:
            _hand_over(each, number, reporter)
        stop = WakeupSocket()
        thread = threading.Thread(target=self._listen, args=(number, reporter, stop), daemon=True)
        interrupts.start_beside(thread)
        try:
            yield
        finally:
            stop.wake()
            thread.join()
            stop.close()

    def _listen(self, number: int, reporter: StatusReporter, stop: WakeupSocket) -> None:
        with contextlib.suppress(OSError):  # the worker is gone, which is noticed elsewhere
            while self._connection.await_message(stop):
                _hand_over(self._connection.receive(), number, reporter)


def _hand_over(message: Message, number: int, reporter: StatusReporter) -> None:
    if message.number == number:
        reporter.receive(*message.message)


def run_jobs(own_ends: list[socket.socket], workers_ends: list[socket.socket], worker_pid: int, begun: Any) -> None:
    """Run jobs until the worker says that there are no more, or a task has left the process unfit for others.

    own_ends: of the connection to the worker, and, where output is captured, of the one that the pipes for it come by.
    workers_ends: the other ends, and those of other processes, which a fork has inherited. begun: of ctypes, in memory
    that the worker shares: the number of the run that began last.
    """
    own_end, pipes = own_ends[0], own_ends[1] if len(own_ends) > 1 else None
    for each in workers_ends:
        each.close()
    gc.freeze()  # what a fork has inherited stays; each full collection would look at all of it, and so copy it
    take_childs_signals()
    interrupts.start_beside(threading.Thread(target=_end_with_worker, args=(own_end, worker_pid), daemon=True))
    if pipes is not None:
        log_lines.write_text()
    connection = TasksEnd(own_end)
    inbox, surroundings = Inbox(connection), Surroundings()
    while (job := _next_job(inbox, worker_pid)) is not None:
        with _output_to(pipes if job.has_pipe else None) as output:
            ended = _run(job, connection, inbox, surroundings, begun)
            output.is_last = ended.why_to_leave is not None
        connection.send((job.number, ended))
        tracing.flush()
        if ended.why_to_leave is not None:
            return


def _next_job(inbox: Inbox, worker_pid: int) -> Job | None:
    try:
        return inbox.next_job()
    except OSError:
        end_with_worker(worker_pid)
        raise


def _run(job: Job, connection: TasksEnd, inbox: Inbox, surroundings: Surroundings, begun: ctypes.c_uint64) -> Ended:
    """Run one job, and put back what it has changed of the process."""

    def tell(method: str, arguments: dict[str, Any]) -> None:
        connection.send((job.number, SchedulerCall(method, arguments)))

    surroundings.note_streams()
    try:
        task: TaskLike = pickle.loads(job.task)
        if job.given or command_line.installed():
            command_line.install(job.given)  # also when they are: luigi is told, where the task has brought it along
    except Exception as error:
        return Ended(None, why_unreadable=f"{type(error).__name__}: {error}")
    begun.value = job.number
    seed_random()  # forked processes would draw the same numbers
    reporter = StatusReporter(tell, task.task_id, job.options.worker_id, bool(task.accepts_messages), task)
    began = time.monotonic()
    with inbox.messages_for(job.number, reporter):
        result = execute(task, job.options, reporter)
    seconds = time.monotonic() - began
    changed = surroundings.put_back()
    if changed:
        log.info("Put back after %s, for the next task: %s.", task.task_id, ", ".join(changed))
    return Ended(result, surroundings.why_to_leave(seconds))


class _Output:
    """Where a run writes to. is_last: it stays so, since the process runs nothing else: a thread may write still."""

    is_last = False


@contextlib.contextmanager
def _output_to(pipes: socket.socket | None) -> Iterator[_Output]:
    """Let all that is written meanwhile go into the pipe that comes next, and nothing of it later."""
    output = _Output()
    if pipes is None:
        yield output
        return
    _, descriptors, _, _ = socket.recv_fds(pipes, 1, 1)
    numbers, streams = (STDOUT, STDERR), (sys.stdout, sys.stderr)
    before = [os.dup(number) for number in numbers]
    write_to(Connection(descriptors[0], readable=False))
    try:
        yield output
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # a task may have closed it
                stream.flush()
        for number, kept in zip(numbers, before):
            if not output.is_last:
                os.dup2(kept, number)
            os.close(kept)
        if not output.is_last:
            sys.stdout, sys.stderr = streams


def _end_with_worker(own_end: socket.socket, worker_pid: int) -> None:
    """End the process when the worker is gone: the scheduler gives its tasks to others."""
    worker, closed = process_of(worker_pid), select.poll()
    closed.register(own_end, 0)  # for nothing but the end of the worker's end, which a fork may have, too
    while lives(worker) and not closed.poll(1000 * WATCH_SECONDS):
        pass
    end_with_worker(worker_pid)

"""A process for one run of a task. Whatever becomes of the process, the run has a result.

The two ends of a connection (task_connection.py) carry, from the task: what it reports and, last, its result; to the
task: messages. The worker learns of the end through the process's sentinel, so it misses none, whatever the exit code.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import signal
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import psutil

from broker_sched import interrupts, log_lines, tracing
from broker_sched.tasks import command_line
from broker_sched.tasks.protocol import TaskLike, logged_name
from broker_sched.worker.executors.output import Output, write_to
from broker_sched.worker.executors.task_connection import TasksEnd, WorkersEnd
from broker_sched.worker.run_result import EndedBy, Ending, RunResult
from broker_sched.worker.run_task import RunOptions, execute
from broker_sched.worker.status_reporter import StatusReporter

log = logging.getLogger("bsched.worker")
OVERWRITING = ("set_task_progress_percentage", "set_task_status_message")  # calls that replace earlier ones
LOOK_SECONDS = 0.05  # between two looks at the programs of a task that has ended
MOST_LOOKS = 10  # for processes that are started while others are stopped
WATCH_SECONDS = 1.0  # how often a task process looks whether its worker still lives
SIGNALS = {
    signal.SIGKILL: "it was killed (SIGKILL), possibly because the machine is out of memory",
    signal.SIGSEGV: "it crashed (SIGSEGV, a segmentation fault)",
    signal.SIGTERM: "it was terminated (SIGTERM)",
}


class SchedulerCall(NamedTuple):
    """A call of the scheduler that a task asks for."""

    method: str
    arguments: dict[str, Any]


def without_overwritten(calls: list[SchedulerCall]) -> list[SchedulerCall]:
    """Leave out the calls that a later one of the same method overwrites: only the latest status and progress count."""
    latest = {each.method: each for each in calls}
    return [each for each in calls if each.method not in OVERWRITING or each is latest[each.method]]


class TaskProcess:
    """One run of one task in a process of its own.

    context: a multiprocessing context; it decides how the process starts.
    timeout_seconds: 0 for none. Then the whole process tree is terminated, and killed `kill_after_seconds` later.
    captures: whether what it writes is shown with the task's id, and told to the scheduler.
    """

    def __init__(
        self,
        task: TaskLike,
        options: RunOptions,
        context: Any,
        timeout_seconds: float,
        kill_after_seconds: float,
        captures: bool = False,
    ) -> None:
        self.task = task
        self.result: RunResult | None = None
        self.reported: str | None = None  # it reports nothing by itself
        self.scheduler_calls: list[SchedulerCall] = []  # what it asked for and was not taken yet
        self.ending: Ending | None = None  # how and why the worker ends it
        self.attempt: int | None = None  # what get_work told with the task
        self.is_superseded = False  # it does not count any more
        self._is_timed_out = False
        self._timeout_seconds = timeout_seconds
        self._kill_after_seconds = kill_after_seconds
        self._terminated: list[psutil.Process] = []
        self._deadline = time.monotonic() + timeout_seconds if timeout_seconds else None
        self._is_through = False  # nothing more comes of it, though its process goes on to other tasks
        self._context = context
        self._options = options
        self._connection: WorkersEnd
        self._output: Output | None = None
        self._source: Any
        self._childs_pipe: Any
        self._source, self._childs_pipe = context.Pipe(duplex=False) if captures else (None, None)
        self._root: psutil.Process | None = None  # the process, as nobody else is who gets its number later
        self._process: Any = None
        self._prepare()

    def _prepare(self) -> None:
        """Make what the start takes, as long as there are files for it."""
        ours, self._childs_end = socket.socketpair()
        self._connection = WorkersEnd(ours)
        given = command_line.installed()
        arguments = (self.task, self._options, self._childs_end, ours, os.getpid(), self._childs_pipe, given)
        self._process = self._context.Process(target=_child, args=arguments, name=self.task.task_id)

    def start(self) -> None:
        """Start the process. Raises what that raises, such as PicklingError where multiprocessing spawns."""
        try:
            self._read_output()  # before the process is there: without its thread there shall be none
            self._process.start()
            self._root = process_of(self._process.pid)
        except BaseException:
            self._connection.close()
            raise
        finally:
            self._childs_end.close()
            if self._childs_pipe is not None:
                self._childs_pipe.close()

    def _read_output(self) -> None:
        if self._childs_pipe is not None:
            self._output = Output(self.task.task_id, self._source, fields=tracing.ids_of(self._options.traceparent))

    @property
    def pid(self) -> int | None:
        """The process's id; None before it was started."""
        return None if self._process is None else self._process.pid

    @interrupts.whole
    def waitables(self) -> list[Any]:
        """Return the objects that multiprocessing.connection.wait shall wait for."""
        if self.result is not None and self._has_ended():  # only its programs are waited for
            return []
        return [self._process.sentinel] if self._connection.is_at_end else [self._process.sentinel, self._connection]

    def seconds_left(self) -> float | None:
        """Return the seconds until the timeout or the next SIGKILL; None while there is no deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    @interrupts.whole
    def take_scheduler_calls(self) -> list[SchedulerCall]:
        """Return the calls that the task asked for since the last time, without those that later ones overwrite."""
        calls, self.scheduler_calls = self.scheduler_calls, []
        tail = self._output.new_tail(self._has_ended()) if self._output else None
        if tail is not None:
            calls.append(SchedulerCall("set_task_log", {"task_id": self.task.task_id, **tail._asdict()}))
        return without_overwritten(calls)

    @interrupts.whole
    def poll(self) -> bool:
        """Receive what the task sends (calls go to `scheduler_calls`), and keep the deadlines.

        Once the process has ended, `result` is set. Returns whether it has, with all programs that were terminated with
        it.
        """
        self._connection.flush()
        has_ended = self._has_ended()  # asked first, so that its last words are received below
        for received in self._receive(everything=has_ended):
            if isinstance(received, RunResult):
                self.result = received
            else:
                self.scheduler_calls.append(received)
        if has_ended or self._is_through:
            self._conclude()
            return self._has_ended() and self._is_all_gone()  # it may have begun anew
        if self._deadline is not None and time.monotonic() >= self._deadline:
            if not self._is_being_ended() and self.result is None:
                self._is_timed_out = True
                self.terminate()
            else:
                self.kill()
        elif self.result is not None and self._deadline is None:  # reported, and still not gone
            self._deadline = time.monotonic() + self._kill_after_seconds
        return False

    def _has_ended(self) -> bool:
        try:
            return self._is_through or not self._process.is_alive()
        except ValueError:  # another thread has seen its end, and closed it
            return True

    def _receive(self, everything: bool) -> Iterator[Any]:
        """Yield what the task has sent: a RunResult, and before it SchedulerCalls."""
        return self._connection.receive(everything)

    def end_run(self, ending: Ending) -> None:
        """Terminate the process for this reason, unless its result is known or it is being ended."""
        if self.result is None and not self._is_being_ended():
            self.ending = ending
            self.terminate()

    def _is_being_ended(self) -> bool:
        return self._is_timed_out or self.ending is not None

    def terminate(self) -> None:
        """Send SIGTERM to the process and all it started; SIGKILL follows when they are still there at the deadline."""
        self._terminated = self._tree() or self._terminated
        for process in self._terminated:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        self._deadline = time.monotonic() + self._kill_after_seconds

    def kill(self) -> None:
        """Send SIGKILL to the process and to all that it started."""
        for process in [*self._tree(), *self._terminated]:  # the task first: it might start others instead
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._deadline = time.monotonic() + self._kill_after_seconds

    def wait_until_ended(self) -> None:
        """Wait until the deadline that terminate() has set, then kill what is left."""
        if self._has_ended() and not self._terminated:
            return
        with contextlib.suppress(ValueError):  # as above
            self._process.join(self.seconds_left())
            while self._process.exitcode is not None and not self._is_all_gone():
                time.sleep(LOOK_SECONDS)
            if self._process.is_alive():
                self.kill()
                self._process.join()

    def memory(self) -> int | None:
        """Return the resident bytes of the process; None before its start and after its end. Any thread may ask."""
        return resident_bytes(self._root)

    def send_message(self, message_id: str, content: Any, payload: dict[str, Any]) -> None:
        """Hand a scheduler message to the task. The heartbeat's thread may call it."""
        if not self._connection.send((message_id, content, payload)):
            log.error("%s reads none of its messages: this one is lost: %s", logged_name(self.task), content)

    def _tree(self) -> list[psutil.Process]:
        """The process and all it started; nothing before its start and after its end."""
        if self._root is None or self._has_ended() or not self._root.is_running():
            return []
        found = [self._root]
        with contextlib.suppress(psutil.Error):
            found += self._root.children(recursive=True)
        return found

    def _conclude(self) -> None:
        if not self._is_through:
            self._process.join()
        if self.result is None:
            by, why = self._end()
            self.result = RunResult(self.task.task_id, "FAILED", json.dumps(why), ended_by=by)

    def _is_all_gone(self) -> bool:
        """Whether the programs of a terminated task have ended, too. They have as long for it as the task had."""
        if not any(lives(process) for process in self._terminated):
            return True
        if time.monotonic() < (self._deadline or 0.0):
            return False
        for process in self._terminated:
            with contextlib.suppress(psutil.Error):
                process.kill()
        return True

    def _end(self) -> tuple[EndedBy, str]:
        """How the process came to end without a result of the task, and why, in a sentence."""
        name = self.task.task_id
        if self.ending is not None:
            return self.ending.by, f"{name} was ended: {self.ending.reason}."
        if self._is_timed_out:
            return "timeout", f"{name} ran longer than {self._timeout_seconds:g} s, its timeout, and was terminated."
        code = self._process.exitcode
        if code == 0:
            why = "its process exited with code 0 before the task was through (does it call os._exit or exec?)"
        elif code > 0:
            why = f"its process exited with code {code} before the task was through"
        else:
            why = SIGNALS.get(-code, f"it was ended by signal {-code}")
        return "crash", f"{name} died: {why}."

    def clean_up(self) -> None:
        """Give back what the operating system holds for the process, after its end."""
        self._connection.close()
        self._childs_end.close()  # where it was never started
        close_process(self._process)


def _child(
    task: TaskLike,
    options: RunOptions,
    own_end: socket.socket,
    workers_end: socket.socket,
    worker_pid: int,
    pipe: Any,
    given: command_line.Given,
) -> None:
    """What the process does: run the task, tell the result."""
    workers_end.close()
    command_line.install(given)  # a process that was not forked knows nothing of them
    if pipe is not None:
        write_to(pipe)
        log_lines.write_text()
    take_childs_signals()
    seed_random()
    connection = TasksEnd(own_end)

    def tell(method: str, arguments: dict[str, Any]) -> None:
        connection.send(SchedulerCall(method, arguments))

    reporter = StatusReporter(tell, task.task_id, options.worker_id, bool(task.accepts_messages), task)
    interrupts.start_beside(threading.Thread(target=_listen, args=(connection, reporter, worker_pid), daemon=True))
    connection.send(execute(task, options, reporter))
    tracing.flush()  # a fork ends without what atexit does


def take_childs_signals() -> None:
    """Have this process, which runs tasks, ended by SIGTERM, and by nothing that is meant for its worker."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork has the worker's handlers
    # Ctrl-C, a closed terminal, or a SIGUSR1 to the process group, is for the worker, which ends its task processes or
    # lets them finish. Not SIG_IGN, which programs that the task starts would inherit; as they do from nohup.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


def seed_random() -> None:
    """Begin another sequence of random numbers: forked processes would draw the same ones."""
    random.seed(os.getpid() * time.time())


def close_process(process: Any) -> None:
    """Give back what the operating system holds for a process that has ended."""
    with contextlib.suppress(ValueError):  # another thread is just learning that it has ended
        process.close()


def resident_bytes(process: psutil.Process | None) -> int | None:
    """Return the resident bytes of a process; None when there is none, or none any more."""
    try:
        return process.memory_info().rss or None if process is not None else None
    except psutil.Error:
        return None


def process_of(pid: int) -> psutil.Process | None:
    """Return the process that has this id now; None when there is none."""
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def lives(process: psutil.Process | None) -> bool:
    """Return whether this very process is there, and more than a zombie."""
    try:
        return process is not None and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _listen(connection: TasksEnd, reporter: StatusReporter, worker_pid: int) -> None:
    """Pass messages on. Ends the process when the worker is gone: the scheduler gives the task to others then."""
    worker = process_of(worker_pid)
    while lives(worker):
        try:
            reporter.receive(*connection.receive(WATCH_SECONDS))
        except TimeoutError:
            continue
        except OSError:
            time.sleep(WATCH_SECONDS)
    end_with_worker(worker_pid)


def end_with_worker(worker_pid: int) -> None:
    """End this process and all that it started, since its worker is gone."""
    log.error("The worker of this process (pid %d) is gone: what it runs ends, too.", worker_pid)
    # A copy does it, while this process is stopped: a task that sees one of its programs end might end this process, or
    # start others, before they all are killed.
    own_pid, copy = os.getpid(), None
    with contextlib.suppress(OSError), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of a fork beside threads, whose locks the copy leaves alone
        copy = os.fork()
    if copy:
        os.waitpid(copy, 0)  # which does not return, unless the copy was killed
    try:
        _kill_tree(psutil.Process(own_pid))
    finally:
        os._exit(1)


def _kill_tree(root: psutil.Process) -> None:
    """Kill a process and all that it started, but this process, once they are all stopped and can't start more."""
    own_pid = os.getpid()
    stopped, found = set[psutil.Process](), {root}
    for _ in range(MOST_LOOKS):
        for process in found - stopped:
            with contextlib.suppress(psutil.Error):
                if process.pid != own_pid:
                    process.suspend()
        stopped |= found
        found = {root, *root.children(recursive=True)}
        if found <= stopped:
            break
    for process in sorted(stopped | found, key=lambda each: each.pid in (root.pid, own_pid)):
        with contextlib.suppress(psutil.Error):
            if process.pid != own_pid or process == root:
                process.kill()

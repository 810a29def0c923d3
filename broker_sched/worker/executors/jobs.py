"""What a job does, on whatever machine an engine has it run: it is a worker that takes over one run, and reports on it.

The spec of a job is plain JSON: the scheduler's URL without any secret, the run, and the options of the worker.
Credentials come from the job's own environment: BSCHED_REDIS, BSCHED_TOKEN, BSCHED_PASSWORD, a certificate.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from broker_sched import log_lines, luigi_config
from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.errors import BrokerSchedError, ConfigurationError, LoginRefused, Superseded
from broker_sched.tasks.loading import TaskNotLoadable, load_task
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.default_scheduler import RETRY_SECONDS, luigis_address, remote_options
from broker_sched.worker.executors.protocol import TaskProcesses, TaskRun
from broker_sched.worker.retrying_scheduler import SERVERS
from broker_sched.worker.run_result import RunResult, TaskSpec
from broker_sched.worker.run_task import RunOptions
from broker_sched.worker.summary import SUPERSEDED
from broker_sched.worker.task_loader import check_allowed
from broker_sched.worker.worker import Worker

# Why a run is not the supervisor's where the job asks, and is where the supervisor does.
OTHER_SCHEDULER = "was not begun: the job's scheduler is another one than the supervisor's: see BSCHED_REDIS there"
log = logging.getLogger("bsched.worker")


class Returned(NamedTuple):
    """What a job returns of its run.

    status: how the run ended, as it was reported: DONE, FAILED, DISABLED, PENDING (it waits for new deps, or was given
    back), or SUPERSEDED; "" when the job could not take the run over. why: why not, as the rest of a sentence that
    begins with the task's id. is_unloadable, is_timed_out, is_hosts_fault: of what kind that was. result: of the run.
    """

    status: str
    result: RunResult | None = None
    why: str = ""
    is_unloadable: bool = False
    is_timed_out: bool = False
    is_hosts_fault: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain JSON."""
        result = None if self.result is None else dataclasses.asdict(self.result)
        if result is not None and self.result is not None:
            result["new_deps"] = [each._asdict() for each in self.result.new_deps]
        return {**self._asdict(), "result": result}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Returned:
        """Make one of what to_json() returned. Raises TypeError or KeyError for what another version wrote."""
        result = told.get("result")
        if result is not None:
            lists = {name: tuple(result[name]) for name in ("missing", "complete_ids")}
            new_deps = tuple(TaskSpec(**each) for each in result["new_deps"])
            result = RunResult(**{**result, **lists, "new_deps": new_deps})
        return cls(**{**told, "result": result})


class LoadedTooLong(Exception):
    """Loading a task took longer than the task may take."""


def run_job(spec: dict[str, Any], place: str = "") -> dict[str, Any]:
    """Take over the run that the spec names, carry it out, report on it, and return what became of it.

    place: what messages say behind the host's name.
    Raises an error of ours when the scheduler was lost for good while the task ran.
    """
    logging.getLogger("bsched").setLevel(logging.INFO)
    log_lines.choose(log_lines.chosen_in_environment())
    with _shown_log(spec["worker"]):
        return _run(spec, f"on {socket.gethostname()}{place}").to_json()


def _run(spec: dict[str, Any], where: str) -> Returned:
    task_id = spec["task_id"]
    try:
        config = WorkerConfig.beside_luigi(_options(spec))
    except BrokerSchedError as error:
        return _unfit(where, error)
    hint = ""
    try:
        check_allowed(spec["module"] or "", config.allow_modules)
        with _limited(spec["timeout"]):
            hint = " The module must be on the PYTHONPATH there"
            task = load_task(spec["module"], spec["family"], spec["params"], task_id)
        hint = ""
        check_allowed(type(task).__module__, config.allow_modules)  # it may have been imported from elsewhere
    except (TaskNotLoadable, LoadedTooLong) as error:
        if isinstance(error, LoadedTooLong) or isinstance(error.__cause__, LoadedTooLong):
            why = f"ran longer than {spec['timeout']:g} s, its timeout, {where}: that was not enough to load it"
            return Returned("", why=why, is_timed_out=True)
        why = f"can't be loaded {where}: {error}{hint}"
        log.error("%s %s.", task_id, why)
        return Returned("", why=why, is_unloadable=True)
    try:
        executor = _NotedRuns(multiprocessing.get_context(config.start_method), config)
        worker = JobWorker(scheduler_for(spec), spec["worker"], 1, True, executor, **_options(spec))
    except BrokerSchedError as error:
        return _unfit(where, error)
    with worker:
        try:
            worker.take_over(task, spec, where)
        except Superseded as error:
            log.info("%s", error)
            return Returned(SUPERSEDED, why=f"{OTHER_SCHEDULER}, {where}")  # if it is still the supervisor's
        except BrokerSchedError as error:
            return _unfit(where, error)
        worker.run()
    return Returned(worker.status_of(task), None if executor.run is None else executor.run.result)


class JobWorker(Worker):
    """The worker that a job is: it has no work but a run that another worker was handed out, and passes on."""

    def take_over(self, task: TaskLike, spec: dict[str, Any], where: str) -> None:
        """Have run() begin with this run of the task, which the spec of the job names.

        where: what people are told of the place. Raises Superseded when the other worker does not run it any more; what
        the scheduler raises.
        """
        about = [("assistant", True), ("supervisor", spec["from"]), ("runs_as", f"a job {where}")]
        self._worker_start.announce_worker(about)
        if self._registration.known is not None:
            self._registration.known.update(spec["known"])
        who = {"attempt": spec["attempt"], "host": self.host, "start_id": self._worker_start.start_id}
        self._work_source.take_over(task, spec["from"], who, spec["traceparent"])

    def status_of(self, task: TaskLike) -> str:
        """Return the status that was reported of the task, SUPERSEDED when its run did not count any more."""
        return self._registration.tasks.status_of(task.task_id) or SUPERSEDED

    def _introduce(self) -> None:
        if not self._work_source.handed_out():  # else it was taken over just now, for which it had to
            super()._introduce()


def _options(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the job's worker: this machine's, but for those that are the supervisor's or the job's."""
    return {
        **WorkerConfig.from_environment(os.environ),
        **spec["options"],
        "timeout": spec["timeout"],
        "cache_task_completion": spec["known"] is not None,
        "no_install_shutdown_handler": True,
        "keep_alive": False,
        "max_tasks": 1,
        "max_reschedules": 0,  # the supervisor counts
        "force_multiprocessing": True,
        "tasks_per_process": 1,
        "capture_output": True,
        "send_failure_email": False,  # the supervisor does
    }


def _unfit(where: str, error: BrokerSchedError) -> Returned:
    why = f"can't be run {where}, where the scheduler can't be used: {str(error).rstrip('.')}"
    if isinstance(error, LoginRefused) or any(code in why for code in ("(NOAUTH)", "(WRONGPASS)")):
        why += ". To log in, set BSCHED_REDIS there, or BSCHED_TOKEN for a server"
    log.error("%s.", why)
    return Returned("", why=why, is_hosts_fault=True)


def scheduler_for(spec: dict[str, Any]) -> SchedulerAPI:
    """Return the scheduler of a job: the one that this machine's environment names, else the supervisor's.

    Found by name, since the worker knows of no transport. Raises ConfigurationError where nothing names one.
    """
    package = importlib.import_module("broker_sched")
    if "BSCHED_REDIS" in os.environ:
        return cast(
            SchedulerAPI, package.Scheduler(None, spec["namespace"] or os.environ.get("BSCHED_NAMESPACE", "default"))
        )
    luigi = luigi_config.read()
    address = luigis_address(luigi)
    url = spec["scheduler"] if address is None or address.url is None else address.url
    if url is None:
        raise ConfigurationError("Nothing says where the scheduler is: set BSCHED_REDIS where jobs run.")
    if url.startswith(SERVERS):
        return cast(
            SchedulerAPI, package.RemoteScheduler(url, **{"wait_seconds": RETRY_SECONDS, **remote_options(luigi)})
        )
    return cast(SchedulerAPI, package.Scheduler(url, spec["namespace"]))


class _NotedRuns(TaskProcesses):
    """Runs the one task of a job in a process of its own. run: that run, once it was begun."""

    run: TaskRun | None = None

    def run_of(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> TaskRun:
        """Make the run, and note it."""
        self.run = super().run_of(task, options, timeout_seconds)
        return self.run


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise LoadedTooLong in here after so many seconds; 0 for no limit. Only a main thread can be interrupted."""
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise LoadedTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _shown_log(worker: str) -> Iterator[None]:
    """Have what is logged tell of this worker, and shown on stderr where nobody has said where it goes."""
    root = logging.getLogger()
    handler = None
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(log_lines.formatter(log_lines.chosen_in_environment()))
        root.addHandler(handler)
    log_lines.note_process(worker=worker)
    try:
        yield
    finally:
        log_lines.note_process(worker=None)
        if handler is not None:
            root.removeHandler(handler)

"""What an `rq worker` calls: runs one task, and leaves its result for whoever supervises it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import redis
import tenacity
from rq import get_current_job
from rq.timeouts import JobTimeoutException

from broker_sched import log_lines, tracing
from broker_sched.tasks.loading import TaskNotLoadable, load_task
from broker_sched.tasks.protocol import TaskLike, logged_name
from broker_sched.worker.executors.rq.capture import Capture
from broker_sched.worker.executors.rq.job_heartbeat import JobHeartbeat, lead_own_group
from broker_sched.worker.executors.rq.messages import call_to_text, options_from_fields, result_to_text, tail_to_text
from broker_sched.worker.executors.rq.process_guard import ProcessGuard
from broker_sched.worker.executors.rq.run_records import Begin, RunRecords
from broker_sched.worker.executors.task_process import SchedulerCall
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.run_task import execute
from broker_sched.worker.started_programs import StartedPrograms
from broker_sched.worker.status_reporter import StatusReporter

log = logging.getLogger("bsched.rq")
LEAVE_RESULT_SECONDS = 3600.0  # how long the result is held while Redis can't be reached
LONGEST_WAIT_SECONDS = 10.0


def run_task(
    *, namespace: str, task_id: str, module: str, family: str, params: dict[str, Any], options: dict[str, Any]
) -> str:
    """Run the task, unless another job is its run by now. Returns its status, or what else happened, for RQ's users.

    namespace: the scheduler's. module, family, params: of the task, as load_task wants them. options: of RunOptions.
    Never raises for the task's sake: the result says what became of it.
    """
    job = get_current_job()
    assert job is not None, "this is for rq workers to call"
    run_records = RunRecords(job.connection, namespace)
    begin = run_records.begin_run(task_id, job.id, socket.gethostname(), os.getpid(), job.worker_name or "")
    if begin is Begin.NOTHING:
        return "not run: this job is not the task's run any more, or has begun before"
    logging.getLogger("bsched").setLevel(logging.INFO)
    log_lines.choose(log_lines.chosen_in_environment())
    is_work_horse = os.environ.get("RQ_JOB_ID") == job.id
    kill_after = options_from_fields(options).kill_after_seconds
    guardian: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if is_work_horse:
        lead_own_group()
        guardian = ProcessGuard(run_records, task_id, job.id, kill_after)
    with guardian, Capture(task_id, options_from_fields(options).traceparent) as capture, _noticed_timeout() as alarm:
        try:
            with JobHeartbeat(run_records, task_id, job.id, capture, is_work_horse):
                result = _result(run_records, job.id, begin, task_id, (module, family, params), options)
                if alarm.is_fatal(result):
                    alarm.programs.end_programs(kill_after)
        except JobTimeoutException as error:  # while the task was being loaded
            result = RunResult(task_id, "FAILED", json.dumps(str(error)))
            alarm.programs.end_programs(kill_after)
        is_timed_out = alarm.is_fatal(result)
        _leave(run_records, task_id, job.id, result, is_timed_out, tail_to_text(capture.final_tail()))
        tracing.flush()  # a work-horse ends without what atexit does
    return result.status


def _result(
    run_records: RunRecords,
    job_id: str,
    begin: Begin,
    task_id: str,
    source: tuple[str, str, dict[str, Any]],
    options: dict[str, Any],
) -> RunResult:
    run_options = options_from_fields(options)
    try:
        task = load_task(*source, task_id)
    except TaskNotLoadable as error:
        if isinstance(error.__cause__, JobTimeoutException):  # the module is there, but took too long
            raise error.__cause__ from None
        return _not_loaded(task_id, str(error))
    if begin is Begin.RUN_UNLESS_COMPLETE and _is_complete(task):
        log.info("%s was done by the run before, and is complete.", logged_name(task))
        return RunResult(task_id, "DONE")
    result = execute(task, run_options, _reporter(run_records, job_id, task, run_options.worker_id))
    signal.alarm(0)  # the task is through: what is left is to say so
    return result


def _is_complete(task: TaskLike) -> bool:
    try:
        return bool(task.complete())
    except Exception as error:  # then it is run, and fails with that if it must
        log.warning("Whether %s is complete can't be said: %s", logged_name(task), error)
        return False


def _not_loaded(task_id: str, why: str) -> RunResult:
    where = f"on {socket.gethostname()} (rq worker {os.environ.get('RQ_WORKER_ID', 'in its own process')})"
    text = f"{task_id} can't be loaded {where}: {why} The module must be on that rq worker's PYTHONPATH."
    log.error("%s", text)
    return RunResult(task_id, "FAILED", json.dumps(text), is_unloadable=True)


def _reporter(run_records: RunRecords, job_id: str, task: TaskLike, worker_id: str) -> StatusReporter:
    def tell(method: str, arguments: dict[str, Any]) -> None:
        try:
            run_records.leave_call(task.task_id, job_id, call_to_text(SchedulerCall(method, arguments)))
        except redis.RedisError as error:  # an outage is no failure of the task
            log.warning("RQ's Redis can't be reached; lost what the task said by %s: %s", method, error)

    return StatusReporter(tell, task.task_id, worker_id, bool(task.accepts_messages), task)


def _leave(
    run_records: RunRecords, task_id: str, job_id: str, result: RunResult, is_timed_out: bool, tail: str
) -> None:
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(redis.RedisError),
        stop=tenacity.stop_after_delay(LEAVE_RESULT_SECONDS),
        wait=tenacity.wait_exponential(max=LONGEST_WAIT_SECONDS),
        reraise=True,
    )
    retrying(run_records.leave_result, task_id, job_id, result_to_text(result), result.status, is_timed_out, tail)


class _TimeoutAlarm:
    """Whether RQ's alarm rang, and what the task had started by then."""

    def __init__(self) -> None:
        self.programs = StartedPrograms()
        self.has_rung = False

    def is_fatal(self, result: RunResult) -> bool:
        """Whether the run has ended because of it: the exception that it raises may be caught."""
        return self.has_rung and result.status == "FAILED"


@contextlib.contextmanager
def _noticed_timeout() -> Iterator[_TimeoutAlarm]:
    """RQ's alarm raises an exception in the task, which becomes one failure like others; this notices that it rang."""
    alarm = _TimeoutAlarm()
    raises: Any = signal.getsignal(signal.SIGALRM)  # Any: a handler of RQ's, or none
    if not callable(raises) or threading.current_thread() is not threading.main_thread():
        yield alarm
        return

    def ring(number: int, frame: Any) -> None:
        alarm.has_rung = True
        alarm.programs.note_programs()
        raises(number, frame)

    signal.signal(signal.SIGALRM, ring)
    try:
        yield alarm
    finally:
        signal.signal(signal.SIGALRM, raises)

"""`JobExecutor`: a worker that is given it has its tasks run as jobs of an engine, and supervises them."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.contract.types import MAX_TASKS
from broker_sched.errors import BrokerSchedError, ConfigurationError, LoginRefused, Superseded, Unreachable
from broker_sched.tasks.protocol import TaskLike, logged_name
from broker_sched.worker.executors.engine import Engine, JobEnd
from broker_sched.worker.executors.job_run import JobRun
from broker_sched.worker.executors.jobs import OTHER_SCHEDULER, Returned
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.run_task import RunOptions
from broker_sched.worker.summary import SUPERSEDED
from broker_sched.worker.task_description import described
from broker_sched.worker.wakeup_socket import WakeupSocket

T = TypeVar("T", "JobRun", "JobEnd")
log = logging.getLogger("bsched.worker")
ROUND_SECONDS = 1.0  # between two looks at what is to be submitted, withdrawn or stopped, and at the machines
LISTEN_SECONDS = 0.5  # for ends of jobs; what ends is heard at once
ASK_SECONDS = 2.0  # between two questions who runs the tasks now: jobs may be lost with their machines
END_SECONDS = 5.0  # a job whose run has ended for the scheduler ends by itself; after so long it is taken for lost
ASKED_SECONDS = 60.0  # the same where its task is PENDING: it may be about to return what it wants besides
MOST_KNOWN = 1000  # ids of complete tasks that go with a job: they only spare questions
MOST_CHARACTERS = 180  # of a job's id
NOT_IN_JOB_IDS = re.compile(r"[^A-Za-z0-9_-]+")
RUNNING = ("RUNNING", "BATCH_RUNNING")
ENDED = ("DONE", "FAILED", "DISABLED")  # what a run may have ended with; its task may have any other status by now


class JobExecutor:
    """Enters and leaves around the worker's own context:

        scheduler = Scheduler("redis://host")
        with JobExecutor(RqEngine("redis://host", "bsched"), scheduler) as executor:
            with Worker(scheduler, executor=executor, assistant=True, keep_alive=True) as worker:
                worker.run()

    engine: runs the jobs. scheduler: the worker's; the jobs reach it by its URL, and log in with what their own
    environment says. follows_engine: run as many tasks at once as the engine has room for, else as many as the worker
    was told. kill_after_seconds: how long a job may take to end when the worker leaves.

    Raises ConfigurationError for a scheduler that no other machine can reach; what the engine's connect() raises.
    """

    is_elsewhere = True

    def __init__(
        self, engine: Engine, scheduler: SchedulerAPI, follows_engine: bool = True, kill_after_seconds: float = 10.0
    ) -> None:
        self.runs_on = engine.runs_on
        self._machines = f"What runs {engine.runs_on}s"  # in messages
        self._engine = engine
        self._scheduler = scheduler
        self._place = place_of(scheduler)
        self._follows_engine = follows_engine
        self._kill_after_seconds = kill_after_seconds
        self._wakeup_socket = WakeupSocket()
        self._unseen: set[JobRun] = set()
        self._capacity = 0
        self._name = uuid.uuid4().hex[:4]  # jobs of an earlier supervisor of the same id may still run
        # → job id: a job's worker has its slot's name, so that there are not ever more
        self._slots: dict[int, str] = {}
        self._runs: dict[str, JobRun] = {}  # by job id: those that have started, and not ended
        self._ends: dict[str, JobEnd] = {}  # by job id: those that were heard of, and not dealt with
        self._heard: queue.SimpleQueue[JobRun | JobEnd | None] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._outages: set[str] = set()  # what can't be reached now, and that was said
        self._failures: dict[tuple[str, str], str] = {}  # (step, job id) → how it has failed, and that was said
        self._threads = [
            threading.Thread(target=work, name=f"jobs-{work.__name__.strip('_')}", daemon=True)
            for work in (self._serve, self._listen)
        ]

    def __enter__(self) -> JobExecutor:
        self._engine.connect()
        try:
            self._capacity = self._engine.capacity()
        except BaseException:
            self._engine.close()
            raise
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Jobs that have taken over their runs go on; the others will find that these are not theirs."""
        self._is_over.set()
        self._heard.put(None)
        for thread in self._threads:
            thread.join(LISTEN_SECONDS + ROUND_SECONDS)
        self._engine.close()
        self._wakeup_socket.close()

    def capacity(self, processes: int) -> float:
        """Return how many tasks may run at once: as many as the engine has room for, or the worker's own number."""
        return self._capacity if self._follows_engine else processes

    def run_of(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> JobRun:
        """Make a run that is yet to be submitted. Raises TypeError for parameters that JSON can't hold."""
        known = options.known_complete
        spec = {
            **self._place,
            "task_id": task.task_id,
            "module": task.task_module,
            "family": task.task_family,
            "params": task.to_str_params(),
            "from": options.worker_id,
            "timeout": timeout_seconds,
            "traceparent": options.traceparent,
            "known": None if known is None else sorted(known) if len(known) <= MOST_KNOWN else [],
            "options": {
                "check_unfulfilled_deps": options.check_unfulfilled_deps,
                "check_complete_on_run": options.check_complete_on_run,
                "task_process_context": options.task_process_context,
                "kill_after": options.kill_after_seconds,
            },
        }
        job_id = f"{NOT_IN_JOB_IDS.sub('_', task.task_id)[:MOST_CHARACTERS]}-{uuid.uuid4().hex[:10]}"
        spec = json.loads(json.dumps(spec))
        told = (self._heard.put, self._wakeup_socket, self._unseen)
        return JobRun(task, job_id, spec, self._kill_after_seconds, *told)

    def end_idle(self) -> None:
        """Nothing waits for tasks here but the engine's machines, which are not this worker's."""

    # The threads

    def _listen(self) -> None:
        while not self._is_over.is_set():
            try:
                for end in self._engine.wait_for_ends(LISTEN_SECONDS):
                    self._heard.put(end)
            except Unreachable:  # the other thread says so
                self._is_over.wait(ROUND_SECONDS)
            except Exception:  # a bug must not leave all runs without anybody
                self._log_bug()

    def _serve(self) -> None:
        next_round = next_question = time.monotonic()
        while not self._is_over.is_set():
            self._take_news(max(0.0, next_round - time.monotonic()))
            now = time.monotonic()
            is_round, is_question = now >= next_round, now >= next_question
            with self._held_out("The scheduler"):
                self._do_each(self._deal_with, list(self._ends.values()))
                self._stop_begun([run for run in self._runs.values() if run.stop_at is not None])
                if is_question:
                    self._look_for_lost(now)
                    next_question = now + ASK_SECONDS
            with self._held_out(self._machines):
                self._do_each(self._submit_or_withdraw, list(self._runs.values()))
                if is_round:
                    self._capacity, next_round = self._engine.capacity(), now + ROUND_SECONDS

    def _take_news(self, seconds: float) -> None:
        with contextlib.suppress(queue.Empty):
            heard = self._heard.get(timeout=seconds)
            while True:
                if isinstance(heard, JobEnd):
                    self._ends[heard.job_id] = heard
                elif heard is not None and heard.result is None:
                    self._runs[heard.job_id] = heard
                heard = self._heard.get_nowait()

    @contextlib.contextmanager
    def _held_out(self, what: str) -> Iterator[None]:
        try:
            yield
            if what in self._outages:
                self._outages.discard(what)
                log.info("%s can be reached again.", what)
        except BrokerSchedError as error:
            if what not in self._outages:
                log.warning("%s can't be used; what runs goes on: %s", what, error)
            self._outages.add(what)
            self._is_over.wait(ROUND_SECONDS)
        except Exception:  # as above
            self._log_bug()

    def _do_each(self, step: Callable[[T], object], what: Sequence[T]) -> None:
        """Do a step with each, also after one that fails. Raises Unreachable and LoginRefused, which would hit all.

        One that fails is tried again each time; how it fails is said once.
        """
        for each in what:
            failing = (step.__name__, each.job_id)
            try:
                step(each)
                self._failures.pop(failing, None)
            except (Unreachable, LoginRefused):
                raise
            except Exception as error:
                level = logging.DEBUG if self._failures.get(failing) == repr(error) else logging.ERROR
                self._failures[failing] = repr(error)
                log.log(level, "The executor can't deal with %s; it goes on with others.", each.job_id, exc_info=True)

    def _log_bug(self) -> None:
        if not self._is_over.wait(ROUND_SECONDS):  # else the engine may have been closed meanwhile
            log.exception("The executor failed; it goes on.")

    # Jobs

    def _submit_or_withdraw(self, run: JobRun) -> None:
        """Have the engine carry the job of a run, or take it back where the run has ended, or is to end."""
        if run.result is not None:  # it does not count any more
            self._withdraw(run)
            self._forget(run)
        elif run.stop_at is not None and not run.is_asked_to_end:
            if not run.may_be_submitted or self._withdraw(run):
                self._forget(run)
                run.conclude_unbegun("was ended before it began")
        elif not run.is_submitted:
            slot = next(number for number in range(1, len(self._slots) + 2) if number not in self._slots)
            slot = next((number for number, job_id in self._slots.items() if job_id == run.job_id), slot)
            self._slots[slot] = run.job_id
            run.spec["worker"] = f"{run.spec['from']}/{self._name}-{slot}"
            run.may_be_submitted = True
            self._engine.submit(run.job_id, run.spec)
            run.is_submitted = True
            log.info("%s is job %s", logged_name(run.task), run.job_id)

    def _withdraw(self, run: JobRun) -> bool:
        """Have the engine take the job of a run back. Return whether it never begins."""
        is_withdrawn = run.may_be_submitted and self._engine.withdraw(run.job_id)
        if is_withdrawn:
            self._free_slot(run.job_id)
        return is_withdrawn

    def _forget(self, run: JobRun) -> None:
        self._runs.pop(run.job_id, None)

    def _free_slot(self, job_id: str) -> None:
        for slot in [slot for slot, holder in self._slots.items() if holder == job_id]:
            del self._slots[slot]

    def _deal_with(self, end: JobEnd) -> None:
        """Conclude the run of a job that has ended, unless it may live, and let others have its slot."""
        run = self._runs.get(end.job_id)
        if run is not None and end.returned is not None:
            self._conclude_returned(run, end.returned)
            self._forget(run)
        elif run is not None:
            self._conclude_dead(run, end)
        del self._ends[end.job_id]
        if not end.may_live or end.job_id not in self._runs:  # then its worker runs nothing, as the scheduler says
            self._free_slot(end.job_id)

    def _conclude_returned(self, run: JobRun, told: dict[str, Any]) -> None:
        """Conclude the run of a job that has returned; one that says it did not begin, by who runs its task."""
        returned = returned_from(told)
        if returned.result is None and returned.status in ("", SUPERSEDED):
            _, runner = self._standings([run]).get(run.job_id, ("", None))
            if runner is not None and runner == run.spec["worker"]:  # it was handed over, and the job never heard so
                task_id = run.task.task_id
                with contextlib.suppress(Superseded):
                    self._scheduler.release_task(task_id, run.spec["worker"], attempt=run.spec["attempt"])
                log.warning("Gave %s back, which its job has not begun: it %s.", task_id, returned.why)
                returned = Returned("PENDING")
            elif returned.status and runner == run.spec["from"] and not run.is_superseded:
                returned = Returned("", why=returned.why or OTHER_SCHEDULER, is_hosts_fault=True)
        conclude_returned(run, returned)

    def _conclude_dead(self, run: JobRun, end: JobEnd) -> None:
        """Conclude the run of a job that did not return, by who runs its task; one that may go on is left to it."""
        status, runner = self._standings([run]).get(run.job_id, ("", None))
        if runner == run.spec["from"]:
            self._forget(run)
            conclude_unbegun(run, end.why, is_hosts_fault=end.is_hosts_fault)
        elif runner != run.spec["worker"]:
            self._forget(run)
            run.conclude(RunResult(run.task.task_id, "FAILED"), status if status in ENDED else SUPERSEDED)
        elif end.may_live:
            log.warning("%s %s. It goes on while its job is heard of.", run.task.task_id, end.why)
            run.is_lost = True
        else:
            log.error("%s %s.", run.task.task_id, end.why)
            expl = json.dumps(f"{run.task.task_id} {end.why}.")
            self._report_failed(run, expl)
            self._forget(run)
            run.conclude(RunResult(run.task.task_id, "FAILED", expl), "FAILED")

    def _report_failed(self, run: JobRun, expl: str) -> None:
        """Report that the job's worker has failed the task, since it can't any more."""
        worker, attempt = run.spec["worker"], run.spec["attempt"]
        with contextlib.suppress(Superseded):  # it had reported the end, or somebody else has
            try:
                told = described(run.task, "FAILED", runnable=None, expl=expl, assistant=True, attempt=attempt)
                self._scheduler.add_task(worker=worker, **told)
            except (Superseded, Unreachable, LoginRefused):
                raise
            except Exception as error:  # a property of the task fails, or says what the scheduler refuses
                log.warning("%s is reported without its properties: %r", run.task.task_id, error)
                self._scheduler.add_task(
                    worker=worker, task_id=run.task.task_id, status="FAILED", runnable=None, expl=expl, attempt=attempt
                )

    def _stop_begun(self, runs: Sequence[JobRun]) -> None:
        """Have the workers of these jobs end them, once they have taken the runs over; one that never does is concluded
        here."""
        left = [run for run in runs if run.result is None and not run.is_asked_to_end]
        standings = self._standings(left)
        for run in left:
            _, runner = standings.get(run.job_id, ("", None))
            if runner == run.spec["from"] and time.monotonic() > (run.stop_at or 0.0) + self._kill_after_seconds:
                self._forget(run)
                self._free_slot(run.job_id)
                run.conclude_unbegun("was ended before it began")
            elif runner is not None and runner == run.spec.get("worker"):
                by = "release" if run.ending is None else run.ending.by  # also when the worker leaves
                self._scheduler.stop_task(run.task.task_id, disable=by == "disable", release=by == "release")
                run.is_asked_to_end = True

    def _look_for_lost(self, now: float) -> None:
        """Conclude the runs whose tasks nobody runs any more, and whose jobs have not returned: they are lost."""
        is_heard = self._machines not in self._outages  # else what a job has returned isn't, or that it was lost
        runs = {run for run in self._runs.values() if (run.is_submitted if is_heard else run.is_lost)}
        standings = self._standings(list(runs))
        for run in list(self._runs.values()):
            status, runner = standings.get(run.job_id, ("", None))
            if run not in runs or runner in (run.spec["from"], run.spec["worker"]):
                run.missed_since = None
                continue
            run.missed_since = run.missed_since or now
            if now > run.missed_since + (ASKED_SECONDS if status == "PENDING" else END_SECONDS):
                log.warning("%s: its job has not returned, and the scheduler takes its run for over.", run.job_id)
                with contextlib.suppress(Unreachable):
                    self._withdraw(run)
                self._forget(run)
                self._free_slot(run.job_id)
                run.conclude(RunResult(run.task.task_id, "FAILED"), status if status in ENDED else SUPERSEDED)

    def _standings(self, runs: Sequence[JobRun]) -> dict[str, tuple[str, str | None]]:
        """Return job id → status of the task, and who runs it now. Tasks that the scheduler has forgotten are left
        out."""
        found: dict[str, tuple[str, str | None]] = {}
        for begin in range(0, len(runs), MAX_TASKS):
            asked = {run.task.task_id: run.job_id for run in runs[begin : begin + MAX_TASKS]}
            for task_id, told in self._scheduler.task_statuses(list(asked)).items():
                is_running = told["status"] in RUNNING
                found[asked[task_id]] = (told["status"], told["worker_running"] if is_running else None)
        return found


def returned_from(told: dict[str, Any]) -> Returned:
    """Return what a job has returned; where that can't be read, that it is its machine's fault."""
    try:
        return Returned.from_json(told)
    except (TypeError, KeyError, ValueError) as error:
        why = f"left a result that can't be read here ({error}): is broker-sched another version there?"
        return Returned("", why=why, is_hosts_fault=True)


def conclude_returned(run: JobRun, returned: Returned) -> None:
    """Conclude a run by what its job has returned."""
    task_id = run.task.task_id
    if returned.status:
        run.conclude(returned.result or RunResult(task_id, "FAILED"), returned.status)
    elif returned.is_unloadable and run.ending is None:
        run.conclude(RunResult(task_id, "FAILED", json.dumps(f"{task_id} {returned.why}."), is_unloadable=True))
    elif returned.is_timed_out:
        run.conclude_unbegun(returned.why, "timeout")
    else:
        conclude_unbegun(run, returned.why, is_hosts_fault=returned.is_hosts_fault)


def conclude_unbegun(run: JobRun, why: str, *, is_hosts_fault: bool) -> None:
    """Conclude a run that its job has not taken over. is_hosts_fault: then it is no failure of the task."""
    if is_hosts_fault and run.ending is None:
        expl = json.dumps(f"{run.task.task_id} {why}.")
        run.conclude(RunResult(run.task.task_id, "FAILED", expl, is_refused=True))
    else:
        run.conclude_unbegun(why)


def place_of(scheduler: Any) -> dict[str, str | None]:
    """Return what the spec of a job says of its scheduler: URL without a secret, None for what the job's environment
    says, and namespace, None for a server's.

    Raises ConfigurationError for a scheduler that no other machine can reach.
    """
    url = getattr(scheduler, "url", None)
    if isinstance(url, str):
        return {"scheduler": url, "namespace": None}
    namespace = getattr(scheduler, "namespace", None)
    redis_url = getattr(scheduler, "redis_url", None)
    if redis_url is not None and redis_url.startswith(("local:", "memory:")):
        raise ConfigurationError(
            f"Jobs can't reach the scheduler's Redis, {redis_url}: it is this machine's own. Give one that others "
            "reach, redis://host, or the URL of a server."
        )
    return {"scheduler": redis_url, "namespace": None if namespace is None else namespace.name}

"""`Worker`: schedules tasks, asks for work, runs it. Source of its behaviour: luigi.worker.Worker, 3.8.1."""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import random
import socket
import time
from typing import Any

from broker_sched import interrupts
from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.log_lines import with_fields
from broker_sched.mails.settings import MailSettings
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker import identity
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.executors.own_process import OwnProcess
from broker_sched.worker.executors.protocol import Executor, TaskProcesses
from broker_sched.worker.failure_mails import FailureMails
from broker_sched.worker.heartbeat import Heartbeat
from broker_sched.worker.keep_alive import KeepAlive
from broker_sched.worker.module_trial import ModuleTrial
from broker_sched.worker.retrying_scheduler import RetryingScheduler, scheduler_of
from broker_sched.worker.run_reports import RunReports
from broker_sched.worker.run_result import RunResult
from broker_sched.worker.run_starter import RunStarter
from broker_sched.worker.run_task import RunOptions, read
from broker_sched.worker.running_tasks import RunningTasks
from broker_sched.worker.scheduler_thread import SchedulerThread
from broker_sched.worker.shutdown import Shutdown
from broker_sched.worker.summary import ExecutionSummary, summarize
from broker_sched.worker.task_loader import TaskLoader
from broker_sched.worker.task_registration import TaskRegistration
from broker_sched.worker.wakeup_socket import WakeupSocket
from broker_sched.worker.work_source import Work, WorkSource
from broker_sched.worker.work_waiter import WorkWaiter
from broker_sched.worker.worker_start import WorkerStart

log = logging.getLogger("bsched.worker")

NAP_SECONDS = 0.2  # a worker without its scheduler looks so often what its task processes do
MOST_WANTED = 100  # tasks that one question asks for
MAX_REST_SECONDS = 10.0  # then a worker that can be woken asks all the same: it may have no reason to stay
ASKING = ("get_work", "count_pending", "add_worker", "task_statuses", "dep_graph")  # not when the worker is to leave
MESSAGES = ("set_worker_processes", "dispatch_scheduler_message", "stop_task", "stop_asking", "drain")  # understood


class Worker:
    """Schedules tasks with a scheduler, and runs what the scheduler hands out.

        with Worker(scheduler=Scheduler(), worker_processes=4) as worker:
            worker.add(MyTask(date=today))
            worker.run()

    scheduler: a `Scheduler`, a `RemoteScheduler` or a like, or the URL of a server or a Redis; None: the one of
        BSCHED_REDIS, else, in a program that imports luigi, of [core] in luigi.cfg, else `Scheduler()`.
    worker_id: None for one made of host, user and pid.
    worker_processes: so many tasks at once; several run each in a process of its own. 0: only watch what others do.
    assistant: also run what other workers scheduled.
    executor: where tasks run; None: in processes here.
    mails: how mails about failures are sent, and to whom; None: as luigi's configuration and the environment say.
    config: WorkerConfig's options; in a program that imports luigi those not given are taken from luigi's [worker].

    The heartbeat goes on from entering the context to leaving it; outside of one, while run() runs.
    """

    def __init__(
        self,
        scheduler: SchedulerAPI | str | None = None,
        worker_id: str | None = None,
        worker_processes: int = 1,
        assistant: bool = False,
        executor: Executor | None = None,
        mails: MailSettings | None = None,
        **config: Any,
    ) -> None:
        self._config = WorkerConfig.beside_luigi(config)
        self.worker_processes = int(worker_processes)
        self._running = RunningTasks()
        patience, waits = self._config.patience, (self._hold_out, self._is_pointless)
        self._calls = SchedulerThread(self._watch, self._is_pointless)
        more = (self._running.supersede, self._calls.begin)
        self._scheduler = RetryingScheduler(scheduler_of(scheduler), patience, *waits, *more)
        info = identity.worker_info(self.worker_processes)
        self.id = worker_id or self._config.id or identity.worker_id(info)
        self._worker_start = WorkerStart(self._scheduler, self.id, info, self._config, *waits)
        self.host = socket.gethostname()
        self._assistant = assistant
        self._who = dict(worker=self.id, host=self.host, assistant=assistant, start_id=self._worker_start.start_id)
        self._context = multiprocessing.get_context(self._config.start_method)
        self._executor = executor or TaskProcesses(self._context, self._config)
        self._mails = FailureMails.of(mails, self.id, self._config, scheduler)
        self._registration = TaskRegistration(self._scheduler, self.id, self._config, self._context, self._mails)
        trial = ModuleTrial(self._context, self._config, self._wait, lambda: self.is_stopping)
        loader = TaskLoader(self._scheduler, self.id, self._registration, self._config, trial)
        self._work_source = WorkSource(self._scheduler, self.id, self._registration, loader)
        self._reports = RunReports(self._registration, self._work_source, assistant)
        parts = (self._executor, self._running, self._registration, self._work_source, self._reports)
        self._starter = RunStarter(*parts, lambda: self._wait(self._config.wait_interval))
        self._work_waiter = WorkWaiter(self._scheduler.scheduler, self.id, assistant)
        self._shutdown = Shutdown(self._work_waiter.wake_worker)
        self._own = OwnProcess(self._scheduler, self.id, self._config)
        self._memory = lambda: {**self._running.memory(), **self._own.memory()}
        self.runs = 0
        self._keep_alive = KeepAlive(self._config, assistant)
        self._heartbeat: Heartbeat | None = None

    def add(self, task: TaskLike, multiprocess: bool = False, processes: int = 0) -> bool:
        """Schedule a task and all it needs, as far as not complete. Returns whether all of it could be scheduled.

        multiprocess: ask several complete() at once, in `processes` processes (0: one for each processor).
        Raises TaskTypeError for what is no task, before anything is scheduled; what the scheduler raises.
        """
        succeeded = self._registration.add(task, multiprocess, processes)
        self._registration.roots.append(task.task_id)
        return succeeded

    def run(self) -> bool:
        """Run until there is nothing left to do for this worker. Returns whether all that ran here ended well.

        While the scheduler can't be reached, what runs goes on, and the scheduler is asked again, for `patience`
        seconds; then raises what it raised last. Ctrl-C raises KeyboardInterrupt; leaving the context then
        ends the task processes and gives their tasks back, and a second Ctrl-C kills them.
        """
        log.info("Running worker %s with %d processes", self.id, self.worker_processes)
        self._reports.succeeded, self._work_source.loader.failures = True, 0
        self._scheduler.is_retrying = True
        self._calls.start_watching()
        interrupts.expect_another()
        try:
            with contextlib.nullcontext() if self._heartbeat else self:
                self._introduce()
                self._loop()
                self._running.wait_for_leaving()
                self._pass_on()
                self._reports.succeeded &= self._registration.look_back()
                self._mails.await_sending(self.is_stopping)
        finally:
            self._scheduler.is_retrying = False
            self._calls.stop_watching()
            interrupts.raise_due()
        self._reports.succeeded &= not self._work_source.loader.failures
        return self.run_succeeded

    def _loop(self) -> None:
        while True:
            self._shutdown.carry_out_requests(self._running)
            if self._heartbeat is not None:
                self._heartbeat.check_name()
            if self._may_be_forgotten():
                self._announce_again()
            if self._free_slots() < 1 and (len(self._running) or not self.is_stopping):
                self._work_source.release_handed(self._reports)  # there were more free slots when it was asked for
                self._wait(self._config.wait_interval, self._work_waiter)
                self._work_waiter.clear_wakeup()
                continue
            work = self._next_work()
            if work.is_disabled:
                self.stop_asking()
            if work.task_id is not None:
                self._start(work.task_id)
            elif work.is_unusable:
                continue
            elif len(self._running):
                self._rest(0.0)
            elif self._may_be_forgotten() and not self.is_stopping:
                continue
            elif self.is_stopping or not self._keep_alive.should_stay(work):
                return
            else:
                self._rest(random.uniform(0, self._config.wait_jitter))

    def _free_slots(self) -> float:
        return self._executor.capacity(self.worker_processes) - len(self._running)

    def _next_work(self) -> Work:
        """Return the next task that was handed out, or the news that there is none, for which the scheduler is asked.

        Reports that wait go along with the question.
        """
        if self.is_stopping:
            self._work_source.release_handed(self._reports)
            self._work_source.send_reports(self._reports)
            return Work(None)
        if self.worker_processes == 0:
            return self._work_source.work_from_reply(self._scheduler.call("count_pending", worker=self.id))
        wanted, running = max(1, self._startable(0)), self._running.task_ids()
        work = self._work_source.next_work(self._reports, wanted, running, self._who)
        if self.is_stopping and self._work_source.puts_back(work, self._running):  # while it was asked for
            return Work(None, is_unusable=True)
        if work.task_id is not None:
            self._ask_ahead(work.task_id)
        return work

    def _ask_ahead(self, task_id: str) -> None:
        """Let the scheduler find work for what has ended meanwhile, while this task and others are started.

        Nothing is called here that may keep the task from its start.
        """
        self._running.clean_up_ended(self._reports.waiting_ids())
        self._running.wait_for_news(0.0)
        if self._running.have_only_done():
            self._note_finished()
            wanted = self._startable(1 + len(self._work_source.handed_out()))
            if wanted > 0 and not self.is_stopping:
                self._work_source.ask_ahead(self._reports, wanted, [*self._running.task_ids(), task_id], self._who)

    def _startable(self, already: int) -> int:
        """How many tasks may be started now besides so many that are about to be."""
        left = math.inf if self._config.max_tasks is None else self._config.max_tasks - self.runs
        return int(min(self._free_slots() - already, left - already, MOST_WANTED))

    def _start(self, task_id: str) -> None:
        task = self._registration.tasks.task_of(task_id)
        if task_id in self._running:
            self._starter.resume_run(task)
            self._wait(self._config.wait_interval)
            return
        self._keep_alive.note_busy()
        self.runs += 1
        if len(self._running) + 1 >= self._executor.capacity(self.worker_processes):
            self._work_waiter.end_waiting()
        config = self._config
        options = RunOptions.of(self.id, config, self._registration.known, self._work_source.traceparent_of(task))
        timeout = read(task, "worker_timeout", config.timeout)
        if isinstance(timeout, RunResult):
            self._reports.note_result(task, timeout)
        elif timeout or self.worker_processes > 1 or config.force_multiprocessing or self._executor.is_elsewhere:
            self._starter.start_run(task, options, timeout or 0.0)
        else:
            self._reports.note_result(task, self._own.run_task(task, options, self._work_source.attempt_of(task)))
        if config.max_tasks is not None and self.runs >= config.max_tasks:
            self.stop_asking()

    def _wait(self, seconds: float, *also: Any) -> None:
        """Wait until a run has news, for so many seconds at the most; pass on what it asks for, or report its end."""
        if len(self._running):
            self._keep_alive.note_busy()
        self._shutdown.carry_out_requests(self._running)
        self._running.clean_up_ended(self._reports.waiting_ids())
        self._running.wait_for_news(min(seconds, self._shutdown.seconds_left()), *also)
        self._pass_on()
        self._note_finished()

    def _note_finished(self) -> None:
        while (process := self._running.take_finished()) is not None:
            with with_fields(task_id=process.task.task_id):
                self._reports.note_run(process)

    def _pass_on(self) -> None:
        while self._running.scheduler_calls:
            call = self._running.scheduler_calls.popleft()
            self._scheduler.pass_on(call.method, call.arguments)

    def _rest(self, jitter: float) -> None:
        """Wait until a run has news or there may be work, where the scheduler wakes workers; else for the interval."""
        self._work_waiter.clear_wakeup()
        if self.is_stopping:
            self._wait(self._config.wait_interval, self._work_waiter)
            return
        can_be_woken = self.worker_processes > 0 and self._work_waiter.begin_waiting()
        longest = MAX_REST_SECONDS if can_be_woken else self._config.wait_interval + jitter
        until = time.monotonic() + min(longest, self._keep_alive.seconds_left())
        runs = len(self._running)
        while (left := until - time.monotonic()) > 0 and len(self._running) == runs and not self.is_stopping:
            self._wait(left, self._work_waiter)
            if self._work_waiter.clear_wakeup():
                if self._heartbeat is not None:
                    self._heartbeat.ping_now()
                return

    def _introduce(self) -> None:
        allowed = list(self._config.allow_modules)
        more: list[tuple[str, Any]] = [("assistant", True), ("allow_modules", allowed)] if self._assistant else []
        self._worker_start.announce_worker([("first_task", next(iter(self._registration.roots), None)), *more])

    def _may_be_forgotten(self) -> bool:
        """Whether there was silence so long that the scheduler may have dropped this worker, and its stake in tasks."""
        return self._heartbeat is not None and self._heartbeat.was_silent()

    def _announce_again(self) -> None:
        """Report what runs here as RUNNING, so that nobody else runs it; then schedule the rest anew."""
        log.warning(
            "The scheduler was silent for long, and may have forgotten this worker: telling it everything again."
        )
        self._introduce()
        self._work_source.send_reports(self._reports)
        running, are_jobs = self._running.attempts(), self._executor.is_elsewhere
        self._registration.announce_again(running, are_jobs, self._assistant, self.is_stopping, self._running.supersede)
        if self._heartbeat is not None:
            self._heartbeat.note_answer()

    def _is_pointless(self, method: str) -> bool:
        """Told to leave, a worker needs no more work; what has become of tasks it reports as long as it may."""
        return self._shutdown.is_out_of_time or (self.is_stopping and method in ASKING and not len(self._running))

    def _watch(self, answered: WakeupSocket) -> None:
        """Look after the runs until the scheduler has answered a call."""
        self._shutdown.carry_out_requests(self._running)
        seconds = min(NAP_SECONDS, self._shutdown.seconds_left())
        self._running.wait_for_news(seconds, answered, though_some_are_done=True)

    def _hold_out(self, seconds: float, method: str) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._is_pointless(method):
            self._shutdown.carry_out_requests(self._running)
            self._running.wait_for_news(min(left, NAP_SECONDS), though_some_are_done=True)

    def _handle_message(self, message: dict[str, Any]) -> None:
        name = message["name"]
        if name not in MESSAGES:
            log.error("The scheduler sent the message %r, which this worker does not know.", name)
            return
        getattr(self, name)(**message["kwargs"])

    def set_worker_processes(self, n: int) -> None:
        """Run so many tasks at once from now on, at least one. A message of the scheduler may ask for it."""
        self.worker_processes = max(1, int(n))
        self._scheduler.scheduler.add_worker(worker=self.id, info={"workers": self.worker_processes})

    def dispatch_scheduler_message(self, task_id: str, message_id: str, content: Any, **payload: Any) -> None:
        """Hand a message to the running task that it is for; without one, it is lost."""
        process = self._running.find_run(task_id)
        is_received = self._own.receive_message(task_id, message_id, content, payload)
        if not is_received and process is not None and process.task.accepts_messages:
            process.send_message(message_id, content, payload)

    def stop_task(self, task_id: str, disable: bool = False, release: bool = False) -> None:
        """End a running task: it is FAILED then, DISABLED, or given back. A message of the scheduler asks for it."""
        self._shutdown.stop_task(task_id, disable, release)

    def stop_asking(self) -> None:
        """Take no more work; run() returns when what runs has ended. SIGUSR1 does it, too."""
        self._shutdown.stop_asking()

    def drain(self, seconds: float) -> None:
        """Take no more work, let what runs finish for so long, then end it and give it back. The shortest time counts.

        May be called by a signal handler.
        """
        self._shutdown.drain(seconds)

    @property
    def is_stopping(self) -> bool:
        """Whether the worker takes no more work."""
        return self._shutdown.is_stopping

    @interrupts.whole
    def __enter__(self) -> Worker:
        scheduler = self._scheduler.scheduler
        if not self._config.no_install_shutdown_handler:
            self._shutdown.take_signals()
        interrupts.expect_another()
        start, callbacks = self._worker_start, (self._handle_message, self._work_waiter.wake_worker, self._memory)
        self._heartbeat = Heartbeat(scheduler, self.id, self._config, *callbacks, start.start_id, start.has_name)
        try:
            self._heartbeat.start_pinging()
            interrupts.raise_due()
        except BaseException:
            self.__exit__()
            raise
        return self

    @interrupts.whole
    def __exit__(self, *exception: object) -> None:
        """Stop the task processes that are left after an error, and the heartbeat; tasks are given back."""
        heartbeat, self._heartbeat = self._heartbeat, None
        with contextlib.ExitStack() as last:  # the last one first, and each of them whatever becomes of the others
            last.callback(interrupts.raise_due)
            last.callback(self._shutdown.give_signals_back)
            last.callback(self._mails.await_sending, self.is_stopping or bool(exception and exception[0]))
            if heartbeat is not None:
                last.callback(self._give_back, heartbeat)
                last.callback(heartbeat.stop_pinging)
                last.callback(lambda: self._work_waiter.stop_thread(heartbeat.is_heard()))
            last.callback(self._executor.end_idle)
            last.callback(self._running.stop_all)

    @interrupts.open_in_whole
    def _give_back(self, heartbeat: Heartbeat) -> None:
        self._work_source.give_back_or_warn(heartbeat.is_heard(), self._pass_on, self._reports)

    @property
    def run_succeeded(self) -> bool:
        """Whether all that ran in the last run() ended well."""
        return self._reports.succeeded

    @property
    def add_succeeded(self) -> bool:
        """Whether all that the last add() found could be scheduled."""
        return self._registration.succeeded

    @property
    def not_given_back(self) -> tuple[str, ...]:
        """Ids of the tasks that were handed out here and have not ended, as far as the scheduler was not told so."""
        return self._work_source.unreported

    def counts(self) -> dict[str, int]:
        """Return how many tasks are scheduled, done, running (here) and failed. May be asked from any thread."""
        return self._registration.counts(running=len(self._running) + self._own.is_busy)

    def summary(self) -> ExecutionSummary:
        """What became of all that was scheduled, for people and for exit codes."""
        return summarize(self._registration.history(tuple(self._work_source.responses), self.run_succeeded))

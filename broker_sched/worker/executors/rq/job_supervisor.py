"""Supervises runs as RQ jobs, in threads of its own, so that the worker's loop never waits for RQ's Redis."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Collection

import redis
from rq.utils import as_text

from broker_sched.tasks.protocol import logged_name
from broker_sched.worker.executors.rq.failure_reasons import explain, explain_silence
from broker_sched.worker.executors.rq.fleet import Fleet
from broker_sched.worker.executors.rq.jobs import ENDED, Jobs, State
from broker_sched.worker.executors.rq.messages import call_from_text, job_id_of, tail_from_text
from broker_sched.worker.executors.rq.run import Ended, RqRun
from broker_sched.worker.executors.rq.run_records import RunRecords, Taken
from broker_sched.worker.executors.rq.supervised_run import SupervisedRun, last_lines, last_word
from broker_sched.worker.executors.task_process import SchedulerCall
from broker_sched.worker.wakeup_socket import WakeupSocket

log = logging.getLogger("bsched.worker")
ROUND_SECONDS = 1.0  # between two looks at all jobs and at the fleet; what is told is heard at once
LISTEN_SECONDS = 2.0  # for one wake-up; less than any client's timeout
LOST_SECONDS = 15.0  # of silence; five beats of a job's heartbeat


class JobSupervisor:
    """Enqueues, watches and stops the RQ jobs of a worker's runs.

    supervisor: a name of its own, which no other process has. lost_seconds: a job of which nothing was heard for so
    long is given up, unless its rq worker has it.
    """

    def __init__(
        self,
        run_records: RunRecords,
        jobs: Jobs,
        fleet: Fleet,
        namespace: str,
        supervisor: str,
        wakeup_socket: WakeupSocket,
        lost_seconds: float,
    ) -> None:
        self._run_records = run_records
        self._jobs = jobs
        self._fleet = fleet
        self._namespace = namespace
        self._supervisor = supervisor
        self._wakeup_socket = wakeup_socket
        self._lost_seconds = lost_seconds
        self._supervised: list[SupervisedRun] = []
        self._calls: queue.SimpleQueue[RqRun | str | None] = queue.SimpleQueue()  # a run, a job's id, None: the end
        self._is_over = threading.Event()
        self._is_cut_off = False
        self._threads = [
            threading.Thread(target=work, name=f"rq-{work.__name__.strip('_')}", daemon=True)
            for work in (self._serve, self._listen)
        ]

    def start_threads(self) -> None:
        """Start the thread that does the work, and the one that waits for news of the jobs."""
        for thread in self._threads:
            thread.start()

    def stop_threads(self) -> None:
        """End the threads, and forget the results that were reported. Jobs that still run go on."""
        self._is_over.set()
        self._calls.put(None)
        with contextlib.suppress(redis.RedisError):  # then listening ends by itself soon
            self._run_records.client.rpush(self._run_records.wake_key(self._supervisor), "")
        for thread in self._threads:
            thread.join(LISTEN_SECONDS + ROUND_SECONDS)
        with contextlib.suppress(redis.RedisError):
            self._called(0.0)
            for each in list(self._supervised):
                self._forget_reported(each)
            self._run_records.client.delete(self._run_records.wake_key(self._supervisor))

    def supervise(self, run: RqRun) -> None:
        """Have a run looked at soon: to enqueue it, or to stop it. Any thread may call it."""
        self._calls.put(run)

    # Listening

    def _listen(self) -> None:
        while not self._is_over.is_set():
            try:
                heard = self._run_records.client.blpop([self._run_records.wake_key(self._supervisor)], LISTEN_SECONDS)
            except redis.RedisError:  # the rounds say so
                self._is_over.wait(ROUND_SECONDS)
                continue
            if heard is not None:
                self._calls.put(as_text(heard[1]))

    # Serving

    def _serve(self) -> None:
        next_round = time.monotonic()
        while not self._is_over.is_set():
            called = self._called(max(0.0, next_round - time.monotonic()))
            is_round = time.monotonic() >= next_round
            try:
                self._carry_out(
                    [each for each in self._supervised if is_round or each.run in called or each.id in called]
                )
                if is_round:
                    self._fleet.count_workers()
                    next_round = time.monotonic() + ROUND_SECONDS
                self._is_cut_off = False
            except redis.RedisError as error:
                self._note_cut_off(error)
            except Exception:  # a bug must not leave all runs without anybody
                log.exception("The RQ executor failed; it goes on.")
                self._is_over.wait(ROUND_SECONDS)

    def _called(self, seconds: float) -> set[RqRun | str | None]:
        called: set[RqRun | str | None] = set()
        try:
            called.add(self._calls.get(timeout=seconds))
            while True:
                called.add(self._calls.get_nowait())
        except queue.Empty:
            pass
        known = {each.run for each in self._supervised}
        new = [each for each in called if isinstance(each, RqRun) and each not in known and each.result is None]
        self._supervised += [SupervisedRun(run) for run in new]
        return called

    def _note_cut_off(self, error: redis.RedisError) -> None:
        if not self._is_cut_off:
            log.warning("RQ's Redis can't be reached; what runs goes on: %s", error)
        self._is_cut_off = True
        self._is_over.wait(ROUND_SECONDS)
        for each in self._supervised:  # their silence says nothing now
            each.heard_at = time.monotonic()

    def _carry_out(self, supervised: Collection[SupervisedRun]) -> None:
        for each in supervised:
            if each.is_concluded:
                self._forget_reported(each)
            elif not each.is_enqueued:
                self._enqueue(each)
            elif each.run.is_to_stop or each.is_overdue:
                self._stop(each)
        asked = [each for each in supervised if each.is_enqueued and not each.is_concluded and each in self._supervised]
        if not asked:
            return
        with self._run_records.client.pipeline(transaction=False) as pipeline:
            for each in asked:  # RQ's state first: a job that has ended by then has left its result before
                self._jobs.queue_state(each.id, pipeline)
                self._run_records.queue_take(each.run.task.task_id, each.id, self._supervisor, pipeline)
            replies = pipeline.execute()
        for each, state, taken in zip(asked, replies[::2], replies[1::2]):
            self._judge(each, self._jobs.state_from_reply(state), self._run_records.taken_from_reply(taken))

    def _enqueue(self, each: SupervisedRun) -> None:
        run = each.run
        if run.is_to_stop:
            self._conclude(each, Ended(None, "was ended before it began"))
            return
        each.id = each.id or job_id_of(self._namespace, run.task.task_id)
        current, has_begun = self._run_records.register_run(run.task.task_id, each.id, self._supervisor)
        each.is_adopted |= current != each.id
        each.id = current
        if not has_begun:  # also of another supervisor's, which may have died in between
            self._jobs.enqueue_job(each.id, run.arguments, run.timeout_seconds)
        each.is_enqueued, each.heard_at, each.sign = True, time.monotonic(), ("", "")
        log.info(
            "%s is RQ job %s%s", logged_name(run.task), each.id, ", begun for another worker" if each.is_adopted else ""
        )

    def _enqueue_anew(self, each: SupervisedRun, why: str) -> None:
        if self._revoke(each):
            log.warning("%s gets another RQ job, since %s %s.", logged_name(each.run.task), each.id, why)
            each.id, each.is_enqueued, each.is_adopted = "", False, False
            self._enqueue(each)

    def _stop(self, each: SupervisedRun) -> None:
        """Ask the job to stop; again in each round, since an answer of Redis that gets lost takes the request with it.

        RQ's own command is never sent: the rq worker that hears it between two work-horses kills its own process group.
        """
        if self._revoke(each, only_unbegun=True):
            self._jobs.withdraw_job(each.id)
            self._conclude(each, Ended(None, "was ended before it began"))
            return
        self._run_records.request_stop(each.run.task.task_id, each.id, self._supervisor)

    def _revoke(self, each: SupervisedRun, only_unbegun: bool = False) -> bool:
        return self._run_records.revoke_run(each.run.task.task_id, each.id, self._supervisor, only_unbegun)

    # Judging

    def _judge(self, each: SupervisedRun, state: State, taken: Taken) -> None:
        fields = taken.fields
        if not fields and each.last_word is not None:  # it was taken out, and only Redis' answer was lost
            self._conclude(each, each.last_word)
            return
        if fields.get("supervisor") != self._supervisor:
            who = fields.get("supervisor", "nobody, what was noted of its RQ job is gone")
            self._conclude(each, Ended(None, f"belongs to {who}", is_taken_over=True))
            return
        self._pass_on(each, taken)
        if "result" in fields:
            each.is_concluded = True
            self._say(each, last_word(fields, each.tail))
        elif state.status in ENDED:
            self._judge_ended(each, state, fields)
        else:
            each.is_adopted = False
            self._judge_living(each, state, taken)

    def _pass_on(self, each: SupervisedRun, taken: Taken) -> None:
        calls = [call_from_text(call) for call in taken.calls]
        tail = taken.fields.get("tail", "")
        if tail:
            each.tail = tail
            calls.append(
                SchedulerCall("set_task_log", {"task_id": each.run.task.task_id, **tail_from_text(tail)._asdict()})
            )
        each.run.heard.extend(calls)
        if calls:
            self._wakeup_socket.wake()

    def _judge_ended(self, each: SupervisedRun, state: State, fields: dict[str, str]) -> None:
        """Decide about a job that RQ has seen ending, and that has left no result."""
        if each.is_adopted:
            self._enqueue_anew(each, "ended while nobody watched")
            return
        trace = self._jobs.failure_trace(each.id)
        rq_worker = fields.get("rq_worker") or state.rq_worker or "unknown"
        place = f"{fields.get('host') or self._fleet.host_of(rq_worker)} (rq worker {rq_worker})"
        is_timed_out = each.is_overdue or "JobTimeoutException" in trace
        why = explain(state.status, trace, place)
        self._settle(each, Ended(None, why, last_lines(each.tail), is_timed_out))

    def _judge_living(self, each: SupervisedRun, state: State, taken: Taken) -> None:
        run, fields, now = each.run, taken.fields, time.monotonic()
        sign = (fields.get("begun_at", ""), fields.get("beat", ""))
        if sign != each.sign:
            each.sign, each.heard_at = sign, now
        if run.timeout_seconds and taken.age_seconds > run.timeout_seconds + run.kill_after_seconds + ROUND_SECONDS:
            each.is_overdue = True
        silence = now - each.heard_at
        if silence < self._lost_seconds:
            return
        if "begun_at" in fields:
            if not self._fleet.has_job(fields["rq_worker"], each.id):
                self._settle(each, Ended(None, explain_silence(fields, silence), last_lines(each.tail)))
        elif self._is_forgotten(each, state):
            self._enqueue_anew(each, "was taken by an rq worker that died with it")
        else:
            each.heard_at = now

    def _is_forgotten(self, each: SupervisedRun, state: State) -> bool:
        """Whether it has left the queue, and no rq worker has it."""
        if state.status == "started":
            return not self._fleet.has_job(state.rq_worker, each.id)
        return not self._jobs.is_waiting(each.id)

    def _settle(self, each: SupervisedRun, ended: Ended) -> None:
        """Conclude a run without a result, once it is sure that none will come."""
        each.last_word = ended
        if self._revoke(each):
            self._conclude(each, ended)

    def _conclude(self, each: SupervisedRun, ended: Ended) -> None:
        self._supervised.remove(each)
        self._say(each, ended)

    def _say(self, each: SupervisedRun, ended: Ended) -> None:
        each.run.heard.append(ended)
        self._wakeup_socket.wake()

    def _forget_reported(self, each: SupervisedRun) -> None:
        if each.run.is_reported and each.is_concluded:
            self._revoke(each)
            self._supervised.remove(each)

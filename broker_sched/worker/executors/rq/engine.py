"""`RqEngine`: has jobs run by the rq workers of a queue. Of RQ it uses public calls, and the names of its keys."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar, cast

import redis
from rq import Queue, Worker
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys

from broker_sched.errors import EngineUnavailable
from broker_sched.redis_backend.urls import describe
from broker_sched.worker.executors.engine import JobEnd
from broker_sched.worker.executors.rq.connection import client_for
from broker_sched.worker.executors.rq.failure_reasons import ABANDONED, explain

log = logging.getLogger("bsched.worker")
F = TypeVar("F", bound=Callable[..., Any])
RUN_JOB = "broker_sched.worker.executors.rq.job.run_job"
RESULT_SECONDS = 600  # how long RQ keeps what has ended, for people
FAILURE_SECONDS = 24 * 3600
LOOK_SECONDS = 5.0  # between two looks for jobs that were deleted, or whose rq workers are gone: nothing tells of them
REMOVED = "has no RQ job any more: it was deleted, possibly by `rq empty`, before it was through"
CANCELED = "was canceled through RQ, by someone else than this worker"
RESULTS = Result.get_key("")  # type: ignore[no-untyped-call]  # in RQ: what the keys of results begin with
UNREAD = "0"  # of a stream of results: all of it


def _translated(method: F) -> F:
    """Have an engine's method raise EngineUnavailable for what its Redis raises."""

    @functools.wraps(method)
    def call(engine: RqEngine, *arguments: Any) -> Any:
        try:
            return method(engine, *arguments)
        except redis.RedisError as error:
            raise EngineUnavailable(f"RQ's Redis {engine.name} can't be used: {error}") from None

    return cast(F, call)


class RqEngine:
    """Runs jobs on the rq workers that listen to a queue.

    url: RQ's Redis. queue: the name of RQ's queue. look_seconds: between two looks for jobs that are lost.
    Raises ConfigurationError for a URL that RQ can't use.
    """

    runs_on = "rq worker"

    def __init__(self, url: str, queue: str = "bsched", look_seconds: float = LOOK_SECONDS) -> None:
        self.name = describe(url)
        self._client: Any = client_for(url)  # Any: redis-py's replies may be awaitable
        self._queue = Queue(queue, connection=self._client, serializer=JSONSerializer)
        self._jobs: dict[str, str | bytes] = {}  # ids of those whose end is waited for → what was read of its results
        self._suspects: dict[str, int] = {}  # job id → how often it has looked lost, in a row
        self._size = -1  # how many rq workers there were
        self._look_seconds = look_seconds
        self._next_look = 0.0
        self._news = f"rq:bsched:{uuid.uuid4().hex}"  # a stream: a job was submitted
        self._last_news = UNREAD

    @_translated
    def connect(self) -> None:
        """Raises EngineUnavailable when Redis does not answer."""
        get_keys(self._queue)

    @_translated
    def capacity(self) -> int:
        """Return how many rq workers listen to the queue now, and log a change of their number."""
        prefix = Worker.redis_worker_namespace_prefix
        names = [key.removeprefix(prefix) for key in get_keys(self._queue)]
        size = len(self._present(names))
        if size != self._size and size:
            log.info("%d rq workers listen to the queue %s.", size, self._queue.name)
        elif size != self._size:
            hint = "Start some: rq worker --serializer json --url …"
            log.warning("No rq worker listens to the queue %s. %s %s", self._queue.name, hint, self._queue.name)
        self._size = size
        return size

    @_translated
    def submit(self, job_id: str, spec: dict[str, Any]) -> None:
        """Enqueue a job, unless there is one of this id: so it may be repeated after a lost reply."""
        job = self._queue.create_job(
            RUN_JOB,
            args=(spec,),
            job_id=job_id,
            description=spec["task_id"],
            timeout=-1,
            result_ttl=RESULT_SECONDS,
            failure_ttl=FAILURE_SECONDS,
        )
        self._jobs.setdefault(job_id, UNREAD)  # before: the reply may be lost
        with contextlib.suppress(DuplicateJobError):
            self._queue.enqueue_job(job, unique=True)
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xadd(self._news, {"job": job_id}, maxlen=1)
            pipeline.expire(self._news, RESULT_SECONDS)
            pipeline.execute()

    @_translated
    def withdraw(self, job_id: str) -> bool:
        """Take a job out of the queue. One that an rq worker has just taken is left to it."""
        if not self._client.lrem(self._queue.key, 1, job_id):
            return False
        self._jobs.pop(job_id, None)
        with contextlib.suppress(NoSuchJobError):
            Job.fetch(job_id, self._client, JSONSerializer).delete()
        return True

    @_translated
    def wait_for_ends(self, seconds: float) -> list[JobEnd]:
        """Wait for results of the jobs; now and then, look for those of which no result will come."""
        deadline = time.monotonic() + seconds
        ends: list[JobEnd] = []
        while not ends and (left := deadline - time.monotonic()) > 0:
            streams = {RESULTS + job_id: read for job_id, read in list(self._jobs.items())}
            asked = {self._news: self._last_news, **streams}
            for key, entries in self._client.xread(asked, block=max(1, int(1000 * left))) or ():
                if key.decode() == self._news:
                    self._last_news = entries[-1][0]
                elif (job_id := key.decode().removeprefix(RESULTS)) in self._jobs:
                    ends.append(self._end_of(job_id, *entries[-1]))
                    self._jobs[job_id] = entries[-1][0]  # one that may live may leave another
            if time.monotonic() >= self._next_look:
                ends += self._lost()
                self._next_look = time.monotonic() + self._look_seconds
        for end in ends:
            if not end.may_live:
                self._jobs.pop(end.job_id, None)
        return ends

    def close(self) -> None:
        """Close the connections to Redis. Jobs go on."""
        self._client.close()

    def _end_of(self, job_id: str, entry_id: bytes, payload: Any) -> JobEnd:
        result = Result.restore(job_id, entry_id.decode(), payload, self._client, JSONSerializer)
        if result.type == Result.Type.SUCCESSFUL and isinstance(result.return_value, dict):
            return JobEnd(job_id, result.return_value)
        why, is_hosts_fault = explain(result.exc_string or "", self._place(result.worker_name))
        # RQ supposes that of a job whose rq worker is gone: the work-horse may go on alone.
        may_live = ABANDONED in (result.exc_string or "")
        return JobEnd(job_id, None, why, is_hosts_fault, may_live)

    def _lost(self) -> list[JobEnd]:
        """Return, once each, the jobs that were deleted or canceled, and those that an rq worker took and seems to be
        gone with. All of them may run all the same."""
        ends, job_ids = [], list(self._jobs)
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.lrange(self._queue.intermediate_queue_key, 0, -1)
            for job_id in job_ids:
                pipeline.hmget(Job.key_for(job_id), "status", "worker_name")
            taken, *found = pipeline.execute()
        standings = {job_id: [(word or b"").decode() for word in told] for job_id, told in zip(job_ids, found)}
        present = self._present([rq_worker for status, rq_worker in standings.values() if status == "started"])
        suspects = {}
        for job_id, (status, rq_worker) in standings.items():
            is_removed = status in ("", "canceled")
            if is_removed or job_id.encode() in taken or (status == "started" and rq_worker not in present):
                suspects[job_id] = self._suspects.get(job_id, 0) + 1
                if suspects[job_id] == 2 and is_removed:  # the first time it may be about to be enqueued, or taken
                    ends.append(JobEnd(job_id, None, CANCELED if status else REMOVED, may_live=True))
                elif suspects[job_id] == 2:
                    lost = f"was lost: {self._place(rq_worker)} is gone"
                    ends.append(JobEnd(job_id, None, lost, True, may_live=True))
                elif suspects[job_id] > 2 and is_removed:  # nothing more will be heard of it
                    self._jobs.pop(job_id, None)
        self._suspects = suspects
        return [end for end in ends if end.job_id in self._jobs]

    def _place(self, rq_worker: str) -> str:
        """Return host and name of an rq worker, as far as RQ still knows it."""
        host = self._client.hget(Worker.redis_worker_namespace_prefix + rq_worker, "hostname")
        return f"{(host or b'an unknown host').decode()} (rq worker {rq_worker or 'unknown'})"

    def _present(self, names: list[str]) -> set[str]:
        """Return those of these rq workers that are connected.

        Each listens for commands on a channel of its own, as long as it lives; its key outlives it by minutes. Where
        the user may not ask about channels, the keys must do.
        """
        if not names:
            return set()
        with contextlib.suppress(redis.ResponseError):
            asked = self._client.pubsub_numsub(*(PUBSUB_CHANNEL_TEMPLATE % name for name in names))
            return {name for name, (_, listeners) in zip(names, asked) if listeners}
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.exists(Worker.redis_worker_namespace_prefix + name)
            return {name for name, is_there in zip(names, pipeline.execute()) if is_there}

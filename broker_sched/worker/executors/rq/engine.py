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
from rq import Queue
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
from broker_sched.worker.executors.rq.lost_jobs import LostJobs, RqWorkers

log = logging.getLogger("bsched.worker")
F = TypeVar("F", bound=Callable[..., Any])
RUN_JOB = "broker_sched.worker.executors.rq.job.run_job"
RESULT_SECONDS = 600  # how long RQ keeps what has ended, for people
FAILURE_SECONDS = 24 * 3600
LOOK_SECONDS = 5.0  # between two looks for jobs that were deleted, or whose rq workers are gone: nothing tells of them
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
        self._workers = RqWorkers(self._client)
        self._lost = LostJobs(self._client, self._queue, self._workers)
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
        size = len(self._workers.connected(get_keys(self._queue)))
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
                ends += self._lost.look(self._jobs)
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
        why, is_hosts_fault = explain(result.exc_string or "", self._workers.place_of(result.worker_name))
        # RQ supposes that of a job whose rq worker is gone: the work-horse may go on alone.
        may_live = ABANDONED in (result.exc_string or "")
        return JobEnd(job_id, None, why, is_hosts_fault, may_live)

"""RQ's own jobs: enqueued, looked at, and taken out of the queue."""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import redis
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

FUNCTION = "broker_sched.worker.executors.rq.job.run_task"
RESULT_SECONDS = 600  # how long RQ keeps what has ended, for people
FAILURE_SECONDS = 24 * 3600
ENDED = ("finished", "failed", "stopped", "canceled", "")  # states; "": there is no such job


class State(NamedTuple):
    """What RQ says of a job.

    status: RQ's name of it, "" when there is no such job. rq_worker: who has it, or had it last.
    """

    status: str
    rq_worker: str


class Jobs:
    """The RQ jobs of one queue, by their ids. Each method raises RedisError when RQ's Redis can't be reached."""

    def __init__(self, client: redis.Redis, queue_name: str) -> None:
        self.queue = Queue(queue_name, connection=client, serializer=JSONSerializer)
        self._client = client

    def enqueue_job(self, job_id: str, arguments: dict[str, Any], timeout_seconds: float) -> None:
        """Enqueue a job, unless there is one of this id: so it may be repeated after a lost reply.

        arguments: of job.run_task. timeout_seconds: RQ's own timeout, rounded up; 0 for none.
        """
        job = self.queue.create_job(
            FUNCTION,
            kwargs=arguments,
            job_id=job_id,
            timeout=math.ceil(timeout_seconds) or -1,
            result_ttl=RESULT_SECONDS,
            failure_ttl=FAILURE_SECONDS,
            description=arguments["task_id"],
        )
        with contextlib.suppress(DuplicateJobError):
            self.queue.enqueue_job(job, unique=True)

    def queue_state(self, job_id: str, pipeline: Any) -> None:
        """Put the question for a job's state into a pipeline; state_from_reply() reads the reply."""
        pipeline.hmget(Job.key_for(job_id), "status", "worker_name")

    @staticmethod
    def state_from_reply(reply: list[bytes | None]) -> State:
        """Make a State of the reply to what queue_state() asked."""
        return State(*((each or b"").decode() for each in reply))

    def is_waiting(self, job_id: str) -> bool:
        """Return whether the job is in the queue. O(length of the queue), in Redis."""
        return self._client.lpos(self.queue.key, job_id) is not None

    def failure_trace(self, job_id: str) -> str:
        """Return the stack trace that RQ noted when the job failed; "" where it noted none."""
        with contextlib.suppress(NoSuchJobError):
            result = Job.fetch(job_id, self._client, JSONSerializer).latest_result()
            return (result and result.exc_string) or ""
        return ""

    def withdraw_job(self, job_id: str) -> None:
        """Take the job out of the queue. One that an rq worker has just taken is left to it."""
        if self._client.lrem(self.queue.key, 1, job_id):
            with contextlib.suppress(NoSuchJobError):
                Job.fetch(job_id, self._client, JSONSerializer).delete()

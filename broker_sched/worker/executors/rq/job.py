"""What an `rq worker` calls. Where rq workers import it before, each job begins sooner."""

from __future__ import annotations

from typing import Any

import redis
import tenacity
from rq import get_current_job

from broker_sched.worker.executors import jobs

AWAY_SECONDS = 3600.0  # how long RQ's Redis is waited for when the task is through
LONGEST_WAIT_SECONDS = 5.0  # between two looks


def run_job(spec: dict[str, Any]) -> dict[str, Any]:
    """Do what run_job() of jobs.py does, and let messages name the rq worker.

    Returns when RQ's Redis is there: without it, RQ can't note the job's end, and its rq worker may end with it.
    """
    job = get_current_job()
    assert job is not None, "this is for rq workers to call"
    returned = jobs.run_job(spec, place=f" (rq worker {job.worker_name})")
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((redis.ConnectionError, redis.TimeoutError)),
        stop=tenacity.stop_after_delay(AWAY_SECONDS),
        wait=tenacity.wait_exponential(max=LONGEST_WAIT_SECONDS),
        reraise=True,
    )
    retrying(job.connection.exists, job.key)
    return returned

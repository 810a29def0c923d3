"""Finds the jobs of which no result will tell: deleted, canceled, or taken by an rq worker that is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, MutableMapping
from typing import Any

import redis
from rq import Queue, Worker
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.job import Job

from broker_sched.worker.executors.engine import JobEnd

REMOVED = "has no RQ job any more: it was deleted, possibly by `rq empty`, before it was through"
CANCELED = "was canceled through RQ, by someone else than this worker"
KEYS = Worker.redis_worker_namespace_prefix


class RqWorkers:
    """The rq workers of a Redis. client: of that Redis."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def connected(self, keys: Iterable[str]) -> set[str]:
        """Return the names of those rq workers that are connected. keys: of rq workers, as RQ lists them.

        Each listens for commands on a channel of its own, as long as it lives; its key outlives it by minutes. Where
        the user may not ask about channels, the keys must do.
        """
        names = [key.removeprefix(KEYS) for key in keys]
        if not names:
            return set()
        with contextlib.suppress(redis.ResponseError):
            asked = self._client.pubsub_numsub(*(PUBSUB_CHANNEL_TEMPLATE % name for name in names))
            return {name for name, (_, listeners) in zip(names, asked) if listeners}
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.exists(KEYS + name)
            return {name for name, is_there in zip(names, pipeline.execute()) if is_there}

    def place_of(self, name: str) -> str:
        """Return host and name of an rq worker, as far as RQ still knows it."""
        host = self._client.hget(KEYS + name, "hostname")
        return f"{(host or b'an unknown host').decode()} (rq worker {name or 'unknown'})"


class LostJobs:
    """Looks now and then for lost jobs. client: of RQ's Redis. queue: of the jobs."""

    def __init__(self, client: Any, queue: Queue, workers: RqWorkers) -> None:
        self._client = client
        self._queue = queue
        self._workers = workers
        self._suspects: dict[str, int] = {}  # job id → how often it has looked lost, in a row

    def look(self, jobs: MutableMapping[str, Any]) -> list[JobEnd]:
        """Return, once each, those of these jobs that are lost. All of them may run all the same.

        jobs: under their ids; one of which nothing more will be heard is taken out.
        """
        ends, job_ids = [], list(jobs)
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.lrange(self._queue.intermediate_queue_key, 0, -1)
            for job_id in job_ids:
                pipeline.hmget(Job.key_for(job_id), "status", "worker_name")
            taken, *found = pipeline.execute()
        standings = {job_id: [(word or b"").decode() for word in told] for job_id, told in zip(job_ids, found)}
        present = self._workers.connected(rq_worker for status, rq_worker in standings.values() if status == "started")
        suspects = {}
        for job_id, (status, rq_worker) in standings.items():
            is_removed = status in ("", "canceled")
            if is_removed or job_id.encode() in taken or (status == "started" and rq_worker not in present):
                suspects[job_id] = self._suspects.get(job_id, 0) + 1
                if suspects[job_id] == 2 and is_removed:  # the first time it may be about to be enqueued, or taken
                    ends.append(JobEnd(job_id, None, CANCELED if status else REMOVED, may_live=True))
                elif suspects[job_id] == 2:
                    lost = f"was lost: {self._workers.place_of(rq_worker)} is gone"
                    ends.append(JobEnd(job_id, None, lost, True, may_live=True))
                elif suspects[job_id] > 2 and is_removed:
                    jobs.pop(job_id, None)
        self._suspects = suspects
        return [end for end in ends if end.job_id in jobs]

"""Knows the rq workers that listen to a queue."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import redis
from rq import Queue, Worker
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.utils import as_text
from rq.worker import WorkerStatus
from rq.worker_registration import get_keys

log = logging.getLogger("bsched.worker")


class Fleet:
    """The rq workers of one queue. size: how many they were when they were counted last."""

    def __init__(self, client: redis.Redis, queue: Queue) -> None:
        self.size = 0
        self._is_missed = False  # and that was said
        self._client = client
        self._queue = queue

    def count_workers(self) -> int:
        """Count the rq workers that are connected now, log a change of their number, and return it.

        Raises RedisError.
        """
        names = [key.removeprefix(Worker.redis_worker_namespace_prefix) for key in get_keys(self._queue)]
        before, self.size = self.size, len(self._present(names)) if names else 0
        if self.size != before:
            log.info("%d rq workers listen to the queue %s.", self.size, self._queue.name)
        if not self.size and not self._is_missed:
            log.warning(
                "No rq worker listens to the queue %s. Start some: rq worker --serializer json --url … %s",
                *(self._queue.name, self._queue.name),
            )
        self._is_missed = not self.size
        return self.size

    def has_job(self, rq_worker: str, job_id: str) -> bool:
        """Return whether this rq worker lives, and says that this job is the one that it has. Raises RedisError."""
        if rq_worker not in self._present([rq_worker]):
            return False
        found = Worker.find_by_key(Worker.redis_worker_namespace_prefix + rq_worker, connection=self._client)
        if found is None or found.get_state() != WorkerStatus.BUSY:
            return False
        # It has one at a time; others are leftovers of work-horses that exited by themselves.
        executions = found.get_current_executions(refresh=True)
        latest = max(executions, key=lambda each: each.created_at, default=None)
        return latest is not None and latest.job_id == job_id

    def host_of(self, rq_worker: str) -> str:
        """Return the name of the rq worker's machine, as far as RQ still knows it. Raises RedisError."""
        host: Any = self._client.hget(Worker.redis_worker_namespace_prefix + rq_worker, "hostname")
        return as_text(host) if host else "an unknown host"

    def _present(self, names: list[str]) -> set[str]:
        """Return those of these rq workers that are connected.

        Each listens for commands on a channel of its own, as long as it lives; its key outlives it by minutes. Where
        the user may not ask about channels, the keys must do.
        """
        with contextlib.suppress(redis.ResponseError):
            asked: Any = self._client.pubsub_numsub(*(PUBSUB_CHANNEL_TEMPLATE % name for name in names))
            return {name for name, (_, listeners) in zip(names, asked) if listeners}
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.exists(Worker.redis_worker_namespace_prefix + name)
            return {name for name, is_there in zip(names, pipeline.execute()) if is_there}

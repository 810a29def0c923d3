"""`RqExecutor`: a worker that is given it has its tasks run by the rq workers of a queue."""

from __future__ import annotations

import json
import os
import socket
import uuid
from types import TracebackType

import redis

from broker_sched.errors import RedisUnavailable
from broker_sched.redis_backend.urls import describe
from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.executors.rq.connection import client_for
from broker_sched.worker.executors.rq.fleet import Fleet
from broker_sched.worker.executors.rq.job_supervisor import LOST_SECONDS, JobSupervisor
from broker_sched.worker.executors.rq.jobs import Jobs
from broker_sched.worker.executors.rq.messages import arguments_of
from broker_sched.worker.executors.rq.run import RqRun
from broker_sched.worker.executors.rq.run_records import RunRecords
from broker_sched.worker.run_task import RunOptions
from broker_sched.worker.wakeup_socket import WakeupSocket


class RqExecutor:
    """Enters and leaves around the worker's own context:

        with RqExecutor("redis://host", "bsched", "default") as executor:
            with Worker(Scheduler("redis://host"), executor=executor, assistant=True, keep_alive=True) as worker:
                worker.run()

    url: RQ's Redis. queue: the name of RQ's queue. namespace: the scheduler's; supervisors of one namespace take over
    from each other. follows_fleet: run as many tasks at once as rq workers listen to the queue, else as many as the
    worker was told. kill_after_seconds: after a timeout that RQ did not enforce; for the end of what is stopped.
    lost_seconds: a job is given up after so long without a sign of its work-horse and of its rq worker.

    Raises ConfigurationError for a URL that can't be used, RedisUnavailable on entering when nobody answers.
    """

    is_elsewhere = True
    runs_on = "rq worker"

    def __init__(
        self,
        url: str,
        queue: str,
        namespace: str,
        follows_fleet: bool = True,
        kill_after_seconds: float = 10.0,
        lost_seconds: float = LOST_SECONDS,
    ) -> None:
        self._name = describe(url)
        self._namespace = namespace
        self._client = client_for(url)
        self._follows_fleet = follows_fleet
        self._kill_after_seconds = kill_after_seconds
        self._wakeup_socket = WakeupSocket()
        self._run_records = RunRecords(self._client, namespace)
        jobs = Jobs(self._client, queue)
        self._fleet = Fleet(self._client, jobs.queue)
        self.supervisor = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        more = (namespace, self.supervisor, self._wakeup_socket, lost_seconds)
        self._job_supervisor = JobSupervisor(self._run_records, jobs, self._fleet, *more)

    def __enter__(self) -> RqExecutor:
        try:
            self._fleet.count_workers()
        except redis.RedisError as error:
            raise RedisUnavailable(f"RQ's Redis {self._name} can't be used: {error}") from None
        self._job_supervisor.start_threads()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Jobs that still run go on, and are adopted by whoever is handed their tasks."""
        self._job_supervisor.stop_threads()
        self._client.close()
        self._wakeup_socket.close()

    def capacity(self, processes: int) -> float:
        """Return how many tasks may run at once: as many as rq workers listen, or the worker's own number."""
        return self._fleet.size if self._follows_fleet else processes

    def run_of(self, task: TaskLike, options: RunOptions, timeout_seconds: float) -> RqRun:
        """Make an RQ job that is yet to be enqueued. Raises TypeError for parameters that JSON can't hold."""
        arguments = arguments_of(task, options, self._namespace)
        more = (timeout_seconds, self._kill_after_seconds, self._job_supervisor.supervise, self._wakeup_socket)
        return RqRun(task, json.loads(json.dumps(arguments)), *more)

    def end_idle(self) -> None:
        """Nothing waits for tasks here but rq's workers, which are not this worker's."""

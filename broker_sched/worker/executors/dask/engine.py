"""`DaskEngine`: has the jobs of a worker run by the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import importlib
import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

from broker_sched.errors import ConfigurationError, EngineUnavailable
from broker_sched.worker.executors.engine import JobEnd

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
RUN_IN_PROCESS = "broker_sched.worker.executors.dask.job_host"  # on a dask worker


class DaskEngine:
    """Runs jobs on the workers of a Dask cluster, as many at once as these have threads.

    address: of the Dask scheduler, as in tcp://host:8786. What Dask's own configuration says (TLS) holds for it.

    Raises ConfigurationError where the package `distributed` is not installed.
    """

    runs_on = "dask worker"

    def __init__(self, address: str) -> None:
        try:
            # By its name: who has no Dask can check our types all the same.
            self._distributed: Any = importlib.import_module("distributed")
        except ImportError as error:
            raise ConfigurationError(
                f"Dask is not installed here ({error}): pip install 'broker-sched[dask]'."
            ) from None
        self._address = address
        self._client: Any = None
        self._futures: dict[str, Any] = {}  # by job id: of those that have not ended, as far as is known
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()  # futures

    def connect(self) -> None:
        """Connect to the Dask scheduler. Raises EngineUnavailable; ConfigurationError for what is no address."""
        client = object.__new__(self._distributed.Client)
        try:
            client.__init__(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            self._close(client)  # its finalizer would do so at any time, even while this thread has the lock for it
            if isinstance(error, OSError):
                raise self._unavailable(error) from None
            raise ConfigurationError(
                f"{self._address!r} is no address of a Dask scheduler, such as tcp://host:8786: {error}"
            ) from None
        self._client = client

    def capacity(self) -> int:
        """Return how many threads the cluster has."""
        with self._connected() as client:
            return sum(client.nthreads(callback_timeout=ANSWER_SECONDS).values())

    def submit(self, job_id: str, spec: dict[str, Any]) -> None:
        """Have the job run. Dask knows it by its id, so that there is one of it only."""
        if job_id in self._futures:
            return
        with self._connected() as client:
            # Text: Dask looks for futures in whatever else it is given.
            future = client.submit(job_function(), json.dumps(spec), key=job_id, pure=False)
            self._futures[job_id] = future
            future.add_done_callback(self._ended.put)

    def withdraw(self, job_id: str) -> bool:
        """Take a job back that waits at the Dask scheduler. One that was given to a dask worker may have begun."""
        with self._connected() as client:
            is_withdrawn = client.run_on_scheduler(release_function(job_id, client.id), callback_timeout=ANSWER_SECONDS)
        if is_withdrawn:
            self._futures.pop(job_id, None)
        return bool(is_withdrawn)

    def wait_for_ends(self, seconds: float) -> list[JobEnd]:
        """Return how jobs have ended, as soon as one has."""
        ends = []
        with contextlib.suppress(queue.Empty):
            future = self._ended.get(timeout=seconds)
            while True:
                if self._futures.pop(future.key, None) is not None:
                    ends.append(self._end_of(future))
                future = self._ended.get_nowait()
        return ends

    def close(self) -> None:
        """Leave the cluster. What has not begun is forgotten there; what runs goes on."""
        self._futures.clear()
        self._close(self._client)

    def _close(self, client: Any) -> None:
        with contextlib.suppress(OSError, self._distributed.TimeoutError, AttributeError):  # what it has not got yet
            client.close(timeout=CONNECT_SECONDS)
        with contextlib.suppress(AttributeError):
            client._loop_runner.stop()  # the thread of one that could not connect, which close() leaves

    def _end_of(self, future: Any) -> JobEnd:
        error: object
        try:
            if future.status in ("cancelled", "lost"):
                raise self._distributed.CancelledError
            told = json.loads(future.result(timeout=ANSWER_SECONDS))
        except self._distributed.CancelledError:
            error = "its Dask scheduler was lost, or somebody cancelled it there"
        except Exception as other:  # its dask worker died too often, or its result can't be had
            error = f"{type(other).__name__}: {other}"
        else:
            return JobEnd(future.key, told["returned"], told["why"], told["is_hosts_fault"])
        return JobEnd(future.key, None, f"was lost by Dask: {error}", is_hosts_fault=True, may_live=True)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """Give the client, a new one where the Dask scheduler was lost: it forgets all that it was given."""
        if self._client.status != "running":
            self._close(self._client)
            for future in list(self._futures.values()):
                self._ended.put(future)
            self.connect()
        try:
            yield self._client
        except (OSError, self._distributed.TimeoutError, self._distributed.CancelledError) as error:
            raise self._unavailable(error) from None

    def _unavailable(self, why: object) -> EngineUnavailable:
        return EngineUnavailable(f"The Dask scheduler at {self._address} can't be reached: {why or 'no answer'}")


# Dask pickles these functions by value, since they are made inside others: so its scheduler, which reads all it is
# given, needs nothing of ours.


def job_function() -> Callable[[str], str]:
    """Return what a dask worker calls with the spec of a job, as JSON. It returns how the job ended, as JSON."""

    def run(spec: str, module: str = RUN_IN_PROCESS) -> str:
        import importlib
        import json
        import socket

        try:
            job_host = importlib.import_module(module)
        except ImportError as error:
            why = f"can't be run on {socket.gethostname()}: {error}. Install broker-sched for its dask workers"
            return json.dumps({"returned": None, "why": why, "is_hosts_fault": True})
        place = f" (dask worker {importlib.import_module('distributed').get_worker().address})"
        told: str = job_host.run_in_process(spec, place)
        return told

    return run


def release_function(job_id: str, client_id: str) -> Callable[[Any], bool]:
    """Return what has a Dask scheduler forget a job, unless a dask worker has it. It returns whether that was done."""

    def release(dask_scheduler: Any) -> bool:
        task = dask_scheduler.tasks.get(job_id)
        if task is None or task.state not in ("queued", "no-worker", "waiting", "released"):
            return False
        dask_scheduler.client_releases_keys([job_id], client_id)
        return True

    return release

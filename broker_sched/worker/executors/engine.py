"""What runs jobs on other machines, as `JobExecutor` needs it: a queue of rq workers, or a cluster of dask workers.

An engine carries jobs, and knows nothing of tasks. It calls `run_job(spec)` of jobs.py once for each job that was
submitted, on one of its machines. The job is a worker of its own there: it takes the run over, reports to the
scheduler, and is stopped by the scheduler. So an engine neither stops a job nor keeps its timeout; it must not run a
job a second time by itself, but where it does, that does nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

RUN_JOB = "broker_sched.worker.executors.jobs.run_job"  # what an engine calls, by its name


class JobEnd(NamedTuple):
    """How a job has ended.

    returned: what run_job() returned; None when it did not return. why: why not, as the rest of a sentence that begins
    with the task's id, and that names the host and says what to do: "died on node-7: its work-horse was killed".
    is_hosts_fault: it did not get to run_job(), and another machine may: where the run was not taken over, the task
    goes back without a failure. may_live: its machine is not heard of, but may run it all the same: where the run was
    taken over, the scheduler decides when to take it for lost.
    """

    job_id: str
    returned: dict[str, Any] | None
    why: str = ""
    is_hosts_fault: bool = False
    may_live: bool = False


class Engine(Protocol):
    """Runs jobs elsewhere. runs_on: what takes one job at a time, for messages: "rq worker", "dask worker".

    Every method may wait for the engine's machines, and raises EngineUnavailable while they can't be reached; the same
    call is made again later. Only the threads of the executor call them: wait_for_ends() one of them, all others
    another one, at the same time.
    """

    runs_on: str

    def connect(self) -> None:
        """Begin. Raises a BrokerSchedError that says what to do, ConfigurationError for what can't be used as given."""

    def capacity(self) -> int:
        """Return how many jobs its machines could run at once now, the running ones included. Asked once a second."""

    def submit(self, job_id: str, spec: dict[str, Any]) -> None:
        """Have `run_job(spec)` called, once. spec: of plain JSON, without any secret.

        Submitted again with the same id, which happens after EngineUnavailable, it changes nothing.
        """

    def withdraw(self, job_id: str) -> bool:
        """Take a job back. Returns True when it has not begun and never will, False when it has, or may have."""

    def wait_for_ends(self, seconds: float) -> list[JobEnd]:
        """Return how jobs have ended, each once, as soon as one has; nothing after so many seconds.

        A job that is lost with its machine, or was removed by somebody, ends when the engine learns of that; one that
        may live may end once more. One that was withdrawn has no end.
        """

    def close(self) -> None:
        """Let go of all connections. Jobs go on."""

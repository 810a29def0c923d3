"""What became of a task's runs: those that have ended, of which the one that made it DONE stands in its own fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from broker_sched.contract.states import Status
from broker_sched.contract.view_replies import RunAttempt
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import SMALL_PACE, read_paced
from broker_sched.scheduler.task_lines import read_attempt

MAX_ATTEMPTS = 20
RUNNING = (Status.RUNNING, Status.BATCH_RUNNING)
FIELDS = ("status", "family", "updated", "time_running", "worker_running", "attempt")


class LatestRun(NamedTuple):
    """Tells what a task's own fields say of its latest run.

    updated: since when it has its status. started, worker, attempt: of the run; None where there was none.
    """

    status: str
    family: str
    updated: float
    started: float | None
    worker: str | None
    attempt: int | None

    @property
    def runs(self) -> bool:
        """Whether there is a run that has not ended."""
        return self.status in RUNNING

    def done_run(self, attempts: Sequence[RunAttempt], host: str | None = None) -> RunAttempt | None:
        """Return the run that made the task DONE; None where none did. attempts: those that ended otherwise."""
        if self.status != Status.DONE or self.attempt is None or self.started is None:
            return None
        if attempts and attempts[-1]["attempt"] == self.attempt:  # it ended otherwise: people have made the task DONE
            return None
        return {
            "attempt": self.attempt,
            "started": self.started,
            "ended": self.updated,
            "outcome": Status.DONE.value,
            "worker": self.worker or "",
            "host": host,
            "error": None,
        }

    def ended_runs(self, attempts: Sequence[RunAttempt], host: str | None = None) -> list[RunAttempt]:
        """Return the last runs that have ended, oldest first: the attempts, and the run that made the task DONE."""
        done = self.done_run(attempts, host)
        return [*attempts, *([done] if done else [])][-MAX_ATTEMPTS:]


class TaskRuns(NamedTuple):
    """Holds a task's latest run, and its last ones that ended otherwise than DONE, oldest first."""

    latest: LatestRun
    attempts: list[RunAttempt]


def read_task_runs(namespace: Namespace, ids: Mapping[str, str], attempts: int) -> Commands[dict[str, TaskRuns]]:
    """Return the runs of these tasks, by number; absent tasks are left out.

    ids: by number. attempts: how many of those that ended otherwise than DONE are read, the last ones.
    """
    replies = yield from read_paced(
        [
            command
            for n, task_id in ids.items()
            for command in (
                ("HMGET", namespace.key("task", task_id), *FIELDS),
                ("LRANGE", namespace.key("attempts", n), str(-attempts), "-1"),
            )
        ],
        SMALL_PACE,
    )
    return {
        n: TaskRuns(latest_run(*fields), [read_attempt(text) for text in texts])
        for n, fields, texts in zip(ids, replies[::2], replies[1::2])
        if fields[0] is not None
    }


def latest_run(
    status: str, family: str | None, updated: str, started: str | None, worker: str | None, attempt: str | None
) -> LatestRun:
    """Return what these fields of a task, as Redis has them, tell of its latest run."""
    return LatestRun(
        status,
        family or "",
        float(updated),
        None if started is None else float(started),
        worker or None,
        int(attempt) if attempt else None,
    )

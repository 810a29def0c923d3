"""An engine for tests of JobExecutor alone: each job is a fork of this process."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Mapping
from typing import Any

from broker_sched.worker.executors.engine import JobEnd
from broker_sched.worker.executors.jobs import run_job

FORK: Any = multiprocessing.get_context("fork")  # Any: Process of a context is untyped


class ForkEngine:
    """Runs `room` jobs at once, in the order in which they are submitted. environment: of the jobs, on top of ours."""

    runs_on = "fork"

    def __init__(self, room: int = 2, environment: Mapping[str, str] = {}) -> None:
        self.room = room
        self.specs: list[dict[str, Any]] = []
        self.processes: dict[str, Any] = {}
        self._environment = environment
        self._waiting: dict[str, dict[str, Any]] = {}
        self._connections: dict[str, Any] = {}

    def connect(self) -> None:
        """Nothing is to be reached."""

    def capacity(self) -> int:
        """So many were asked for."""
        return self.room

    def submit(self, job_id: str, spec: dict[str, Any]) -> None:
        """Keep it for the thread that waits for ends, which forks."""
        self.specs.append(json.loads(json.dumps(spec)))
        self._waiting[job_id] = self.specs[-1]

    def withdraw(self, job_id: str) -> bool:
        """Only what has not begun."""
        return self._waiting.pop(job_id, None) is not None

    def wait_for_ends(self, seconds: float) -> list[JobEnd]:
        """Begin what there is room for, and look which have ended."""
        ends: list[JobEnd] = []
        deadline = time.monotonic() + seconds
        while not ends and time.monotonic() < deadline:
            for job_id, spec in list(self._waiting.items()):
                if len(self._connections) < self.room and self._waiting.pop(job_id, None) is not None:
                    self._begin(job_id, spec)
            for job_id in multiprocessing_ready(self._connections):
                ends.append(self._end(job_id))
        return ends

    def close(self) -> None:
        """Jobs go on."""

    def _begin(self, job_id: str, spec: dict[str, Any]) -> None:
        ours, theirs = FORK.Pipe(duplex=False)
        self.processes[job_id] = FORK.Process(target=_carry_out, args=(spec, theirs, dict(self._environment)))
        self.processes[job_id].start()
        theirs.close()
        self._connections[job_id] = ours

    def _end(self, job_id: str) -> JobEnd:
        with self._connections.pop(job_id) as connection:
            try:
                returned = connection.recv()
                self.processes[job_id].join()
                return JobEnd(job_id, returned)
            except EOFError:
                self.processes[job_id].join()
                return JobEnd(job_id, None, f"died: exit code {self.processes[job_id].exitcode}")


def multiprocessing_ready(connections: Mapping[str, Any]) -> list[str]:
    """Ids of the jobs of which there is news, or whose process has ended."""
    ready = multiprocessing.connection.wait(list(connections.values()), 0.02)
    return [job_id for job_id, each in connections.items() if each in ready]


def _carry_out(spec: dict[str, Any], connection: Any, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    connection.send(json.loads(json.dumps(run_job(spec))))

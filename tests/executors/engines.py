"""An engine for tests of JobExecutor alone: each job is forked from a process with one thread, as Dask's jobs are.

A fork of this process, which has many threads, may inherit a lock that one of them holds, and then hangs for ever.
"""

from __future__ import annotations

import functools
import json
import multiprocessing.connection
import os
import socket
import time
from collections.abc import Mapping
from typing import Any
from unittest import mock

from broker_sched.worker.executors.dask import job_host
from broker_sched.worker.executors.engine import JobEnd


class ForkEngine:
    """Runs `room` jobs at once, in the order in which they are submitted. environment: of the jobs, on top of ours."""

    runs_on = "fork"

    def __init__(self, room: int = 2, environment: Mapping[str, str] = {}) -> None:
        self.room = room
        self.specs: list[dict[str, Any]] = []
        self._host = host_with(tuple(environment.items()))
        self._waiting: dict[str, dict[str, Any]] = {}
        self._connections: dict[str, socket.socket] = {}

    def connect(self) -> None:
        """Nothing is to be reached."""

    def capacity(self) -> int:
        """So many were asked for."""
        return self.room

    def submit(self, job_id: str, spec: dict[str, Any]) -> None:
        """Keep it for the thread that waits for ends, which begins it."""
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
                    self._connections[job_id] = self._host.begin_process()
                    self._connections[job_id].sendall(f"{json.dumps(spec)}\n\n".encode())
            ready = multiprocessing.connection.wait(list(self._connections.values()), 0.02)
            for job_id in [job_id for job_id, each in self._connections.items() if each in ready]:
                ends += self._news_of(job_id)
        return ends

    def close(self) -> None:
        """Jobs go on."""

    def _news_of(self, job_id: str) -> list[JobEnd]:
        """Its first line says that it has begun, the second one how it has ended."""
        line = _line(self._connections[job_id])
        if line == job_host.BEGUN:
            return []
        self._connections.pop(job_id).close()
        if not line:
            return [JobEnd(job_id, None, "died")]
        told = json.loads(line)
        return [JobEnd(job_id, told["returned"], told["why"], told["is_hosts_fault"])]


def _line(connection: socket.socket) -> bytes:
    """The next one; what of it there is when the other side is gone, which leaves none unended."""
    line = b""
    while not line.endswith(b"\n") and (more := connection.recv(1)):
        line += more
    return line


@functools.cache
def host_with(environment: tuple[tuple[str, str], ...]) -> job_host.Host:
    """The process from which jobs with this environment are forked. It ends with this one."""
    with mock.patch.dict(os.environ, dict(environment)):
        return job_host.Host()

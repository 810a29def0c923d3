"""A fleet in trouble: workers, task processes, the server and Redis are killed, the network is cut; all ends DONE."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from broker_sched import Scheduler
from tests.harness import ServerProcess
from tests.nightly import by_night
from tests.programs import Program
from tests.servers import RunningRedis, any_server, free_port, until

LAYERS, WIDTH = 3, by_night(8, 6)
MODULE = f"""
import os, time
from pathlib import Path
from typing import Any
from broker_sched import LocalTarget, Task

class Step(Task):
    layer: int
    number: int

    def requires(self):
        return [Step(layer=self.layer - 1, number=n) for n in range({WIDTH})] if self.layer else []

    def output(self):
        return LocalTarget(f"out-{{self.layer}}-{{self.number}}")

    def run(self):
        lock = Path(f"running-{{self.layer}}-{{self.number}}")
        if lock.exists() and os.path.exists(f"/proc/{{lock.read_text() or 0}}"):
            Path(f"overlap-{{self.layer}}-{{self.number}}").touch()
        lock.write_text(str(os.getpid()))
        time.sleep(0.25)
        with self.output().open("w") as file:
            file.write("done")
        lock.unlink()

class All(Task):
    def requires(self):
        return [Step(layer={LAYERS - 1}, number=n) for n in range({WIDTH})]

    def output(self):
        return LocalTarget("all")

    def run(self):
        with self.output().open("w") as file:
            file.write("done")
"""


class Proxy:
    """Passes TCP on to a port, until it is cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.is_cut = False
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        """Cut it, and wait until nothing passes any more."""
        self.cut()
        _break(self._listener)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def cut(self) -> None:
        """Break what is open, refuse what comes."""
        self.is_cut = True
        for each in self._open:
            _break(each)
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it is closed
                return
            if self.is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            back.start()
            self._start(self._pass_both_ways, client, server, back)

    def _pass_both_ways(self, client: socket.socket, server: socket.socket, back: threading.Thread) -> None:
        with client, server:
            self._pass_on(client, server)
            back.join()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _break(source)
        _break(sink)


def _break(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Fleet:
    """Redis, a server behind a proxy, one run over HTTP, one worker over HTTP and one straight to Redis."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.namespace = f"faults-{uuid.uuid4().hex[:8]}"
        (directory / "steps.py").write_text(MODULE)
        durable = ("--appendonly", "yes", "--appendfsync", "always")
        self.redis = RunningRedis(any_server(), directory / "redis", arguments=durable)
        # Redis, or the network, is away for a second and more: a worker missed meanwhile would be thought dead.
        self.scheduler = Scheduler(self.redis.url, self.namespace, worker_disconnect_delay=10, retry_delay=0.5)
        self.port = free_port()
        self.start_server()
        self.proxy = Proxy(self.port)
        quick = ["--set", "wait_interval=0.1", "--set", "wait_jitter=0"]
        at = ["--scheduler-url", f"http://127.0.0.1:{self.proxy.port}", *quick]
        straight = ["--redis", self.redis.url, "--namespace", self.namespace, *quick]
        self.run = self._start("run", "steps", "All", "--workers", "2", "--set", "keep_alive=true", *at)
        self.workers = [
            self._start("worker", "--processes", "2", "--name", "over-http", *at),
            self._start("worker", "--processes", "2", "--name", "straight", *straight),
        ]

    def start_server(self) -> None:
        where = ("--redis", self.redis.url, "--namespace", self.namespace, "--port", str(self.port))
        self.server = ServerProcess(*where).await_ready()

    def _start(self, *words: str) -> Program:
        with (self.directory / f"{words[0]}-{uuid.uuid4().hex[:4]}.log").open("w") as log:
            return Program(*words, cwd=self.directory, stdout=log, stderr=log)

    def outputs(self) -> int:
        return len(list(self.directory.glob("out-*")))

    def is_done(self) -> bool:
        return (self.directory / "all").exists()

    def stop(self) -> None:
        for process in [self.run, *self.workers]:
            process.kill()
            process.wait()
        self.proxy.close()
        self.server.stop()
        self.redis.kill()


def kill_worker(fleet: Fleet) -> None:
    fleet.workers[0].kill()
    fleet.workers[0].wait()


def kill_task_process(fleet: Fleet) -> None:
    worker = psutil.Process(fleet.workers[1].pid)
    child = until(lambda: worker.children(), "a task process runs")[0]
    child.send_signal(signal.SIGKILL)


def kill_server(fleet: Fleet) -> None:
    fleet.server.process.kill()
    fleet.server.process.wait()
    time.sleep(1.0)
    fleet.start_server()


def kill_redis(fleet: Fleet) -> None:
    fleet.redis.kill()
    time.sleep(1.0)
    fleet.redis.start()


def cut_network(fleet: Fleet) -> None:
    fleet.proxy.cut()
    time.sleep(1.0)
    fleet.proxy.is_cut = False


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.stop()


@pytest.mark.timeout(150)
@pytest.mark.parametrize("fault", [kill_worker, kill_task_process, kill_server, kill_redis, cut_network])
def test_after_a_fault_in_the_middle_everything_ends_done(fleet: Fleet, fault: Callable[[Fleet], None]) -> None:
    until(lambda: fleet.outputs() >= 3, "some tasks are done", 60)
    fault(fleet)
    until(fleet.is_done, "all is done", 90)
    until(lambda: not fleet.scheduler.task_list("RUNNING", ""), "nothing runs any more")
    assert fleet.outputs() == LAYERS * WIDTH
    assert len(fleet.scheduler.task_list("DONE", "")) == LAYERS * WIDTH + 1
    assert list(fleet.directory.glob("overlap-*")) == []
    assert fleet.scheduler.verify() == []

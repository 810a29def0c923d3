"""Fleets of real `rq worker` processes, and supervisors of them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from rq import Queue

from broker_sched import Scheduler, Worker
from broker_sched.worker.executors.job_executor import JobExecutor
from broker_sched.worker.executors.rq.engine import LOOK_SECONDS, RqEngine
from tests.conftest import running
from tests.harness import ROOT
from tests.programs import Program
from tests.redis_users import AS_USERS, make_rq_user
from tests.servers import until

QUICK_JOBS = {"BSCHED_WORKER_PING_INTERVAL": "0.1"}
QUICK = {"wait_interval": 0.05, "wait_jitter": 0.0, "ping_interval": 0.1}
PRELOADED = ("-c", "tests.executors.preload")  # of an rq worker whose runs begin at once


@contextlib.contextmanager
def beside(run: Callable[..., Any], *tasks: Any, **options: Any) -> Iterator[None]:
    """Have a worker run in a thread, which is waited for at the end."""
    thread = threading.Thread(target=run, args=tasks, kwargs=options)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
        assert not thread.is_alive(), "the worker has left"


class RqFleet:
    """Processes on one queue and one namespace."""

    def __init__(
        self, directory: Path, retry_delay: float = 60.0, url: str | None = None, as_user: bool = False
    ) -> None:
        self.directory = directory
        name = uuid.uuid4().hex[:8]
        self.namespace, self.queue = f"rq-{name}", f"queue-{name}"
        schedulers_redis = running("redis8").url
        self.url = url or schedulers_redis
        self.rq_url = make_rq_user(self.url, self.namespace) if AS_USERS or as_user else self.url  # for those at work
        self.scheduler = Scheduler(
            schedulers_redis, self.namespace, retry_delay=retry_delay, worker_disconnect_delay=5.0
        )
        self.client: Any = redis.Redis.from_url(self.url)  # Any: redis-py's replies may be awaitable
        self.processes: list[Program] = []

    def start(self, program: str, *words: str, path: str = str(ROOT), **more: str) -> Program:
        """A Python program with `-m`, in a session of its own, with more in its environment. What it says is in the
        directory's log."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([path, str(ROOT / "cli")]), **QUICK_JOBS, **more}
        with open(self.directory / "log", "a") as said:
            process = Program(*words, program=program, cwd=self.directory, env=environment, stdout=said, stderr=said)
        self.processes.append(process)
        return process

    def rq_worker(self, *more: str, path: str = str(ROOT), **environment: str) -> Program:
        """A stock rq worker."""
        words = ("worker", "--url", self.rq_url, "--serializer", "json", *more, self.queue)
        return self.start("rq.cli", *words, path=path, **environment)

    def supervisor(self, *more: str) -> Program:
        """`bsched worker --executor rq`."""
        where = ("--redis", self.url, "--namespace", self.namespace, "--rq-queue", self.queue)
        if self.rq_url != self.url:
            where += ("--rq-redis", self.rq_url)
        settings = [word for pair in ("wait_interval=0.05", "wait_jitter=0") for word in ("--set", pair)]
        return self.start("bsched.main", "worker", "--executor", "rq", *where, *settings, *more)

    def executor(self, look_seconds: float = LOOK_SECONDS, scheduler: Any = None, **options: Any) -> JobExecutor:
        """One in this process. scheduler: another way to the same one."""
        return JobExecutor(RqEngine(self.rq_url, self.queue, look_seconds), scheduler or self.scheduler, **options)

    def run(self, *tasks: Any, executor_options: Mapping[str, Any] = {}, scheduler: Any = None, **options: Any) -> bool:
        """Schedule and supervise them in this process, to the end."""
        with (
            self.executor(scheduler=scheduler, kill_after_seconds=5.0, **executor_options) as executor,
            Worker(scheduler or self.scheduler, executor=executor, **{**QUICK, **options}) as worker,
        ):
            for task in tasks:
                worker.add(task)
            return worker.run()

    @contextlib.contextmanager
    def while_running(self, *tasks: Any, **options: Any) -> Iterator[None]:
        """The same in a thread. It is waited for at the end."""
        with beside(self.run, *tasks, no_install_shutdown_handler=True, **options):
            yield

    def submit(self, *tasks: Any) -> None:
        """Schedule them for others."""
        with Worker(self.scheduler, **QUICK) as worker:
            for task in tasks:
                worker.add(task)

    def seen(self, task: Any) -> dict[str, Any]:
        """The scheduler's view of it; empty before it is scheduled."""
        return dict(self.scheduler.task_list(limit=False).get(task.task_id, {}))

    def status(self, task: Any) -> str:
        """The scheduler's; "" before the task is scheduled, and when a listing misses it: a list is not atomic."""
        return str(self.seen(task).get("status", ""))

    def queued(self) -> list[str]:
        """Ids of the jobs in the queue."""
        return Queue(self.queue, connection=self.client).job_ids

    def listens(self, number: int) -> None:
        """Wait until so many rq workers do."""
        with self.executor() as executor:
            until(lambda: executor.capacity(1) == number, f"{number} rq workers listen", seconds=60)

    def reason(self, task: Any) -> str:
        """Why it has failed; "" when it has not."""
        return str(self.scheduler.fetch_error(task.task_id)["error"] or "")

    def contact(self, task: Any) -> float:
        """When the scheduler heard last of the worker that runs it."""
        runner = self.scheduler.task_statuses([task.task_id])[task.task_id]["worker_running"]
        return max(each["last_active"] for each in self.scheduler.worker_list() if each["name"] == runner)

    def log(self) -> str:
        """What all processes said."""
        return (self.directory / "log").read_text()

    def end(self) -> None:
        """Kill what is left, also work-horses without their rq worker, and rq workers without their pool."""
        for process in self.processes:
            process.kill()
            process.wait()
        for left in psutil.process_iter(["cwd"]):
            if left.info["cwd"] == str(self.directory):
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
        self.scheduler.close()
        self.client.close()


def kill(pid: int) -> None:
    """SIGKILL, to one process of the tests' own."""
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[RqFleet]:
    """Without any rq worker yet."""
    made = RqFleet(tmp_path)
    yield made
    made.end()


@pytest.fixture
def small_fleet(fleet: RqFleet) -> RqFleet:
    """With one rq worker."""
    fleet.rq_worker()
    fleet.listens(1)
    return fleet


@pytest.fixture
def quick_fleet(fleet: RqFleet) -> RqFleet:
    """With one in which a task's timeout, which counts from when it is loaded, is the task's alone."""
    fleet.rq_worker(*PRELOADED)
    fleet.listens(1)
    return fleet

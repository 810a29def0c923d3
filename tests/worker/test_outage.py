"""A scheduler that goes away while a worker works: what runs goes on, and is reported when it is back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker_sched import RedisUnavailable, Scheduler
from broker_sched.redis_backend.recovery import DIRECT
from broker_sched.worker import heartbeat, retrying_scheduler
from tests.harness import ServerProcess
from tests.servers import RunningRedis, any_server, free_port, until
from tests.worker import bodies
from tests.worker.bodies import runs_of
from tests.worker.conftest import done_in, statuses, worker_on

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def lasting_redis(tmp_path: Path) -> Iterator[RunningRedis]:
    """A Redis that has everything again when it is started after a kill."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    server = RunningRedis(any_server(), tmp_path / "redis", arguments=durable)
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying_scheduler, "FIRST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(retrying_scheduler, "LONGEST_WAIT_SECONDS", 0.3)
    monkeypatch.setattr("broker_sched.scheduler.scheduler.DIRECT", DIRECT._replace(first_wait_seconds=0.01))


def test_a_killed_redis_that_comes_back_costs_nothing_but_time(
    lasting_redis: RunningRedis, tasks: ModuleType, directory: str, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = Scheduler(lasting_redis.url, "outage", prune_interval_seconds=0.1)
    all_tasks = [tasks.Slow(directory, str(number)) for number in range(4)]

    is_over = threading.Event()

    def outage() -> None:
        until(lambda: runs_of(all_tasks[0].path()) or runs_of(all_tasks[1].path()), "a task runs")
        lasting_redis.kill()
        until(lambda: "What runs goes on" in caplog.text, "the worker has found out")
        lasting_redis.start()
        is_over.wait(60)  # what a thread has started would end with it

    with caplog.at_level(logging.INFO), worker_on(scheduler, worker_processes=2) as worker:
        for task in all_tasks:
            worker.add(task)
        killer = threading.Thread(target=outage)
        killer.start()
        assert worker.run()
    assert statuses(scheduler, *all_tasks) == ["DONE"] * 4
    assert [len(runs_of(task.path())) for task in all_tasks] == [1] * 4
    assert "can't be reached" in caplog.text and "What runs goes on" in caplog.text
    assert scheduler.verify() == []
    scheduler.close()
    is_over.set()
    killer.join()


def test_a_killed_server_that_comes_back_costs_nothing_but_time(
    shared_redis: RunningRedis, tasks: ModuleType, directory: str
) -> None:
    from broker_sched.client.remote_scheduler import RemoteScheduler

    port = free_port()

    def start() -> ServerProcess:
        where = ("--redis", shared_redis.url, "--namespace", f"outage-{port}")
        return ServerProcess(*where, "--port", str(port)).await_ready()

    server = start()
    scheduler = RemoteScheduler(f"http://127.0.0.1:{port}", wait_seconds=0.1)
    all_tasks = [tasks.Slow(directory, str(number)) for number in range(4)]
    started: list[ServerProcess] = []

    is_over = threading.Event()

    def outage() -> None:
        until(lambda: runs_of(all_tasks[0].path()) or runs_of(all_tasks[1].path()), "a task runs")
        server.process.kill()
        server.process.wait()
        time.sleep(1.5)
        started.append(start())
        is_over.wait(60)

    with worker_on(scheduler, worker_processes=2) as worker:
        for task in all_tasks:
            worker.add(task)
        killer = threading.Thread(target=outage)
        killer.start()
        assert worker.run()
    assert statuses(scheduler, *all_tasks) == ["DONE"] * 4
    assert [len(runs_of(task.path())) for task in all_tasks] == [1] * 4
    until(lambda: started, "the new server has said that it is there").pop().stop()
    is_over.set()
    killer.join()


def test_without_patience_left_it_gives_up_and_says_why(
    lasting_redis: RunningRedis, tasks: ModuleType, directory: str
) -> None:
    scheduler = Scheduler(lasting_redis.url, "gone", prune_interval_seconds=None)
    with worker_on(scheduler, worker_processes=2, patience=0.5) as worker:
        worker.add(tasks.Write(directory, "x"))
        lasting_redis.kill()
        with pytest.raises(RedisUnavailable):
            worker.run()
    lasting_redis.start()


def test_a_scheduler_that_cannot_be_reached_at_first_is_told_of_at_once(
    tasks: ModuleType, directory: str, lasting_redis: RunningRedis
) -> None:
    scheduler: Any = Scheduler(lasting_redis.url, "never")
    lasting_redis.kill()
    with pytest.raises(RedisUnavailable):
        worker_on(scheduler).add(tasks.Write(directory, "x"))
    lasting_redis.start()


@pytest.mark.parametrize("forgets", ["the worker", "everything"])
@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_worker_that_was_forgotten_tells_everything_again(
    shared_redis: RunningRedis,
    tasks: ModuleType,
    directory: str,
    monkeypatch: pytest.MonkeyPatch,
    is_noticed: bool,
    forgets: str,
) -> None:
    """After a long silence the scheduler has dropped it, failed what it runs and removed its stake, or lost all."""
    monkeypatch.setattr(heartbeat, "LONG_SECONDS", 0.3 if is_noticed else 1000.0)
    where = (shared_redis.url, f"silence-{forgets[4:7]}-{is_noticed}-{tasks.__name__[-11:-6]}")
    scheduler = Scheduler(*where, prune_interval_seconds=None, worker_disconnect_delay=0.5, retry_delay=1000)
    real_ping, root = scheduler.ping, tasks.Sum(directory, 3)
    slow = tasks.Slow(directory, "x")
    root_needs = root.requires
    is_silent = threading.Event()
    object.__setattr__(root, "requires", lambda: [*root_needs(), slow])

    def ping(**arguments: Any) -> Any:
        if is_silent.is_set():
            raise RedisUnavailable("an outage")
        return real_ping(**arguments)

    def outage() -> None:
        until(lambda: runs_of(slow.path()), "the slow task runs")
        is_silent.set()
        time.sleep(1.2)
        if forgets == "everything":
            scheduler._client.delete(*scheduler._client.keys(f"{scheduler.namespace.prefix}*"))
        else:
            scheduler.prune()
        time.sleep(1.0)
        is_silent.clear()

    monkeypatch.setattr(bodies.SlowBody, "seconds", 3.0)
    scheduler.ping = ping  # type: ignore[method-assign]
    with worker_on(scheduler, force_multiprocessing=True) as worker:
        worker.add(root)
        thread = threading.Thread(target=outage)
        thread.start()
        worker.run()
        thread.join()
    assert root.complete() == is_noticed
    if is_noticed:
        assert statuses(scheduler, root, slow) == ["DONE", "DONE"]
        assert len(runs_of(slow.path())) == len(runs_of(root.path())) == 1
    scheduler.close()


class Failing:
    """A scheduler that can't be reached for a while, from the first report of a success on."""

    def __init__(self, inner: Any, seconds: float) -> None:
        self.inner = inner
        self.seconds = seconds
        self.until: float | None = None

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.inner, name)

        def call(**arguments: Any) -> Any:
            if self.until is None and done_in(arguments):
                self.until = time.monotonic() + self.seconds
            if self.until is not None and time.monotonic() < self.until:
                raise RedisUnavailable("an outage")
            return real(**arguments)

        return call


@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_about_to_leave_still_reports_what_it_ran(
    local: Scheduler, tasks: ModuleType, directory: str, processes: int
) -> None:
    task = tasks.Write(directory, "x")
    with worker_on(Failing(local, 1.0), worker_processes=processes, max_tasks=1) as worker:
        worker.add(task)
        assert worker.run()
    assert statuses(local, task) == ["DONE"]


def test_a_worker_out_of_time_gives_up_its_report(local: Scheduler, tasks: ModuleType, directory: str) -> None:
    task, failing = tasks.Write(directory, "x"), Failing(local, 1000.0)
    with worker_on(failing, worker_processes=2, max_tasks=1) as worker:
        worker.add(task)

        def leave() -> None:
            until(lambda: failing.until, "the report has failed once")
            worker.drain(0.2)

        thread = threading.Thread(target=leave)
        thread.start()
        with pytest.raises(RedisUnavailable):
            worker.run()
        thread.join()

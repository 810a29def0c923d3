"""What a worker tells of itself for operators: its version, and how much memory its tasks take."""

from __future__ import annotations

import multiprocessing
import threading
from types import ModuleType
from typing import Any

import pytest

from broker_sched import Scheduler, __version__
from broker_sched.errors import RedisUnavailable
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.executors.task_process import TaskProcess
from broker_sched.worker.heartbeat import Heartbeat
from broker_sched.worker.run_task import RunOptions
from broker_sched.worker.running_tasks import RunningTasks
from tests.servers import until
from tests.worker.conftest import worker_on


@pytest.mark.parametrize("processes", [1, 2], ids=["in its own process", "in task processes"])
def test_its_version_and_the_memory_of_what_it_runs_are_seen(
    local: Scheduler, tasks: ModuleType, directory: str, processes: int
) -> None:
    task = tasks.Held(directory, "x")
    worker = worker_on(local, worker_id="w", worker_processes=processes, no_install_shutdown_handler=True)
    worker.add(task)
    thread = threading.Thread(target=worker.run)
    thread.start()

    def memory() -> int | None:
        found = local.worker_details("w")
        return found["running_tasks"][0]["memory"] if found and found["running_tasks"] else None

    until(lambda: memory() is not None, "its memory is told")
    assert 2**22 < (memory() or 0) < 2**34
    details = local.task_details(task.task_id)
    assert details is not None and details["memory"] == memory()
    found = local.worker_details("w")
    assert found is not None and found["version"] == __version__
    assert local.overview()["versions"]["workers"] == {__version__: 1}
    task.go().touch()
    thread.join()
    after = local.task_details(task.task_id)
    assert after is not None and (after["status"], after["memory"]) == ("DONE", None)


class Counting:
    """A scheduler that counts what the heartbeat calls; it refuses what is told of memory."""

    def __init__(self, is_refusing: bool) -> None:
        self.pings = 0
        self.told: list[Any] = []
        self._is_refusing = is_refusing

    def ping(self, **arguments: Any) -> dict[str, Any]:
        self.pings += 1
        return {"rpc_messages": []}

    def add_worker(self, worker: str, info: dict[str, Any], start_id: str) -> None:
        self.told.append(info)
        if self._is_refusing:
            raise RedisUnavailable("away")


@pytest.mark.parametrize("is_refusing", [False, True])
def test_memory_is_told_at_most_every_ten_seconds_and_only_while_something_runs(is_refusing: bool) -> None:
    scheduler: Any = Counting(is_refusing)
    memory: dict[str, int] = {}
    config = WorkerConfig(ping_interval=0.01)
    heartbeat = Heartbeat(scheduler, "w", config, lambda told: None, lambda: None, lambda: memory, "start")
    heartbeat.start_pinging()
    until(lambda: scheduler.pings > 3, "it has pinged")
    assert scheduler.told == []
    memory["t"] = 7
    until(lambda: bool(scheduler.told), "it has told the memory")
    pings = scheduler.pings
    until(lambda: scheduler.pings > pings + 5, "it has pinged on")
    heartbeat.stop_pinging()
    assert scheduler.told == [{"task_memory": {"t": 7}}]
    assert heartbeat.is_answered


def test_of_a_task_that_a_luigid_handed_out_no_memory_is_told(tasks: ModuleType, directory: str) -> None:
    running = RunningTasks()
    run = TaskProcess(tasks.Held(directory, "x"), RunOptions("anna"), multiprocessing.get_context("fork"), 0, 1.0)
    run.start()
    running.add_run(run)
    assert running.memory() == {}
    run.attempt = 1
    assert list(running.memory()) == [run.task.task_id]
    running.stop_all()
    assert run.memory() is None

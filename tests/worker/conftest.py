"""Where workers are tested: both kinds of tasks, over each way to a scheduler."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from broker_sched import Scheduler
from broker_sched.worker.worker import Worker
from tests.harness import ServerProcess
from tests.nightly import deselect_combinations
from tests.servers import RunningRedis, any_server, die_with_parent, free_port, until

QUICK = {"wait_interval": 0.05, "wait_jitter": 0.0, "ping_interval": 0.1, "kill_after": 2.0}
OPTIONS: dict[str, Any] = {"retry_delay": 0.2, "stable_done_cooldown_secs": 0}  # of the schedulers
MakeWorker = Callable[..., Worker]
# For tests that look at what has failed, and at what runs once: nobody runs it again meanwhile, however slow they are.
WITHOUT_RETRIES = pytest.mark.parametrize("local", [{"retry_delay": 1000.0}], indirect=True, ids=["no retries"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """By day each way to a scheduler, kind of task and number of processes is tried, not each with each."""
    here = [item for item in items if item.nodeid.startswith("tests/worker/")]
    elsewhere = [item for item in items if not item.nodeid.startswith("tests/worker/")]
    deselect_combinations(config, here, ("scheduler", "tasks", "processes", "start_method", "how"))
    items[:] = here + elsewhere


@pytest.fixture(autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """Where tests run in the background, SIGINT is ignored; and Luigi's worker leaves its handler of SIGUSR1."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_worker_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker in a thread, whose test has failed, would run tasks of later tests on a scheduler that they share."""
    with ended_workers(monkeypatch):
        yield


def done_in(arguments: dict[str, Any]) -> list[str]:
    """The ids of the tasks that a call reports as DONE: add_task, or exchange with its reports."""
    reports = [arguments, *arguments.get("reports", ())]
    return [each["task_id"] for each in reports if each.get("status") == "DONE"]


@contextlib.contextmanager
def ended_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within the context workers may run in threads; then those that still do are told to leave, and have left."""
    running: list[Worker] = []
    run = Worker.run

    def noted(worker: Worker) -> bool:
        running.append(worker)
        try:
            return run(worker)
        finally:
            running.remove(worker)

    monkeypatch.setattr(Worker, "run", noted)
    yield
    for worker in list(running):
        worker.drain(0)
    until(lambda: not running, "workers have left")


@pytest.fixture(autouse=True)
def no_task_process_is_left_behind() -> Iterator[None]:
    """Of ours; Luigi's own worker, which some tests run beside it, leaves some."""
    yield
    left = [each for each in multiprocessing.active_children() if not each.name.startswith("ContextManaged")]
    for each in left:  # so that only this test fails
        each.kill()
        each.join()
    assert [each.name for each in left] == []


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRedis]:
    """One Redis for all tests of this process."""
    server = RunningRedis(any_server(), tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def server_url(shared_redis: RunningRedis) -> Iterator[str]:
    """A `bsched server`."""
    process = ServerProcess("--redis", shared_redis.url, "--namespace", "workers", "--set", "retry_delay=0.2")
    yield process.await_ready().url
    process.stop()


@pytest.fixture(scope="session")
def luigid_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A stock luigid."""
    directory, port = tmp_path_factory.mktemp("luigid"), free_port()
    config = directory / "luigi.cfg"
    config.write_text("[core]\nautoload_range = false\n[scheduler]\nretry_delay = 0.2\nprune_on_get_work = true\n")
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from luigi.cmdline import luigid; luigid()", "--address", "127.0.0.1"),
            *("--port", str(port), "--state-path", str(directory / "state.pickle")),
        ],
        env={**os.environ, "LUIGI_CONFIG_PATH": str(config)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            urlopen(f"{url}/api/is_paused?data=%7B%7D", timeout=5).close()
        except (URLError, OSError):
            return False
        return True

    until(answers, "luigid answers")
    yield url
    process.kill()
    process.wait()


@pytest.fixture(params=["redis", "http", "luigid"])
def scheduler(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A scheduler, straight to Redis, over HTTP, and luigid; what is on Redis is checked when the test ends.

    The last two are shared: what earlier tests have left there is put away, or an assistant would run that instead of
    what its own test schedules. This is done when a test begins: a worker that an earlier one had left behind has been
    ended by then, and what it ran it gave back, which made it PENDING again.
    """
    if request.param == "redis":
        redis_url = request.getfixturevalue("shared_redis").url
        made: Any = Scheduler(redis_url, f"t-{uuid.uuid4().hex[:8]}", prune_interval_seconds=0.1, **OPTIONS)
        yield made
        assert made.verify() == []
    else:
        url = request.getfixturevalue("server_url" if request.param == "http" else "luigid_url")
        from broker_sched.client.remote_scheduler import RemoteScheduler

        made = RemoteScheduler(url)
        for task_id, task in made.task_list("", "", limit=False).items():
            if task["status"] in ("PENDING", "RUNNING", "FAILED"):
                made.add_task(worker="test", task_id=task_id, status="DONE", runnable=False)
        yield made
    made.close()


@pytest.fixture
def local(shared_redis: RunningRedis, request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    """A scheduler straight to Redis; a test may parametrize its options."""
    options = {**OPTIONS, **getattr(request, "param", {})}
    made = Scheduler(shared_redis.url, f"t-{uuid.uuid4().hex[:8]}", prune_interval_seconds=0.1, **options)
    yield made
    assert made.verify() == []
    made.close()


@pytest.fixture(params=["luigi", "native"])
def tasks(request: pytest.FixtureRequest) -> ModuleType:
    """The tasks of bodies.py, of each kind."""
    return importlib.import_module(f"tests.worker.{request.param}_tasks")


@pytest.fixture
def directory(tmp_path: Path) -> str:
    """Where a test's tasks write."""
    (tmp_path / "out").mkdir()
    return str(tmp_path / "out")


def worker_on(scheduler: Any, **options: Any) -> Worker:
    """A worker that waits for nothing long."""
    return Worker(scheduler, **{**QUICK, **options})


def statuses(scheduler: Any, *tasks: Any) -> list[str]:
    """What the scheduler has for these tasks, at one moment."""
    known = scheduler.task_list("", "", limit=False)
    return [known[task.task_id]["status"] if task.task_id in known else "unknown" for task in tasks]

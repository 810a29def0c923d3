"""Stock luigi workers over HTTP, three at once: every task runs exactly once, whatever is killed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_sched import Scheduler
from tests.e2e.luigi_run import FAILING, TASKS, LuigiRun
from tests.harness import ServerProcess
from tests.nightly import by_night
from tests.servers import RunningRedis, any_server, free_port

pytestmark = pytest.mark.timeout(240)
IN_THE_MIDDLE = TASKS // 3  # runs
WORKERS = 3


@pytest.fixture(params=["everysec", "always"])
def own_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningRedis]:
    """A Redis with an append-only file."""
    arguments = ["--appendonly", "yes", "--appendfsync", request.param]
    process = RunningRedis(any_server(), tmp_path / "redis", arguments=arguments)
    yield process
    process.kill()


@pytest.fixture
def luigi_run(tmp_path: Path) -> Iterator[LuigiRun]:
    """The luigi processes, ended with the test."""
    run = LuigiRun(tmp_path)
    yield run
    run.close()


class Servers:
    """`bsched server`s on one Redis, each on a port that it keeps."""

    def __init__(self, redis_url: str, count: int, disconnect_seconds: float) -> None:
        self._redis_url = redis_url
        self._disconnect_seconds = disconnect_seconds
        self._ports = [free_port() for _ in range(count)]
        self.running = [self._start(port) for port in self._ports]

    def kill_and_restart(self, number: int) -> None:
        """SIGKILL, then the same command again."""
        self.running[number].process.kill()
        self.running[number].wait()
        self.running[number] = self._start(self._ports[number])

    def stop(self) -> list[int]:
        """Their exit codes."""
        return [server.stop() for server in self.running]

    def _start(self, port: int) -> ServerProcess:
        options = ("--set", "retry_delay=1", "--set", f"worker_disconnect_delay={self._disconnect_seconds}")
        return ServerProcess("--port", str(port), "--redis", self._redis_url, *options).await_ready()


@pytest.fixture
def server_count() -> int:
    """How many servers; a test may parametrize it."""
    return 1


@pytest.fixture
def disconnect_seconds() -> float:
    """After so long a silent worker is dead: long after a server that was killed is back. A test may parametrize it."""
    return 60.0


@pytest.fixture
def servers(own_redis: RunningRedis, server_count: int, disconnect_seconds: float) -> Iterator[Servers]:
    """The servers, stopped with the test."""
    running = Servers(own_redis.url, server_count, disconnect_seconds)
    yield running
    running.stop()


def start_workers(luigi_run: LuigiRun, servers: Servers) -> None:
    for number in range(WORKERS):
        luigi_run.start(servers.running[number % len(servers.running)].url)


def assert_all_done(luigi_run: LuigiRun, servers: Servers, own_redis: RunningRedis) -> None:
    tasks = servers.running[0].call("task_list")
    assert len(tasks) == TASKS
    assert {task["status"] for task in tasks.values()} == {"DONE"}
    assert luigi_run.counts("done").keys() == tasks.keys()
    assert Scheduler(own_redis.url).verify() == []


def assert_ran_once(luigi_run: LuigiRun) -> None:
    """Each task once, and those that fail at first once before."""
    done, failed = luigi_run.counts("done"), luigi_run.counts("failed")
    assert {task_id: count for task_id, count in done.items() if count != 1} == {}
    assert (len(failed), set(failed.values())) == (FAILING, {1})


@pytest.mark.parametrize("own_redis", ["everysec"], indirect=True)
@pytest.mark.parametrize("server_count", by_night([1, 2], [2]))
def test_every_task_runs_once(luigi_run: LuigiRun, servers: Servers, own_redis: RunningRedis) -> None:
    start_workers(luigi_run, servers)
    assert luigi_run.wait() == [0] * WORKERS, luigi_run.logs()
    assert_ran_once(luigi_run)
    assert_all_done(luigi_run, servers, own_redis)
    assert servers.stop() == [0] * len(servers.running)


@pytest.mark.parametrize("own_redis", ["everysec"], indirect=True)
def test_every_task_runs_once_although_the_server_is_killed(
    luigi_run: LuigiRun, servers: Servers, own_redis: RunningRedis
) -> None:
    start_workers(luigi_run, servers)
    for runs in (IN_THE_MIDDLE, 2 * IN_THE_MIDDLE):
        luigi_run.await_runs(runs)
        servers.kill_and_restart(0)
    assert luigi_run.wait() == [0] * WORKERS, luigi_run.logs()
    assert_ran_once(luigi_run)
    assert_all_done(luigi_run, servers, own_redis)


@pytest.mark.parametrize("own_redis", by_night(["everysec", "always"], ["everysec"]), indirect=True)
def test_every_task_runs_once_although_redis_is_killed(
    luigi_run: LuigiRun, servers: Servers, own_redis: RunningRedis
) -> None:
    start_workers(luigi_run, servers)
    luigi_run.await_runs(IN_THE_MIDDLE)
    own_redis.kill()
    own_redis.start()
    assert luigi_run.wait() == [0] * WORKERS, luigi_run.logs()
    assert_ran_once(luigi_run)
    assert_all_done(luigi_run, servers, own_redis)


@pytest.mark.parametrize("own_redis", ["everysec"], indirect=True)
@pytest.mark.parametrize("disconnect_seconds", [8.0])
def test_tasks_of_a_killed_worker_are_run_by_the_others(
    luigi_run: LuigiRun, servers: Servers, own_redis: RunningRedis
) -> None:
    start_workers(luigi_run, servers)
    luigi_run.await_runs(IN_THE_MIDDLE)
    luigi_run.kill(0)
    assert luigi_run.wait()[1:] == [0] * (WORKERS - 1), luigi_run.logs()
    repeated = {task_id for task_id, count in luigi_run.counts("done").items() if count > 1}
    assert len(repeated) <= 2, "only what the killed worker was running, two tasks at most, may run again"
    assert_all_done(luigi_run, servers, own_redis)

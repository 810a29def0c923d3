"""What all tests share: a Redis of every kind, a clock, schedulers that are checked when the test ends."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
import uuid
import warnings
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from broker_sched import Scheduler
from broker_sched.redis_backend.encoding import to_bytes
from broker_sched.scheduler import look_budget
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import NIGHTLY, deselect_only_by_night
from tests.redis_users import AS_USERS, WorkersScheduler
from tests.servers import RunningRedis, embedded_servers

REAL = sorted(embedded_servers())
KINDS = ["fakeredis", *REAL]
# The one that `[embedded]` brings for this Python.
DEFAULT_KIND = "redis62" if "redis62" in REAL else "valkey9" if "valkey9" in REAL else "redis8"
SchedulerFactory = Callable[..., Scheduler]

# Goes first and stays together: its browser is one for all of its files.
TOGETHER = "page"

MAX_PARAMETER_IN_NAME = 200  # letters

# A machine that stands still for a moment is no fault of an example.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """What is collected stays to the end. To look through it for garbage, again and again, takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    deselect_only_by_night(config, items)
    items[:] = spread(items)


def spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Every part of the order has its share of each room, so that some wait while others use the cores.

    `--dist worksteal` gives each process of xdist a part of the order to begin with. The tests of a file stay together.
    """
    rooms: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        rooms["".join(item.nodeid.partition("::")[0].split("/")[1:2])].append(item)
    shares: dict[str, float] = {}  # file → how much of its room stands before the middle of it
    for tests in rooms.values():
        before = 0
        for path, file in groupby(tests, key=lambda item: item.nodeid.partition("::")[0]):
            number = len(list(file))
            shares[path] = (before + number / 2) / len(tests)
            before += number
    first = rooms.pop(TOGETHER, [])
    others = [item for tests in rooms.values() for item in tests]
    return first + sorted(others, key=lambda item: shares[item.nodeid.partition("::")[0]])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A test isn't named after megabytes that it is given: every process of the tests sends and keeps all names."""
    return f"{argname} of {len(val)}" if isinstance(val, str | bytes) and len(val) > MAX_PARAMETER_IN_NAME else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """A report of lone surrogates would end the whole session: pytest-xdist sends it as UTF-8, which has none."""
    return sendable((yield))


@pytest.hookimpl(tryfirst=True)
def pytest_warning_recorded(warning_message: warnings.WarningMessage) -> None:
    """Likewise."""
    text = str(warning_message.message)
    if sendable(text) != text:
        warning_message.message = warning_message.category(sendable(text))


def sendable(value: Any) -> Any:
    """The same with lone surrogates written as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {sendable(name): sendable(inner) for name, inner in value.items()}
    return type(value)(map(sendable, value)) if type(value) in (list, tuple) else value


class FakeClock:
    """Time stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds


@cache
def running(kind: str) -> RunningRedis:
    """The server of this kind, one for all tests of this process."""
    directory = Path(tempfile.mkdtemp(prefix="bsched-test-"))
    server = RunningRedis(embedded_servers()[kind], directory)
    atexit.register(_end, server, directory, os.getpid())
    return server


def _end(server: RunningRedis, directory: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a fork of it that exits
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that the tests of a module share."""
    process = RedisProcess(tmp_path_factory.mktemp("redis"))
    yield process
    process.kill()


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis that the test may kill."""
    process = RedisProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture(scope="module")
def server(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    """A server that the tests of a module share."""
    process = ServerProcess(
        *("--redis", own_redis.url, "--namespace", "shared", "--allow-host", "scheduler.example")
    ).await_ready()
    yield process
    assert process.stop() == 0


@pytest.fixture
def start_server() -> Iterator[Callable[..., ServerProcess]]:
    """`start_server("--redis", url, …)`: a server that ends with the test."""
    started: list[ServerProcess] = []

    def start(*arguments: str, environment: dict[str, str] | None = None) -> ServerProcess:
        started.append(ServerProcess(*arguments, environment=environment))
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=KINDS if NIGHTLY else [DEFAULT_KIND])
def redis_kind(request: pytest.FixtureRequest) -> str:
    """The kind of Redis that the test runs on: one real server by day, each kind by night and in tests/dialects."""
    return str(request.param)


@pytest.fixture(params=REAL if NIGHTLY else [DEFAULT_KIND])
def real_redis_kind(request: pytest.FixtureRequest) -> str:
    """Of real servers only, never fakeredis."""
    return str(request.param)


@pytest.fixture
def redis_url(redis_kind: str) -> str:
    """Where a Redis of the kind that the test runs on is."""
    return "memory:tests" if redis_kind == "fakeredis" else running(redis_kind).url


@pytest.fixture
def real_redis_url(real_redis_kind: str) -> str:
    """Of real servers only, never fakeredis."""
    return running(real_redis_kind).url


@pytest.fixture
def scheduler_factory(redis_url: str, clock: FakeClock) -> Iterator[SchedulerFactory]:
    """`scheduler_factory(namespace=…, retry_delay=5)`; a new namespace unless one is given."""
    with pytest.MonkeyPatch.context() as always:  # what the test itself patches is put back before its schedulers end
        always.setattr(look_budget, "SHARE", 1.0)  # nobody's work is delayed here by one look after the other
        yield from schedulers(redis_url, clock)


@pytest.fixture
def scheduler(scheduler_factory: SchedulerFactory) -> Scheduler:
    return scheduler_factory()


@pytest.fixture
def another(scheduler: Scheduler, scheduler_factory: SchedulerFactory) -> Scheduler:
    """A second scheduler on the same namespace."""
    return scheduler_factory(namespace=scheduler.namespace.name)


@pytest.fixture
def real_scheduler(real_redis_url: str) -> Iterator[Scheduler]:
    """On a real server, by its clock."""
    factory = schedulers(real_redis_url, None)
    yield next(factory)()
    next(factory, None)


def schedulers(url: str, clock: FakeClock | None) -> Iterator[SchedulerFactory]:
    """A fixture's inside: schedulers at this URL, each of which is checked and removed when the test has ended."""
    made: list[Scheduler] = []
    kind = WorkersScheduler if AS_USERS and not url.startswith("memory:") else Scheduler

    def make(namespace: str | None = None, **options: Any) -> Scheduler:
        name = namespace or f"t-{uuid.uuid4().hex[:12]}"
        made.append(kind(url, namespace=name, clock=clock, prune_interval_seconds=None, **options))
        return made[-1]

    yield make
    for scheduler in made:
        if scheduler._client.exists(scheduler.namespace.key("config")):
            assert scheduler.verify() == []
    for scheduler in made:
        keys = list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}*", count=1000))
        if keys:
            scheduler._client.delete(*map(to_bytes, keys))
        scheduler.close()

"""A Redis and servers for the HTTP tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.http.harness import RedisProcess, ServerProcess


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis that the test may kill."""
    process = RedisProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture(scope="module")
def server(own_redis: RedisProcess) -> Iterator[ServerProcess]:
    """A server that the tests of a module share."""
    process = ServerProcess("--redis", own_redis.url, "--namespace", "shared").await_ready()
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

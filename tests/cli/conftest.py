"""What tests of commands share: a namespace of their own, and commands that go there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from broker_sched import Scheduler
from tests.cli.commands import Bsched
from tests.harness import RedisProcess, ServerProcess


@pytest.fixture
def board(own_redis: RedisProcess) -> Iterator[Scheduler]:
    """The scheduler of a new namespace."""
    name = f"cli-{uuid.uuid4().hex[:8]}"
    with closing(Scheduler(own_redis.url, name, prune_interval_seconds=None)) as scheduler:
        yield scheduler
        assert scheduler.verify() == []


@pytest.fixture
def on(own_redis: RedisProcess, board: Scheduler) -> Bsched:
    """Commands straight to Redis."""
    return Bsched("--redis", own_redis.url, "--namespace", board.namespace.name)


@pytest.fixture
def over_http(server: ServerProcess) -> Bsched:
    """Commands to a server, whose namespace the tests of a module share."""
    return Bsched("--scheduler-url", server.url)

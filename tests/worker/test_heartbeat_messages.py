"""What the heartbeat logs reads as sentences, whatever the error was."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from broker_sched.errors import RedisUnavailable
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.heartbeat import Heartbeat
from tests.servers import until


class Failing:
    """A scheduler whose ping fails."""

    def __init__(self, message: str) -> None:
        self._message = message

    def ping(self, **arguments: Any) -> Any:
        raise RedisUnavailable(self._message)


@pytest.mark.parametrize("message", ["docs/operations.md has the list.", "no route to host"])
def test_an_errors_message_ends_in_one_dot(message: str, caplog: pytest.LogCaptureFixture) -> None:
    scheduler: Any = Failing(message)
    heartbeat = Heartbeat(scheduler, "w", WorkerConfig(), lambda told: None, lambda: None, dict, "start")
    with caplog.at_level(logging.WARNING):
        heartbeat.start_pinging()
        heartbeat.ping_now()
        until(lambda: bool(caplog.messages), "the heartbeat has failed")
        heartbeat.stop_pinging()
    assert caplog.messages == [f"The scheduler does not answer the heartbeat: {message.rstrip('.')}. Trying on."]

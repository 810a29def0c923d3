"""The application under other ASGI servers, by the line that docs/operations.md has; configured by the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched import InvalidArgument, RemoteScheduler
from tests.harness import ROOT, RedisProcess
from tests.servers import die_with_parent, free_port, until

LINES = {
    "uvicorn": ["-m", "uvicorn", "--factory", "broker_sched.server:create_app", "--port", "{port}"],
    "hypercorn": ["-m", "hypercorn", "broker_sched.server:create_app()", "--bind", "127.0.0.1:{port}"],
}


def is_answered(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def connections(redis: RedisProcess) -> list[str]:
    """Those of servers, by their names."""
    names = [client["name"] for client in redis.client.client_list()]
    return [name for name in names if name.startswith("bsched-")]


@pytest.fixture(params=LINES)
def served(request: pytest.FixtureRequest, own_redis: RedisProcess, tmp_path: Path) -> Iterator[RemoteScheduler]:
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BSCHED_REDIS": own_redis.url,
        "BSCHED_NAMESPACE": request.param,
        "BSCHED_RETRY_DELAY": "7",
    }
    words = [word.format(port=port) for word in LINES[request.param]]
    process = subprocess.Popen([sys.executable, *words], env=environment, cwd=tmp_path, preexec_fn=die_with_parent)
    until(lambda: is_answered(f"http://127.0.0.1:{port}/readyz"), "the server is ready")
    with RemoteScheduler(f"http://127.0.0.1:{port}", attempts=1) as scheduler:
        yield scheduler
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    until(lambda: not connections(own_redis), "its lifespan has ended")
    own_redis.client.flushall()  # when nobody is left who makes the namespace again


def test_calls_are_served_with_the_environments_settings(served: RemoteScheduler, own_redis: RedisProcess) -> None:
    served.add_task(worker="w", task_id="t", params={"p": "é" * 300_000}, deps=["d"])
    served.add_task(worker="w", task_id="d")
    assert served.get_work(worker="w")["task_id"] == "d"
    assert served.await_work(worker="w", seconds=0.2) == {"ready": False}
    served.add_task(worker="w", task_id="d", status="DONE")
    assert served.get_work(worker="w")["task_params"] == {"p": "é" * 300_000}
    assert set(served.task_list(limit=False)) == {"t", "d"}
    with pytest.raises(InvalidArgument, match="priority"):
        served.add_task(worker="w", task_id="t", priority="high")
    (namespace,) = own_redis.client.keys("bsched:{*}:config")
    assert own_redis.client.hget(namespace, "retry_delay") == "7.0"

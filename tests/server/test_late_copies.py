"""A copy of a call that arrives when its caller has gone on changes nothing, wherever it was held back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_sched import RemoteScheduler, Scheduler
from broker_sched.errors import RedisUnavailable, Unreachable
from tests.cutting import CuttingProxy
from tests.harness import ServerProcess
from tests.servers import RunningRedis, any_server, free_port


@pytest.fixture(scope="module")
def redis_on_a_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRedis]:
    server = RunningRedis(any_server(), tmp_path_factory.mktemp("redis"), port=free_port())
    yield server
    server.kill()


@pytest.fixture
def cut_redis(redis_on_a_port: RunningRedis) -> Iterator[CuttingProxy]:
    """Between a server and its Redis."""
    assert redis_on_a_port.port is not None
    proxy = CuttingProxy(redis_on_a_port.port)
    yield proxy
    proxy.close()


@pytest.fixture
def bsched_server(cut_redis: CuttingProxy, tmp_path: Path) -> Iterator[ServerProcess]:
    where = f"redis://127.0.0.1:{cut_redis.port}"
    process = ServerProcess("--redis", where, "--namespace", tmp_path.name.replace("_", "-"))
    yield process.await_ready()
    process.stop()


@pytest.fixture
def other(redis_on_a_port: RunningRedis, bsched_server: ServerProcess, tmp_path: Path) -> Iterator[Scheduler]:
    """Straight to Redis."""
    scheduler = Scheduler(redis_on_a_port.url, tmp_path.name.replace("_", "-"), prune_interval_seconds=None)
    yield scheduler
    assert scheduler.verify() == []
    scheduler.close()


def status(scheduler: Any, task_id: str) -> str:
    return str(scheduler.task_list()[task_id]["status"])


def test_a_failure_that_a_server_sent_twice_does_not_fail_the_task_after_its_worker_has_gone_on(
    cut_redis: CuttingProxy, bsched_server: ServerProcess, other: Scheduler
) -> None:
    for task_id in ("a", "b"):
        other.add_task(worker="w", task_id=task_id)
    with RemoteScheduler(bsched_server.url) as scheduler:
        scheduler.get_work(worker="w")
        cut_redis.cut("late copy")
        scheduler.add_task(worker="w", task_id="a", status="FAILED")
        assert cut_redis.cuts == 1, "the client has noticed nothing"
        assert scheduler.get_work(worker="w", current_tasks=[])["task_id"] == "b"
        scheduler.forgive_failures("a")
        cut_redis.let_go()
        assert status(other, "a") == "PENDING"


def posted(server: ServerProcess, method: str, number: str, **arguments: Any) -> Any:
    headers = {"Bsched-Request-Id": f"caller:{number}", "Content-Type": "application/json"}
    return server.request("POST", f"/api/{method}", json.dumps(arguments).encode(), headers=headers)


def test_a_copy_that_a_proxy_delivers_late_is_refused_and_changes_nothing(
    bsched_server: ServerProcess, other: Scheduler
) -> None:
    other.add_task(worker="w", task_id="a")
    other.get_work(worker="w")
    failed = {"worker": "w", "task_id": "a", "status": "FAILED"}
    assert posted(bsched_server, "add_task", "9", **failed).status == 200
    assert posted(bsched_server, "forgive_failures", "10", task_id="a").status == 200
    late = posted(bsched_server, "add_task", "9", **failed)
    assert late.status == 400
    assert late.json()["error"]["field"] == "Bsched-Request-Id"
    assert "10" in late.json()["error"]["message"]
    assert status(other, "a") == "PENDING"
    assert posted(bsched_server, "add_task", "11", **failed).status == 200
    assert status(other, "a") == "FAILED"


def test_a_call_made_again_after_others_is_none_that_came_late(redis_on_a_port: RunningRedis, other: Scheduler) -> None:
    other.add_task(worker="w", task_id="a")
    with redis_on_a_port.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(RedisUnavailable):
            other.get_work(worker="w")
        client.config_set("maxmemory", "0")
    other.set_worker_processes("w", 3)
    assert other.get_work(worker="w")["task_id"] == "a"


def test_arguments_changed_in_place_after_an_unanswered_call_make_another_call(
    bsched_server: ServerProcess, other: Scheduler
) -> None:
    proxy = CuttingProxy(int(bsched_server.url.rpartition(":")[2]))
    other.add_task(worker="w", task_id="a", family="A")
    other.get_work(worker="w")
    other.add_tasks(worker="w", tasks=[{"task_id": "b"}, {"task_id": "c"}])
    wanted = ["b"]
    with RemoteScheduler(f"http://127.0.0.1:{proxy.port}", attempts=1) as scheduler:
        proxy.cut("before the reply")
        with pytest.raises(Unreachable):
            scheduler.add_task(worker="w", task_id="a", new_deps=wanted)
        wanted.append("c")
        scheduler.add_task(worker="w", task_id="a", new_deps=wanted)
    assert set(other.dep_graph("a")) == {"a", "b", "c"}
    proxy.close()

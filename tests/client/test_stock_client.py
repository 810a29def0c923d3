"""Luigi's own client and worker, unchanged, on our server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import luigi.rpc
import pytest

from tests.harness import RedisProcess, ServerProcess

untyped: Any = luigi  # it has no types


class Leaf(luigi.Task):
    directory = luigi.Parameter()
    name = luigi.Parameter()

    def output(self) -> Any:
        return luigi.LocalTarget(f"{self.directory}/{self.name}")

    def run(self) -> None:
        with self.output().open("w") as out:
            out.write(self.name)


class Root(Leaf):
    def requires(self) -> Any:
        return [Leaf(self.directory, f"leaf{n}") for n in range(3)]


untyped_root: Any = Root


def test_stock_client_calls_over_tcp(server: ServerProcess) -> None:
    client = untyped.rpc.RemoteScheduler(server.url)
    client.add_task(task_id="stock", worker="stock worker", family="Stock", priority=2, params={"p": "ü"})
    client.add_task_batcher(worker="stock worker", task_family="Stock", batched_args=["p"])
    work = client.get_work(worker="stock worker", host="here", current_tasks=[])
    assert (work["task_id"], work["task_params"]) == ("stock", {"p": "ü"})
    assert client.ping(worker="stock worker") == {"rpc_messages": []}


def test_stock_client_calls_over_a_unix_socket(
    own_redis: RedisProcess, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    path = tmp_path / "bsched.sock"
    start_server("--redis", own_redis.url, "--namespace", "unix", "--unix-socket", str(path)).await_ready()
    client = untyped.rpc.RemoteScheduler(f"http+unix://{quote(str(path), safe='')}/")
    assert client.ping(worker="w1") == {"rpc_messages": []}


def test_stock_client_is_told_of_wrong_arguments(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    client = untyped.rpc.RemoteScheduler(server.url)
    monkeypatch.setattr(client, "_rpc_retry_attempts", 1)
    with pytest.raises(untyped.rpc.RPCError):
        client.add_task(worker="w1", task_id="wrong", priority="high")


def test_stock_worker_runs_a_graph(server: ServerProcess, tmp_path: Path) -> None:
    root: Any = untyped_root(str(tmp_path), "root")
    assert untyped.build([root], scheduler_url=server.url, workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leaf0", "leaf1", "leaf2", "root"]
    assert root.task_id in server.call("task_list", status="DONE")

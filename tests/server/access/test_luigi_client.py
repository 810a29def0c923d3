"""Luigi's own client, as it is, logs in by the user and password in its URL, whichever of its two ways it posts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import luigi
import luigi.rpc
import luigi.worker
import pytest

from tests.harness import RedisProcess, ServerProcess
from tests.server.access.asgi import user_line

untyped: Any = luigi  # it has no types


class Made(untyped.Task):  # type: ignore[misc]  # Any
    folder = untyped.Parameter()
    number = untyped.IntParameter()

    def requires(self) -> list[Any]:
        return [Made(folder=self.folder, number=self.number - 1)] if self.number else []

    def output(self) -> Any:
        return untyped.LocalTarget(str(Path(self.folder) / str(self.number)))

    def run(self) -> None:
        with self.output().open("w") as file:
            file.write("made")


@pytest.fixture(scope="module")
def server(own_redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    users = tmp_path_factory.mktemp("luigi") / "users"
    users.write_text(user_line("wil", "pass-word", "worker@*") + user_line("eve", "pass-word", "viewer@*"))
    users.chmod(0o600)
    process = ServerProcess("--redis", own_redis.url, "--users-file", str(users)).await_ready()
    yield process
    assert process.stop() == 0


@pytest.fixture(params=["requests", "urllib"], autouse=True)
def fetcher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luigi.rpc, "HAS_REQUESTS", request.param == "requests")


def client(server: ServerProcess, login: str) -> Any:
    made = untyped.rpc.RemoteScheduler(server.url.replace("//", f"//{login}"))
    made._rpc_retry_attempts = 1
    return made


def run(scheduler: Any, task: Any) -> bool:
    with untyped.worker.Worker(scheduler=scheduler, worker_id="wil-1") as worker:
        return bool(worker.add(task)) and bool(worker.run())


def test_a_worker_runs_a_pipeline(server: ServerProcess, tmp_path: Path) -> None:
    scheduler = client(server, "wil:pass-word@")
    task = Made(folder=str(tmp_path), number=2)
    assert run(scheduler, task) and sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
    assert scheduler.task_list("DONE", "")[task.task_id]["status"] == "DONE"
    scheduler.close()


@pytest.mark.parametrize(
    ("login", "told"),
    [("eve:pass-word@", "403"), ("wil:wrong@", "401"), ("nobody:pass-word@", "401"), ("", "401")],
)
def test_whoever_may_not_is_told_by_the_status(server: ServerProcess, tmp_path: Path, login: str, told: str) -> None:
    scheduler = client(server, login)
    with pytest.raises(luigi.rpc.RPCError) as caught:
        scheduler.add_task(worker="w", task_id="t")
    assert told in str(caught.value.sub_exception)
    scheduler.close()


def test_a_viewer_looks_and_its_worker_fails_with_a_clear_error(
    server: ServerProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = client(server, "eve:pass-word@")
    assert isinstance(scheduler.task_list("", ""), dict)
    with pytest.raises(luigi.rpc.RPCError):
        run(scheduler, Made(folder=str(tmp_path), number=0))
    assert not list(tmp_path.iterdir())
    scheduler.close()

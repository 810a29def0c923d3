"""Tokens at a server: as Bearer, or as the password of any user; refused by all servers soon after they end."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import luigi.rpc
import pytest

from broker_sched import LoginRefused, RemoteScheduler, Scheduler
from broker_sched.contract.roles import Role
from broker_sched.scheduler.operations.tokens import NewToken, create_token, list_tokens, revoke_token
from broker_sched.server.access.access import AccessConfig
from broker_sched.server.app import AppConfig
from tests.conftest import DEFAULT_KIND, running
from tests.harness import RedisProcess, ServerProcess
from tests.programs import Program, environment_with
from tests.server.access.asgi import InProcess, basic
from tests.servers import until

untyped: Any = luigi  # it has no types
MODULE = """
import time
from pathlib import Path
from broker_sched import LocalTarget, Task

class Slow(Task):
    def output(self): return LocalTarget("done")
    def run(self):
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.02)
        with self.output().open("w") as file:
            file.write("x")
"""


class Place(NamedTuple):
    server: InProcess
    scheduler: Scheduler

    def token(self, role: Role = Role.WORKER, name: str = "", seconds: float | None = None) -> NewToken:
        return make(self.scheduler, role, name, seconds)


def make(scheduler: Scheduler, role: Role = Role.WORKER, name: str = "", seconds: float | None = None) -> NewToken:
    return scheduler.drive(create_token(scheduler.namespace, name=name, role=role, by="test", seconds=seconds))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def place() -> Iterator[Place]:
    """A server that wants a login, and knows tokens only."""
    url, namespace = running(DEFAULT_KIND).url, f"tokens-{uuid.uuid4().hex[:8]}"
    config = AppConfig(url, namespace, access=AccessConfig(wants_login=True))
    with InProcess(config) as server, closing(Scheduler(url, namespace)) as scheduler:
        yield Place(server, scheduler)
        assert scheduler.verify() == []


@pytest.mark.parametrize("header", [bearer, lambda token: basic("anybody", token), lambda token: basic("", token)])
def test_a_token_has_its_role_as_bearer_and_as_any_users_password(
    place: Place, header: Callable[[str], dict[str, str]]
) -> None:
    token = place.token(name="ci")
    assert place.server.call("ping", header(token.secret), worker="w").status == 200
    refused = place.server.call("pause", header(token.secret))
    assert refused.status == 403
    told = f"ci (token {token.id}) is worker here; pause needs the role operator or admin."
    assert refused.json()["error"]["message"] == told


@pytest.mark.parametrize("token", ["", "bst_", "bst_wrong", "x" * 100_000, "bst_\udcff", "Bearer", "*"])
def test_a_wrong_token_is_refused_and_writes_nothing(place: Place, token: str) -> None:
    header = {"authorization": "Bearer " + token.encode("utf-8", "surrogateescape").decode("latin-1")}
    refused = place.server.call("is_paused", header)
    assert refused.status == 401 and "no such token" in refused.json()["error"]["message"]
    assert len(token) < 7 or token[:50] not in str(refused)
    assert place.scheduler.drive(list_tokens(place.scheduler.namespace)) == []


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/is_paused", "/api/ping"])
def test_nobody_gets_in_without_one(place: Place, path: str) -> None:
    refused = place.server.request("GET", path)
    assert refused.status == 401 and "Bearer" in refused.headers["www-authenticate"]
    assert place.server.request("GET", "/healthz").status == 200


def test_an_expired_token_is_401_and_says_since_when(place: Place) -> None:
    token = place.token(seconds=0.01)
    refused = until(lambda: place.server.call("is_paused", bearer(token.secret)).status == 401, "it is refused")
    told = place.server.call("is_paused", bearer(token.secret)).json()["error"]["message"]
    assert refused and told.startswith("This token has expired, 20") and "bsched token create" in told


def test_a_token_of_another_namespace_is_none_here(place: Place) -> None:
    with closing(Scheduler(running(DEFAULT_KIND).url, f"other-{uuid.uuid4().hex[:8]}")) as other:
        assert place.server.call("is_paused", bearer(make(other).secret)).status == 401


def test_many_calls_with_a_token_ask_redis_twice_a_second_at_the_most(place: Place) -> None:
    """Else a login would cost as much as a call."""
    client, token = running(DEFAULT_KIND).client(), place.token()

    def scripts_run() -> int:
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

    with client:
        began, before, calls = time.monotonic(), scripts_run(), 200
        for _ in range(calls):
            assert place.server.call("is_pause_enabled", bearer(token.secret)).status == 200
        looks = 2 * (time.monotonic() - began) + 1
        others = 10 * (time.monotonic() - began) + 10  # the server's own timers
        assert scripts_run() - before <= looks + others < calls


def test_a_revoked_token_is_refused_by_all_servers_within_a_second(
    own_redis: RedisProcess, start_server: Callable[..., ServerProcess]
) -> None:
    with closing(Scheduler(own_redis.url, "revoked")) as scheduler:
        where = ("--redis", own_redis.url, "--namespace", "revoked", "--require-login")
        servers = [start_server(*where).await_ready() for _ in range(2)]
        token = make(scheduler)
        remotes = [RemoteScheduler(each.url, attempts=1, token=token.secret) for each in servers]
        for remote in remotes:
            remote.is_paused()
        assert scheduler.drive(revoke_token(scheduler.namespace, token.id))
        revoked = time.monotonic()
        for remote in remotes:

            def is_refused(remote: RemoteScheduler = remote) -> bool:
                try:
                    return not remote.is_paused()
                except LoginRefused as error:
                    return "revoked" in str(error)

            until(is_refused, "it is refused")
        assert time.monotonic() - revoked < 1.0


def test_luigis_own_client_logs_in_with_a_token_in_its_url(
    own_redis: RedisProcess, start_server: Callable[..., ServerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Scheduler(own_redis.url, "stock")) as scheduler:
        server = start_server("--redis", own_redis.url, "--namespace", "stock", "--require-login").await_ready()
        for token, is_good in ((make(scheduler).secret, True), ("bst_wrong", False)):
            client = untyped.rpc.RemoteScheduler(server.url.replace("http://", f"http://token:{token}@"))
            monkeypatch.setattr(client, "_rpc_retry_attempts", 1)
            if is_good:
                client.add_task(task_id="stock", worker="w", family="Stock")
                assert client.get_work(worker="w", host="here", current_tasks=[])["task_id"] == "stock"
            else:
                with pytest.raises(untyped.rpc.RPCError):
                    client.ping(worker="w")


def test_a_worker_goes_on_with_the_token_that_replaces_one_revoked_under_its_task(
    own_redis: RedisProcess, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    (tmp_path / "my.py").write_text(MODULE)
    with closing(Scheduler(own_redis.url, "rotated")) as scheduler:
        server = start_server("--redis", own_redis.url, "--namespace", "rotated", "--require-login").await_ready()
        first, second = make(scheduler), make(scheduler)
        (tmp_path / "token").write_text(first.secret)
        worker = Program(
            *("run", "my", "Slow", "--scheduler-url", server.url, "--token-file", "token"),
            *("--workers", "2", "--set", "ping_interval=0.1"),
            cwd=tmp_path,
            env=environment_with(),
        )
        until((tmp_path / "begun").exists, "the task runs")
        assert scheduler.drive(revoke_token(scheduler.namespace, first.id))
        until(lambda: refused_now(server, first.secret), "the server refuses it")
        (tmp_path / "new").write_text(second.secret)
        os.replace(tmp_path / "new", tmp_path / "token")
        (tmp_path / "go").touch()
        out, err = worker.communicate()
        assert worker.returncode == 0, err
        assert [each["status"] for each in scheduler.task_list().values()] == ["DONE"]
        assert first.secret not in out + err and second.secret not in out + err


def refused_now(server: ServerProcess, token: str) -> bool:
    return server.request("GET", "/api/is_paused", headers=bearer(token)).status == 401


def test_a_worker_whose_token_is_no_good_ends_at_once_and_says_so(
    own_redis: RedisProcess, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    (tmp_path / "my.py").write_text(MODULE)
    with closing(Scheduler(own_redis.url, "ended")) as scheduler:
        server = start_server("--redis", own_redis.url, "--namespace", "ended", "--require-login").await_ready()
        token = make(scheduler, seconds=0.01)
        until(lambda: refused_now(server, token.secret), "it has expired")
        ended = Program(
            *("worker", "--scheduler-url", server.url),
            cwd=tmp_path,
            env=environment_with(BSCHED_TOKEN=token.secret),
        )
        _, err = ended.communicate()
        assert ended.returncode == 1 and "This token has expired" in err and token.secret not in err

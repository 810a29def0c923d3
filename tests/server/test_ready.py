"""`/readyz`: what it looks at, and what it does not cost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker_sched.server import AppConfig, create_app
from tests.harness import RedisProcess, ServerProcess
from tests.servers import until

Start = Callable[..., ServerProcess]
opened: list[tuple[str, Any]] = []
is_watching = False


def watch(event: str, details: Any) -> None:
    if is_watching and event in ("open", "os.listdir", "os.scandir"):
        opened.append((event, details))


def test_it_opens_no_file(own_redis: RedisProcess) -> None:
    sys.addaudithook(watch)

    async def act() -> None:
        global is_watching
        app = create_app(AppConfig(own_redis.url, "files"))
        async with app.running():
            app.scheduler._permitted_at -= 3600  # so that permissions are looked at, too
            is_watching = True
            for _ in range(3):
                assert await app.scheduler.why_not_ready() is None
            is_watching = False

    asyncio.run(act())
    assert opened == []


def test_a_server_whose_redis_has_become_a_replica_is_not_ready(
    mortal_redis: RedisProcess, start_server: Start, tmp_path: Path
) -> None:
    server = start_server("--redis", mortal_redis.url).await_ready()
    assert server.request("GET", "/readyz").status == 200
    primary = RedisProcess(tmp_path)
    try:
        mortal_redis.client.replicaof("127.0.0.1", primary.port)
        reply = server.request("GET", "/readyz")
        assert reply.status == 503
        assert "replica" in reply.json()["reason"]
        assert server.request("GET", "/healthz").status == 200
        mortal_redis.client.replicaof("NO", "ONE")
        until(lambda: server.request("GET", "/readyz").status == 200, "it is ready again")
    finally:
        primary.kill()

"""Servers of a namespace in the test's own event loop, what happens in it, and who listens."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from broker_sched import Scheduler
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.server.app import App, AppConfig
from tests.conftest import DEFAULT_KIND, running
from tests.server.events.pages import AppPage


@dataclass
class Site:
    """A namespace of its own, two servers of it, and a client straight to Redis."""

    url: str
    name: str
    apps: list[App]

    @property
    def app(self) -> App:
        return self.apps[0]

    async def call(self, method: str, **arguments: Any) -> Any:
        return await self.app.scheduler.invoke(METHODS[method], arguments)

    async def add(self, task_id: str, family: str = "F", status: str = "PENDING") -> None:
        await self.call("add_task", worker="w", task_id=task_id, family=family, status=status)

    async def change(self, count: int = 1, family: str = "F") -> None:
        """So many changes of a status, from PENDING to FAILED, each of another task."""
        for _ in range(count):
            await self.add(f"t-{uuid.uuid4().hex[:12]}", family, "FAILED")

    async def direct(self, commands: Callable[[Any], Any]) -> Any:
        """Carry out the commands of an operation, as another program does."""
        return await self.app.scheduler.drive(commands(self.app.scheduler.namespace))

    def put_events(self, count: int, family: str = "F", task_id: str = "t") -> None:
        """Add so many entries to the stream at once. task_id: how their ids begin."""
        namespace = self.app.scheduler.namespace
        with running(DEFAULT_KIND).client() as client, client.pipeline(transaction=False) as pipeline:
            for number in range(count):
                fields = {"task_id": f"{task_id}{number}", "family": family, "from": "PENDING", "to": "DONE"}
                pipeline.xadd(namespace.key("events"), {**fields, "worker": "", "time": "1"})
            pipeline.execute()

    async def listen(self, after: str | None = None, headers: Mapping[str, str] | None = None, app: int = 0) -> AppPage:
        """Open a page, which has heard the first event."""
        page = AppPage(self.apps[app], "/events" if after is None else f"/events?after={after}", headers)
        await page.until(lambda: page.named("start"), "it begins")
        return page


@contextlib.asynccontextmanager
async def site(servers: int = 1, kind: str = DEFAULT_KIND, **config: Any) -> AsyncIterator[Site]:
    url, name = "memory:events" if kind == "fakeredis" else running(kind).url, f"t-{uuid.uuid4().hex[:12]}"
    apps = [App(AppConfig(url, name, **config)) for _ in range(servers)]
    async with contextlib.AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(app.running())
        yield Site(url, name, apps)
    with contextlib.closing(Scheduler(url, name)) as scheduler:
        assert scheduler.verify() == []


def run(act: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        await asyncio.wait_for(act(), 60)

    asyncio.run(in_time())

"""The application in the process of the tests, asked as an ASGI server would: cheaper than a server of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Mapping
from typing import Any

from argon2 import PasswordHasher

from broker_sched.contract.roles import Role
from broker_sched.server.access.caller import KEY, Caller
from broker_sched.server.app import App, AppConfig
from tests.harness import PATIENCE_SECONDS, Reply

# Of a request of which nobody asks from whom it comes: what `App` puts into scope["state"].
ANONYMOUS = {KEY: Caller("", "anonymous", Role.ADMIN, "all", "")}
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def basic(name: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def user_line(name: str, password: str, *roles: str) -> str:
    """A line of the users file, with a hash that costs next to nothing."""
    return f"{name}:{CHEAP.hash(password)}:{' '.join(roles)}\n"


class InProcess:
    """An `App` that runs, on an event loop of its own. Use it in a `with` block."""

    def __init__(self, config: AppConfig) -> None:
        self.app = App(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> InProcess:
        self._thread.start()
        self._running = self.app.running()
        try:
            self._do(self._running.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._do(self._running.__aexit__(None, None, None))
        self._do(self._settle())
        self._end()

    def request(
        self,
        verb: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        client: str = "192.0.2.1",
        server: str = "127.0.0.1",
        extensions: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Answer one request, which comes from the address `client`."""
        given = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        if b"host" not in dict(given):
            given.append((b"host", b"localhost"))
        where, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": verb,
            "path": where,
            "raw_path": where.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"content-length", b"%d" % len(body)), *given],
            "client": (client, 50000),
            "server": (server, 8082),
            "extensions": dict(extensions or {}),
        }
        return self._do(self._answer(scope, body))  # type: ignore[no-any-return]

    def call(self, method: str, headers: Mapping[str, str] | None = None, /, **arguments: Any) -> Reply:
        """POST a call of a method."""
        kind = {"content-type": "application/json"}
        return self.request("POST", f"/api/{method}", json.dumps(arguments).encode(), {**kind, **(headers or {})})

    async def _answer(self, scope: dict[str, Any], body: bytes) -> Reply:
        sent: list[Any] = []
        ended = asyncio.Event()
        left = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if left:
                return left.pop()
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        ended.set()
        start, *parts = sent
        found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Reply(start["status"], found, b"".join(part.get("body", b"") for part in parts))

    async def _settle(self) -> None:
        """Let asyncio notice that a process for frequent looks has ended, which its transport does in several steps."""
        gone = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if gone:
            await asyncio.wait(gone, timeout=PATIENCE_SECONDS)
        for _ in range(10):
            await asyncio.sleep(0)

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

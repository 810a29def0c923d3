"""Who listens to `/events` in tests: over HTTP as a page does, or straight at an `App` in the test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from broker_sched.server.app import App
from tests.servers import until


class Event(NamedTuple):
    name: str
    id: str | None
    data: dict[str, Any]
    retry_ms: int | None
    at: float  # monotonic


class Parser:
    """Makes events of what comes. comments: how many lines were none."""

    def __init__(self) -> None:
        self._rest = b""
        self.comments = 0

    def feed(self, data: bytes) -> list[Event]:
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        found = []
        for block in whole:
            lines = block.decode().split("\n")
            self.comments += sum(line.startswith(":") for line in lines)
            fields = dict(line.split(": ", 1) for line in lines if ": " in line)
            if "event" in fields:
                retry = fields.get("retry")
                data_of = json.loads(fields["data"])
                retry_ms = None if retry is None else int(retry)
                found.append(Event(fields["event"], fields.get("id"), data_of, retry_ms, time.monotonic()))
        return found


class Heard:
    """What a listener has heard."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.parser = Parser()
        self.raw = b""

    def take(self, data: bytes) -> None:
        self.raw += data
        self.events += self.parser.feed(data)

    def named(self, *names: str) -> list[Event]:
        return [event for event in self.events if event.name in names]

    @property
    def last_id(self) -> str | None:
        return next((event.id for event in reversed(self.events) if event.id), None)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By how much each family's statuses have changed in all."""
        sums: dict[str, Counter[str]] = {}
        for event in self.named("change"):
            for family, counts in event.data["families"].items():
                sums.setdefault(family, Counter()).update(counts)
        return {family: {name: n for name, n in counts.items() if n} for family, counts in sums.items()}


class HTTPPage(Heard):
    """A page that listens over a connection of its own, in a thread, until it is closed or the server ends."""

    def __init__(self, url: str, after: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        given = {"Host": parts.netloc, **(headers or {}), **({"Last-Event-ID": after} if after else {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self._socket.sendall(f"GET /events HTTP/1.1\r\n{lines}\r\n".encode())
        self.status = 0
        self.has_ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return until(condition, f"{what}; heard: {self.events[-5:]}")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def _read(self) -> None:
        ended = contextlib.suppress(OSError, ValueError, IndexError)
        with ended, self._socket, self._socket.makefile("rb") as stream:
            self.status = int(stream.readline().split()[1])
            while stream.readline() not in (b"\r\n", b""):
                pass
            while size := int(stream.readline().strip() or b"0", 16):
                self.take(stream.read(size))
                stream.readline()
        self.has_ended = True


class AppPage(Heard):
    """A page that listens at an application in this event loop. is_slow: it reads nothing until told to."""

    def __init__(
        self,
        app: App,
        path: str = "/events",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        **scope: Any,
    ) -> None:
        super().__init__()
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._gone = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()
        self._has_asked = False
        self._body = body
        where, _, query = path.partition("?")
        given = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        made = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": "GET",
            "path": where,
            "raw_path": where.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % len(body)), *given],
            "client": ("192.0.2.1", 50000),
            "server": ("127.0.0.1", 8082),
            "extensions": {},
        }
        self.task = asyncio.create_task(app({**made, **scope}, self._receive, self._send))

    def stop_reading(self) -> None:
        self._reads.clear()

    def read_on(self) -> None:
        self._reads.set()

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
        return await until_true(condition, f"{what}; heard: {self.events[-5:]}", seconds)

    async def leave(self) -> None:
        self._gone.set()
        self._reads.set()
        await asyncio.wait_for(self.task, 5)

    async def _receive(self) -> dict[str, Any]:
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            return
        await self._reads.wait()
        self.take(message["body"])


async def until_true(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Wait in the event loop until the condition gives something true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain until {what}"
        await asyncio.sleep(0.01)
    return found


def merged(entries: Iterable[tuple[str, Mapping[str, str]]]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """What an event shall tell of these entries of the stream in Redis: counts by family, and the tasks' statuses."""
    families: dict[str, Counter[str]] = {}
    tasks = {}
    for _, fields in entries:
        counts = families.setdefault(fields["family"], Counter())
        counts[fields["from"]] -= 1
        counts[fields["to"]] += 1
        tasks[fields["task_id"]] = fields["to"]
    return {family: {name: n for name, n in counts.items() if n} for family, counts in families.items()}, tasks

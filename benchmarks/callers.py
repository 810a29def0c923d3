"""Two ways to call a scheduler, alike for the caller: over HTTP on one kept connection, and straight to Redis."""

from __future__ import annotations

import http.client
import json
from typing import Any, Protocol
from urllib.parse import urlencode

from broker_sched import Scheduler


class Caller(Protocol):
    """Calls a method of the contract."""

    def call(self, method: str, **arguments: Any) -> Any:
        """The method's result."""


class OverHTTP:
    """The plainest client there is, the same for both servers."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def call(self, method: str, **arguments: Any) -> Any:
        """POST a form, as Luigi's client does."""
        body = urlencode({"data": json.dumps(arguments)})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", f"/api/{method}", body, headers)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{method}: {reply.status} {text[:500]!r}")
        return json.loads(text)["response"]


class Direct:
    """`Scheduler`, without a server."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self._scheduler = Scheduler(redis_url, namespace, prune_interval_seconds=None)

    def call(self, method: str, **arguments: Any) -> Any:
        """Call it as a program would."""
        return getattr(self._scheduler, method)(**arguments)


def open_caller(target: int | tuple[str, str]) -> Caller:
    """A port of 127.0.0.1, or (Redis URL, namespace)."""
    return OverHTTP(target) if isinstance(target, int) else Direct(*target)

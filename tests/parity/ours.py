"""Our scheduler as a side of a pair, each on a namespace of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.scheduler.scheduler import Scheduler


class Ours:
    """The scheduler under test."""

    def __init__(self, url: str, clock: Callable[[], float], options: dict[str, Any]) -> None:
        namespace = f"parity-{uuid.uuid4().hex[:12]}"
        self.scheduler = Scheduler(url, namespace=namespace, clock=clock, prune_interval_seconds=None, **options)

    def call(self, method: str, arguments: dict[str, Any]) -> Any:
        """Call a method as the wire does, which ignores arguments where Luigi's does; errors are raised."""
        return self.scheduler._invoke(METHODS[method], dict(arguments))

    def problems(self) -> list[str]:
        """What the scheduler's own consistency check finds, where it has one."""
        verify = getattr(self.scheduler, "verify", None)
        return list(verify()) if verify else []

    def close(self) -> None:
        """Delete the namespace's keys."""
        client, prefix = self.scheduler._client, self.scheduler.namespace.prefix
        keys = list(client.scan_iter(match=f"{prefix}*", count=1000))
        for start in range(0, len(keys), 500):
            client.delete(*keys[start : start + 500])
        self.scheduler.close()


class OursFactory:
    """Makes sides on one Redis."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, clock: Callable[[], float], options: dict[str, Any]) -> Ours:
        return Ours(self._url, clock, options)

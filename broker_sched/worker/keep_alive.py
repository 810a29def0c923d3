"""Whether a worker that has nothing to do waits for more. Source: luigi.worker.Worker._keep_alive, 3.8.1."""

from __future__ import annotations

import math
import time

from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.work_source import Work


class KeepAlive:
    """Remembers since when a worker is idle, and says whether it waits for more work."""

    def __init__(self, config: WorkerConfig, is_assistant: bool) -> None:
        self._config = config
        self._is_assistant = is_assistant
        self._idle_since: float | None = None

    def note_busy(self) -> None:
        """Note that the worker has something to do, so that it is not idle."""
        self._idle_since = None

    def should_stay(self, work: Work) -> bool:
        """Return whether the worker waits for more. work: a reply that handed out nothing, whose counts decide it."""
        config = self._config
        self._idle_since = self._idle_since or time.monotonic()
        if not config.keep_alive:
            return False
        if self._is_assistant:
            return True
        if config.count_last_scheduled:
            return work.n_last_scheduled > 0
        if config.count_uniques:
            return work.n_unique > 0
        if work.n_pending == 0:
            return False
        longest = config.max_keep_alive_idle_duration
        return not longest or time.monotonic() - self._idle_since < longest

    def seconds_left(self) -> float:
        """Return the seconds until max_keep_alive_idle_duration is over; infinity where it has no effect."""
        longest = self._config.max_keep_alive_idle_duration
        if not longest or self._idle_since is None or self._is_assistant:
            return math.inf
        return max(0.0, self._idle_since + longest - time.monotonic())

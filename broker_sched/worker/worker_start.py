"""How a worker makes itself known: its name, what it tells of itself, and the id of this start."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from broker_sched import __version__
from broker_sched.errors import NameTaken
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.retrying_scheduler import RetryingScheduler

log = logging.getLogger("bsched.worker")
TAKEN_SECONDS = 15.0  # a former worker of this name that is still heard of after so long lives
TAKEN_INTERVALS = 5  # or after so many ping intervals, where they are long
AGAIN_SECONDS = 1.0  # between two attempts


class WorkerStart:
    """Makes a worker known to the scheduler.

    info: what the worker says of itself; with it go config's ping_interval, by which the scheduler judges a silence,
    and our version. start_id: of this worker object; a new process under an old name has another one, by which the
    scheduler knows that what the former one ran is lost. wait: passes that many seconds usefully. is_pointless: whether
    not to go on.
    """

    def __init__(
        self,
        scheduler: RetryingScheduler,
        worker_id: str,
        info: list[tuple[str, Any]],
        config: WorkerConfig,
        wait: Callable[[float, str], None],
        is_pointless: Callable[[str], bool],
    ) -> None:
        self.start_id = uuid.uuid4().hex
        self._has_name = False
        self._scheduler = scheduler
        self._worker_id = worker_id
        self._info = [*info, ("ping_interval", config.ping_interval), ("version", __version__)]
        self._taken_seconds = max(TAKEN_SECONDS, TAKEN_INTERVALS * config.ping_interval)
        self._wait = wait
        self._is_pointless = is_pointless

    def has_name(self) -> bool:
        """Return whether the scheduler has taken this worker for the one of its name."""
        return self._has_name

    def announce_worker(self, more: list[tuple[str, Any]]) -> None:
        """Make the worker known, with this info besides. A former worker of its name that may run tasks is waited for.

        Raises NameTaken when that one lives.
        """
        info = [*self._info, *more]
        deadline = time.monotonic() + self._taken_seconds
        is_told = False
        while True:
            try:
                self._scheduler.call("add_worker", worker=self._worker_id, info=info, start_id=self.start_id)
                self._has_name = True
                return
            except NameTaken as error:
                if time.monotonic() >= deadline or self._is_pointless("add_worker"):
                    raise
                if not is_told:
                    log.warning("%s If that has ended, this one begins in a few seconds.", error)
                is_told = True
            self._wait(AGAIN_SECONDS, "add_worker")

"""Prunes once a second, one process at a time."""

from __future__ import annotations

import asyncio
import logging

from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.operations import OPERATIONS

log = logging.getLogger("bsched.server")

INTERVAL_SECONDS = 1.0
LOCK_MILLISECONDS = 900  # less than the interval, so that one process alone prunes at each turn


async def prune_for_ever(scheduler: AsyncScheduler, interval_seconds: float = INTERVAL_SECONDS) -> None:
    """Prune at each turn unless another process on the namespace does. A lasting error is logged once."""
    logged: str | None = None
    while True:
        await asyncio.sleep(interval_seconds)
        try:
            if await scheduler.take_lock("prune_lock", LOCK_MILLISECONDS):
                await scheduler.drive(OPERATIONS["prune"](scheduler.namespace))
        except Exception as error:  # whatever it is, the timer goes on
            if logged is None:
                log.warning("Pruning failed and is tried again every second: %s", error)
            logged = str(error)
        else:
            if logged is not None:
                log.warning("Pruning works again.")
            logged = None

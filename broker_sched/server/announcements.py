"""A server process makes itself known to its namespace, for whoever looks at it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator

from broker_sched import __version__
from broker_sched.contract.validation import to_json
from broker_sched.errors import BrokerSchedError
from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.execution import one

INTERVAL_SECONDS = 15.0
LEAVING_SECONDS = 0.5  # that a process which ends may take to say so


@contextlib.asynccontextmanager
async def announced(
    scheduler: AsyncScheduler, address: str | None, interval_seconds: float = INTERVAL_SECONDS
) -> AsyncIterator[None]:
    """Tell every so many seconds that this process serves the namespace, as long as the block lasts.

    address: where it listens, for people; None where that is not known. Nothing is raised: others can do without it.
    """
    told = {"host": socket.gethostname(), "pid": os.getpid(), "version": __version__}
    entry = to_json("server", {**told, "address": address, "started": time.time()})
    announcing = asyncio.create_task(_announce_for_ever(scheduler, entry, interval_seconds))
    try:
        yield
    finally:
        announcing.cancel()
        with contextlib.suppress(BrokerSchedError, asyncio.TimeoutError):
            await asyncio.wait_for(_announce(scheduler, ""), LEAVING_SECONDS)


async def _announce_for_ever(scheduler: AsyncScheduler, entry: str, interval_seconds: float) -> None:
    while True:
        with contextlib.suppress(BrokerSchedError):  # the prune timer logs that Redis is away
            await _announce(scheduler, entry)
        await asyncio.sleep(interval_seconds)


async def _announce(scheduler: AsyncScheduler, entry: str) -> None:
    await scheduler.drive(one(Call("announce_server", server=scheduler.id, entry=entry)))

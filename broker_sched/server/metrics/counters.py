"""What a server process counts itself: how long calls took, and how often Redis failed it.

It is added to the namespace every few seconds, and before metrics are read. So all servers say the same, and a process
that is killed takes with it what it counted in these seconds; no count goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import AsyncIterator

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.errors import BrokerSchedError
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.metric_counts import RPC_ENDS, add_up

INTERVAL_SECONDS = 5.0
LEAVING_SECONDS = 0.5  # that a process which ends may take to tell the last


class Counters:
    """Counts calls by method and duration, until they are taken."""

    def __init__(self, scheduler: AsyncScheduler) -> None:
        self._scheduler = scheduler
        self._calls: dict[str, list[float]] = {}  # by method: how many in each bucket, then the sum (s)

    def note_call(self, method: str, seconds: float) -> None:
        """Count a call that took so long. Unknown methods are not counted: their names are the callers'."""
        counts = self._calls.get(method)
        if counts is None:
            if method not in METHODS:
                return
            counts = self._calls[method] = [0.0] * (len(RPC_ENDS) + 2)
        counts[bisect_left(RPC_ENDS, seconds)] += 1
        counts[-1] += seconds

    def take(self) -> dict[str, float]:
        """Return what was counted since the last time, by field of `server_metrics`; it is counted here no more."""
        calls, self._calls = self._calls, {}
        taken: dict[str, float] = {}
        for method, (*buckets, total) in calls.items():
            taken.update({f"rpc:{method}:{number}": count for number, count in enumerate(buckets, 1) if count})
            taken[f"rpc_sum:{method}"] = total
        if errors := self._scheduler.take_redis_errors():
            taken["redis_errors"] = float(errors)
        return taken

    def give_back(self, taken: dict[str, float]) -> None:
        """Count once more what could not be told."""
        for field, amount in taken.items():
            kind, _, rest = field.partition(":")
            method, _, number = rest.partition(":")
            if kind == "redis_errors":
                self._scheduler.give_back_redis_errors(int(amount))
                continue
            counts = self._calls.setdefault(method, [0.0] * (len(RPC_ENDS) + 2))
            counts[int(number) - 1 if number else -1] += amount

    async def tell(self) -> None:
        """Add what was counted to the namespace. Raises BrokerSchedError when that is not possible; nothing is lost."""
        taken = self.take()
        try:
            await self._scheduler.drive(add_up(taken))
        except BaseException:
            self.give_back(taken)
            raise


@contextlib.asynccontextmanager
async def telling(counters: Counters, interval_seconds: float = INTERVAL_SECONDS) -> AsyncIterator[None]:
    """Tell every so many seconds what was counted, as long as the block lasts, and once more at its end."""
    task = asyncio.create_task(_tell_for_ever(counters, interval_seconds))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(BrokerSchedError, asyncio.TimeoutError, asyncio.CancelledError):
            await task
        with contextlib.suppress(BrokerSchedError, asyncio.TimeoutError):
            await asyncio.wait_for(counters.tell(), LEAVING_SECONDS)


async def _tell_for_ever(counters: Counters, interval_seconds: float) -> None:
    while True:
        await asyncio.sleep(interval_seconds)
        with contextlib.suppress(BrokerSchedError):  # the prune timer logs that Redis is away
            await counters.tell()

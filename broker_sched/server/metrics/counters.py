"""What a server process counts itself: how long calls took, and how often Redis failed it.

It is added to the namespace every few seconds, and before metrics are read. So all servers say the same, and a process
that is killed takes with it what it counted in these seconds; no count goes back. What was sent, and has no answer yet,
is sent again under its name: so it is counted once, whatever becomes of who waited for the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from bisect import bisect_left
from collections.abc import AsyncIterator
from typing import NamedTuple

from broker_sched.contract.request_ids import Request
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.errors import BrokerSchedError
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.metric_counts import NOTES, RPC_ENDS, add_counted, add_up

INTERVAL_SECONDS = 5.0
LEAVING_SECONDS = 0.5  # that a process which ends may take to tell the last


class _Sent(NamedTuple):
    """What was counted, by field, and the number under which it is sent."""

    number: int
    counted: dict[str, float]


class Counters:
    """Counts calls by method and duration, until they are told."""

    def __init__(self, scheduler: AsyncScheduler) -> None:
        self._scheduler = scheduler
        self._calls: dict[str, list[float]] = {}  # by method: how many in each bucket, then the sum (s)
        self._numbers = itertools.count()
        self._unanswered: _Sent | None = None
        self._turn = asyncio.Lock()

    def note_call(self, method: str, seconds: float) -> None:
        """Count a call that took so long. Unknown methods are not counted: their names are the callers'."""
        counts = self._calls.get(method)
        if counts is None:
            if method not in METHODS:
                return
            counts = self._calls[method] = [0.0] * (len(RPC_ENDS) + 2)
        counts[bisect_left(RPC_ENDS, seconds)] += 1
        counts[-1] += seconds

    async def tell(self) -> None:
        """Add what was counted to the namespace, and have the notes of scripts added up there.

        Raises BrokerSchedError when that is not possible; nothing is lost.
        """
        async with self._turn:
            if self._unanswered is not None:
                await self._send(self._unanswered, is_repetition=True)
            self._unanswered = _Sent(next(self._numbers), self._take())
            if await self._send(self._unanswered, is_repetition=False) >= NOTES:
                await self._scheduler.drive(add_up())

    async def _send(self, sent: _Sent, is_repetition: bool) -> int:
        request = Request(f"{self._scheduler.id}.counters", str(sent.number), is_repetition)
        left = await self._scheduler.drive(add_counted(sent.counted), request)
        self._unanswered = None
        return left

    def _take(self) -> dict[str, float]:
        """Return what was counted since the last time, by field of `server_metrics`; it is counted here no more."""
        calls, self._calls = self._calls, {}
        taken: dict[str, float] = {}
        for method, (*buckets, total) in calls.items():
            taken.update({f"rpc:{method}:{number}": count for number, count in enumerate(buckets, 1) if count})
            taken[f"rpc_sum:{method}"] = total
        if errors := self._scheduler.take_redis_errors():
            taken["redis_errors"] = float(errors)
        return taken


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

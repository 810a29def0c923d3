"""Reads what /metrics and /scale tell: once for all who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from broker_sched.errors import RedisUnavailable
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.metrics_reading import MetricsReading, read_metrics, read_scale
from broker_sched.server.metrics.counters import Counters

SCALES_AT_ONCE = 1  # each reads as much as a scrape


class Scraping:
    """Answers /metrics and /scale of a server process."""

    def __init__(self, scheduler: AsyncScheduler, counters: Counters) -> None:
        self._scheduler = scheduler
        self._counters = counters
        self._reading: asyncio.Task[MetricsReading] | None = None
        self._scales = asyncio.Semaphore(SCALES_AT_ONCE)

    async def metrics(self, accept: str, *, with_names: bool = True) -> tuple[bytes, str]:
        """Return the text for Prometheus and its content type. accept: the header Accept. with_names: see exposition.

        An unreachable Redis is told, too.
        """
        try:
            reading: MetricsReading | None = await self._read()
        except RedisUnavailable:
            reading = None
        return await asyncio.to_thread(_exposition, reading, accept, with_names)

    async def scale(self, families: Sequence[str]) -> dict[str, object]:
        """Return how many slots could be used, for an autoscaler: of these families, or of all when there are none."""
        async with self._scales:
            demand = await self._scheduler.drive(read_scale(self._scheduler.namespace, list(families) or None))
        return {
            "namespace": self._scheduler.namespace.name,
            "families": list(families) or None,
            "wanted_slots": demand.wanted,
            "running": demand.running,
            "runnable": demand.runnable,
            "exact": demand.is_exact,
        }

    async def _read(self) -> MetricsReading:
        """Read, or wait for who is reading. Whoever asks goes away alone."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_now())
            self._reading.add_done_callback(self._after_reading)
        return await asyncio.shield(self._reading)

    async def _read_now(self) -> MetricsReading:
        await self._counters.tell()
        return await self._scheduler.drive(read_metrics(self._scheduler.namespace))

    def _after_reading(self, task: asyncio.Task[MetricsReading]) -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()  # whoever waited has it


def _exposition(reading: MetricsReading | None, accept: str, with_names: bool) -> tuple[bytes, str]:
    from broker_sched.server.metrics.exposition import exposition  # prometheus-client is loaded when somebody asks

    return exposition(reading, accept, with_names=with_names)

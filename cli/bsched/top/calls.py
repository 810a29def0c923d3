"""Calls of a scheduler beside the loop that draws: one that hangs, or waits for a Redis that is away, stops no key."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from queue import SimpleQueue
from typing import Any

THREADS = 3  # one may wait for an answer that does not come


class Calls:
    """Carries calls in threads that end with the process, whatever they wait for.

    made: how many calls there were of each method. seconds: how long all of them together waited for their replies.
    """

    def __init__(self, scheduler: Any) -> None:
        self.made: Counter[str] = Counter()
        self.seconds = 0.0
        self._scheduler = scheduler
        self._waiting: SimpleQueue[tuple[asyncio.Future[Any], str, dict[str, Any]]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the scheduler and return its reply. Raises what that raises."""
        if len(self._threads) < THREADS:
            self._threads.append(threading.Thread(target=self._work, daemon=True, name="bsched-top"))
            self._threads[-1].start()
        self.made[method] += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.put((future, method, arguments))
        return await future

    def _work(self) -> None:
        while True:
            future, method, arguments = self._waiting.get()
            reply, error, began = None, None, time.monotonic()
            try:
                reply = getattr(self._scheduler, method)(**arguments)
            except Exception as raised:
                error = raised
            took = time.monotonic() - began
            try:
                future.get_loop().call_soon_threadsafe(self._settle, future, reply, error, took)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _settle(self, future: asyncio.Future[Any], reply: Any, error: Exception | None, took: float) -> None:
        self.seconds += took
        if future.done():  # whoever waited has been cancelled
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(reply)

"""Memory that requests share: who finds too little left waits for its turn."""

from __future__ import annotations

import asyncio
from collections import deque

from broker_sched.server.responses import RETRY_AFTER, RequestRefused

WAIT_SECONDS = 30.0  # for a turn; then the client hears that it shall come again


class Budget:
    """Hands out so many bytes in all. Who comes first is served first; who wants more than all of them gets all."""

    def __init__(self, total_bytes: int) -> None:
        self._total = self._free = total_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> int:
        """Take so many bytes once they are free. Returns what is to be given back. Raises RequestRefused (503)."""
        size = min(size, self._total)
        if size <= self._free and not self._waiting:
            self._free -= size
            return size
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await asyncio.wait({turn}, timeout=WAIT_SECONDS)
        except asyncio.CancelledError:  # its client has gone
            if turn.done():
                self.give_back(size)
            raise
        finally:
            if not turn.done():
                self._waiting.remove((size, turn))
                self._serve_waiting()  # who comes next may want less
        if not turn.done():
            message = f"Large requests and answers have filled the server's memory for {WAIT_SECONDS:g} s. Try again."
            raise RequestRefused(503, "Busy", message, [RETRY_AFTER])
        return size

    def give_back(self, size: int) -> None:
        """Give so many bytes back, for those who wait."""
        self._free += size
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            self._free -= size
            turn.set_result(None)

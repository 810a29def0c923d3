"""What was found in Redis about a secret counts for half a second, so that few requests ask there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

SECONDS = 0.5  # for so long a token that was revoked may still be good
MOST = 10_000  # wrong ones are remembered, too, and anybody may make up some


class Remembered(Generic[T]):
    """Remembers for half a second what a look has found. Those who ask meanwhile wait for the one look.

    look: finds what belongs to the digest of a secret; called in the event loop.
    """

    def __init__(self, look: Callable[[str], Awaitable[T]]) -> None:
        self._look = look
        self._kept: dict[str, tuple[float, asyncio.Future[T]]] = {}

    async def find(self, digest: str) -> T:
        """Return what the look finds, or has found a moment ago. Raises what it raises, which is not remembered."""
        now = asyncio.get_running_loop().time()
        until, found = self._kept.get(digest, (0.0, None))
        if found is None or until <= now:
            if len(self._kept) >= MOST:
                self._kept.clear()
            found = asyncio.ensure_future(self._look(digest))
            found.add_done_callback(lambda future: self._forget_failure(digest, future))
            self._kept[digest] = now + SECONDS, found
        return found.result() if found.done() else await asyncio.shield(found)

    def forget(self, digest: str) -> None:
        """Look again when this one is asked for next."""
        self._kept.pop(digest, None)

    def forget_all(self) -> None:
        """Look again whoever is asked for next."""
        self._kept.clear()

    def _forget_failure(self, digest: str, future: asyncio.Future[T]) -> None:
        if future.cancelled() or future.exception() is not None:
            _, kept = self._kept.get(digest, (0.0, None))
            if kept is future:
                del self._kept[digest]

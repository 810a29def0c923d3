"""Calls that only look are answered by a process of their own, once they come often.

Such a call takes some 10 to 100 ms of a processor, in short steps. Now and then it is answered as any other. Asked
without a pause, its steps would stand in the way of every get_work: then another process is started, which goes behind
for the processor, and has a connection of its own. What many pages ask at once is answered together; their answers
leave one after the other, so that this process is never busy with many of them while a worker waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from starlette.types import Scope

from broker_sched.server.large_calls import LargeCalls
from broker_sched.server.responses import Answer, RequestRefused

OFTEN = 6  # calls
OFTEN_SECONDS = 3.0  # in so long a time
ANSWERS_AT_ONCE = 2  # that leave without a pause
ANSWERS_A_SECOND = 400  # more than that wait: each takes this process 0.1 to 0.2 ms


class Spacing:
    """Says when the next of many answers may leave."""

    def __init__(self) -> None:
        self._next = 0.0

    def delay(self, now: float) -> float:
        """Return the seconds to wait, and count one more answer. now: a time that only grows."""
        gap = 1 / ANSWERS_A_SECOND
        self._next = max(self._next, now - ANSWERS_AT_ONCE * gap) + gap
        return max(0.0, self._next - now)


class FrequentLooks:
    """Passes calls that only look on to a process, while they come often. calls: starts it, and ends it again."""

    def __init__(self, calls: LargeCalls) -> None:
        self._calls = calls
        self._spacing = Spacing()
        self._came_at: deque[float] = deque(maxlen=OFTEN)  # event loop time

    async def answer(self, name: str, scope: Scope, parts: Sequence[bytes]) -> Answer | None:
        """Return the other process's answer to a call of this method; None: this one shall answer it."""
        now = asyncio.get_running_loop().time()
        self._came_at.append(now)
        if not self._calls.is_ready:
            if len(self._came_at) == OFTEN and now - self._came_at[0] < OFTEN_SECONDS:
                self._calls.begin_to_start()
            return None
        try:
            answer = await self._calls.answer(name, scope, parts)
        except RequestRefused:  # it has just ended
            return None
        await self.turn()
        return answer

    async def turn(self) -> None:
        """Wait until the answer to one more look may leave."""
        delay = self._spacing.delay(asyncio.get_running_loop().time())
        if delay:
            await asyncio.sleep(delay)

    async def close(self) -> None:
        """End the process, as LargeCalls does, if it was started."""
        await self._calls.close()

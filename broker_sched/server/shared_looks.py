"""Equal questions of pages that ask since they heard of the same change are answered together.

A page that asks anew says how far it has heard, in the header Bsched-Seen. Where this process has read as far when it
began to look, the answer shows all that the page has heard of, and will do. So a change costs one look for each
question, however many pages ask it; and no page gets an answer that is older than what made it ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from broker_sched.scheduler.event_feed import EventFeed
from broker_sched.scheduler.feed_position import Position, has_reached, parse_position
from broker_sched.server.responses import Answer

SEEN = b"bsched-seen"
KEPT_SECONDS = 2.0  # some of an answer changes with time alone
MOST = 200  # questions whose answers are kept
MOST_BYTES = 256 * 1024  # of an answer that is kept


class _Look(NamedTuple):
    position: Position  # what had been read when it began
    began_at: float  # event loop time
    answer: asyncio.Task[Answer]


class SharedLooks:
    """Keeps the latest answer to each question for a moment. feed: what this process has read of the changes."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed
        self._looks: dict[Hashable, _Look] = {}

    async def answer(self, question: Hashable, seen: bytes, look: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer to a question, by a look of its own where no other will do. Raises what the look raises.

        seen: how far whoever asks has heard, as an event has told it.
        """
        wanted, now = parse_position(seen), asyncio.get_running_loop().time()
        former = self._looks.get(question)
        if former is not None and wanted is not None and _is_good(former, wanted, now):
            return await asyncio.shield(former.answer)
        task = asyncio.ensure_future(look())
        if (position := self._feed.position) is not None:
            self._keep(question, _Look(position, now, task))
        return await asyncio.shield(task)

    def _keep(self, question: Hashable, look: _Look) -> None:
        self._looks.pop(question, None)
        while len(self._looks) >= MOST or (self._looks and self._is_old(next(iter(self._looks)), look.began_at)):
            del self._looks[next(iter(self._looks))]
        self._looks[question] = look
        look.answer.add_done_callback(lambda task: self._forget_if_bad(question, task))

    def _is_old(self, question: Hashable, now: float) -> bool:
        return now - self._looks[question].began_at > KEPT_SECONDS

    def _forget_if_bad(self, question: Hashable, task: asyncio.Task[Answer]) -> None:
        is_good = not task.cancelled() and task.exception() is None and _may_be_kept(task.result())
        kept = self._looks.get(question)
        if not is_good and kept is not None and kept.answer is task:
            del self._looks[question]


def _is_good(look: _Look, wanted: Position, now: float) -> bool:
    return now - look.began_at <= KEPT_SECONDS and has_reached(look.position, wanted)


def _may_be_kept(answer: Answer) -> bool:
    return answer.status == 200 and len(answer.body) <= MOST_BYTES

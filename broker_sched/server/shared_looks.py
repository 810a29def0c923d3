"""Equal questions of pages that ask since they heard of the same change are answered together.

A page that asks anew says how far it has heard, in the header Bsched-Seen. Where this process has read as far when it
began to look, the answer shows all that the page has heard of, and will do. So a change costs one look for each
question, however many pages ask it; and no page gets an answer that is older than what made it ask.

Where more than 25 pages listen, those that ask the same wait for a common look. It comes four times in the time between
two looks of one page: with 200 pages once a second. Who asks without that header waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from broker_sched.scheduler.event_feed import EventFeed
from broker_sched.scheduler.feed_position import Position, has_reached, parse_position
from broker_sched.server.events.frames import pace_seconds
from broker_sched.server.frequent_looks import ANSWERS_A_SECOND, ANSWERS_AT_ONCE
from broker_sched.server.responses import Answer

SEEN = b"bsched-seen"
KEPT_SECONDS = 2.0  # some of an answer changes with time alone
PART_OF_PACE = 0.25  # between two answers to a question: as a part of the time between two looks of a page
MOST = 200  # questions whose answers are kept
MOST_BYTES = 256 * 1024  # of an answer that is kept


class _Look(NamedTuple):
    position: Position  # what had been read when it was asked for
    begins_at: float  # event loop time, which may be yet to come
    answer: asyncio.Task[Answer]
    turns: list[asyncio.Future[None]]  # of those that wait for it


class SharedLooks:
    """Keeps the latest answer to each question for a moment. feed: what this process has read of the changes."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed
        self._looks: dict[Hashable, _Look] = {}
        self._calling: set[asyncio.Task[None]] = set()

    async def answer(self, question: Hashable, seen: bytes, look: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer to a question, by a look of its own where no other will do. Raises what the look raises.

        seen: how far whoever asks has heard, as an event has told it.
        """
        wanted, now = parse_position(seen), asyncio.get_running_loop().time()
        former = self._looks.get(question)
        wait = 0.0
        if former is not None and wanted is not None:
            if _is_good(former, wanted, now):
                return await _answer_of(former)
            wait = max(0.0, former.begins_at + self._rest() - now)
        task = asyncio.ensure_future(_after(wait, look))
        if (position := self._feed.position) is not None:
            self._keep(question, _Look(position, now + wait, task, []))
        return await asyncio.shield(task)

    def _rest(self) -> float:
        """Return the seconds between two answers to a question, to so many as listen."""
        return 0.0 if self._feed.is_ending else PART_OF_PACE * pace_seconds(self._feed.listeners)

    def _keep(self, question: Hashable, look: _Look) -> None:
        self._looks.pop(question, None)
        while len(self._looks) >= MOST or (self._looks and self._is_old(next(iter(self._looks)), look.begins_at)):
            del self._looks[next(iter(self._looks))]
        self._looks[question] = look
        look.answer.add_done_callback(lambda task: self._forget_if_bad(question, task))
        look.answer.add_done_callback(lambda task: self._call(look.turns))

    def _call(self, turns: list[asyncio.Future[None]]) -> None:
        if turns:
            calling = asyncio.create_task(_call_all(turns))
            self._calling.add(calling)
            calling.add_done_callback(self._calling.discard)

    def _is_old(self, question: Hashable, now: float) -> bool:
        return now - self._looks[question].begins_at > KEPT_SECONDS

    def _forget_if_bad(self, question: Hashable, task: asyncio.Task[Answer]) -> None:
        is_good = not task.cancelled() and task.exception() is None and _may_be_kept(task.result())
        kept = self._looks.get(question)
        if not is_good and kept is not None and kept.answer is task:
            del self._looks[question]


async def _after(seconds: float, look: Callable[[], Awaitable[Answer]]) -> Answer:
    if seconds > 0:
        await asyncio.sleep(seconds)
    return await look()


async def _answer_of(look: _Look) -> Answer:
    if not look.answer.done():
        turn = asyncio.get_running_loop().create_future()
        look.turns.append(turn)
        await turn
    return look.answer.result()


async def _call_all(turns: list[asyncio.Future[None]]) -> None:
    """Let those that wait go on, one after the other: a worker's call that comes meanwhile waits for few of them."""
    for number, turn in enumerate(turns, 1):
        if not turn.done():  # it may have gone away
            turn.set_result(None)
        if number % ANSWERS_AT_ONCE == 0:
            await asyncio.sleep(ANSWERS_AT_ONCE / ANSWERS_A_SECOND)


def _is_good(look: _Look, wanted: Position, now: float) -> bool:
    """Whether it shows all that was heard by now. One that has yet to begin will, wherever that was heard."""
    is_kept = now - look.begins_at <= KEPT_SECONDS
    return look.begins_at > now or (is_kept and has_reached(look.position, wanted))


def _may_be_kept(answer: Answer) -> bool:
    return answer.status == 200 and len(answer.body) <= MOST_BYTES

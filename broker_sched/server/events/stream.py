"""One listener of the stream of events."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from broker_sched.errors import BrokerSchedError
from broker_sched.scheduler.event_feed import EventFeed, Listener, changes_between
from broker_sched.scheduler.recent_changes import Place
from broker_sched.server.access.caller import caller_of
from broker_sched.server.events import frames
from broker_sched.server.responses import RequestRefused

if TYPE_CHECKING:
    from broker_sched.server.events.endpoint import Events

HEADERS = [
    (b"content-type", b"text/event-stream; charset=UTF-8"),
    (b"x-accel-buffering", b"no"),  # nginx would keep back what is short
]
CHECK_SECONDS = (30.0, 60.0)  # after which it is looked again whether a login has run out; not for all at once
REFUSALS = (401, 403)  # with which a login is over


class Stream:
    """Tells a page what changes, until it goes, may no longer listen, or the server leaves.

    place: behind which the page wants to hear; None: from now on. A page that reads slowly is told later, and of more
    at once: nothing is kept for it but what is on the way.
    """

    def __init__(self, events: Events, feed: EventFeed, scope: Scope, place: Place | None) -> None:
        self._events = events
        self._feed = feed
        self._scope = scope
        self._place = place
        self._is_resumed = place is not None
        self._has_started = self._has_ended = self._told_away = False
        self._seen_round = self._beats = 0
        self._checks = events.checks
        self._check_at = 0.0  # event loop time

    async def serve(self, receive: Receive, send: Send) -> None:
        """Answer the request, which ends with the stream: when the page goes, its login ends or the server leaves."""
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        self._plan_check()
        with self._feed.listening() as listener:
            self._beats = self._feed.beats
            gone = asyncio.ensure_future(_until_gone(receive))
            gone.add_done_callback(lambda _: listener.woken.set())
            try:
                while not self._has_ended:
                    await listener.woken.wait()
                    listener.woken.clear()
                    if gone.done():
                        break
                    if told := await self._news(listener):
                        await send({"type": "http.response.body", "body": told, "more_body": True})
            finally:
                gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _news(self, listener: Listener) -> bytes:
        """Return all that is to be told now."""
        feed = self._feed
        if feed.is_ending:
            return self._end("leaving")
        if not await self._may_stay():
            return self._end("login")
        told = self._beat()
        if feed.is_away != self._told_away:
            self._told_away = feed.is_away
            told += frames.redis(feed.is_away)
        return told + self._changes(listener) if feed.has_begun else told

    def _changes(self, listener: Listener) -> bytes:
        told = b""
        feed = self._feed
        if not self._has_started:
            self._has_started = True
            if self._place is None:
                self._place, self._seen_round = feed.last, feed.round
            told = frames.start(self._place, self._is_resumed, self._events.reach())
        assert self._place is not None
        changes = changes_between(feed, listener, self._place)
        if changes is None:
            told += frames.reset(self._events.reach())
        elif changes or self._seen_round < feed.round:
            told += self._events.frame(self._place, self._seen_round, changes, caller_of(self._scope).sees)
        if changes is None or changes:
            self._place = feed.last
        self._seen_round = feed.round
        return told

    async def _may_stay(self) -> bool:
        """Look again, where there is a reason to, whether whoever listens still may."""
        events = self._events
        now = asyncio.get_running_loop().time()
        if events.access.is_open or (self._checks == events.checks and now < self._check_at):
            return True
        checks = events.checks
        try:
            await events.admit(self._scope)
        except RequestRefused as error:
            return error.status not in REFUSALS
        except BrokerSchedError:  # Redis is away: it is looked again at the next occasion
            return True
        self._checks = checks
        self._plan_check()
        return True

    def _plan_check(self) -> None:
        self._check_at = asyncio.get_running_loop().time() + random.uniform(*CHECK_SECONDS)

    def _beat(self) -> bytes:
        if self._beats == self._feed.beats:
            return b""
        self._beats = self._feed.beats
        return frames.COMMENT

    def _end(self, reason: str) -> bytes:
        self._has_ended = True
        return frames.end(reason)


async def _until_gone(receive: Receive) -> None:
    """Wait until the client has gone; what else it sends counts for nothing."""
    while (await receive())["type"] != "http.disconnect":
        pass

"""`GET /events`, from a request to its stream."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from broker_sched.contract.visibility import Sees
from broker_sched.errors import InvalidArgument
from broker_sched.scheduler.event_feed import EventFeed
from broker_sched.scheduler.feed_position import position_text
from broker_sched.scheduler.recent_changes import Change, Place, place_of
from broker_sched.server.access.access import Access
from broker_sched.server.access.caller import caller_of
from broker_sched.server.access.viewers import check_path
from broker_sched.server.events import frames
from broker_sched.server.events.stream import Stream
from broker_sched.server.limits import STREAMS, StreamLimit
from broker_sched.server.responses import wrong_verb

LAST_EVENT_ID = b"last-event-id"
AFTER = "after"
_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}", re.ASCII)


class Events:
    """Answers `/events`. limit: how many streams there may be at a time.

    checks: grows when it is to be looked again who may listen.
    """

    def __init__(self, limit: StreamLimit) -> None:
        self._limit = limit
        self._feed: EventFeed | None = None
        self._access: Access | None = None
        self._ended_logins = 0
        self.checks = 0
        self._frames: dict[tuple[Place, int, Sees], bytes] = {}  # those of one round
        self._round = 0

    def begin(self, feed: EventFeed, access: Access) -> None:
        """Serve from now on what this feed reads, to those whom `access` admits."""
        self._feed, self._access = feed, access
        feed.on_round = self._note_round

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Raises RequestRefused, InvalidArgument."""
        if scope["method"] != "GET":
            raise wrong_verb(scope["method"], "GET")
        place = _place_in(scope)
        with self._limit.counted(scope.get("client")):
            await Stream(self, self.feed, scope, place).serve(receive, send)

    @property
    def feed(self) -> EventFeed:
        """What reads the changes, while the application runs."""
        if self._feed is None:
            raise RuntimeError("The application has not been started: its ASGI server must support lifespan.")
        return self._feed

    @property
    def access(self) -> Access:
        """What tells who may listen, while the application runs."""
        if self._access is None:
            raise RuntimeError("The application has not been started: its ASGI server must support lifespan.")
        return self._access

    async def admit(self, scope: Scope) -> None:
        """Look again who asks, and note it in the scope. Raises RequestRefused when they may not listen any more."""
        await self.access.admit(scope, STREAMS)
        check_path(caller_of(scope).sees, STREAMS)

    def frame(self, place: Place, seen_round: int, changes: Sequence[Change], sees: Sees) -> bytes:
        """Return what is told to all who have heard of as much and see as much; made once for all of them.

        b"" when there is nothing to be told.
        """
        feed = self.feed
        if self._round != feed.round:
            self._round = feed.round
            self._frames.clear()
        key = (place, seen_round, sees)
        found = self._frames.get(key)
        if found is None:
            subjects = [subject for subject, changed in feed.subjects.items() if changed > seen_round]
            is_empty = not changes and not subjects
            found = b"" if is_empty else frames.changed(changes, subjects, sees, self.reach(), place)
            self._frames[key] = found
        return found

    def reach(self) -> frames.Reach:
        """Return how far this process has read by now."""
        feed = self.feed
        return frames.Reach(feed.last, position_text(feed.position or ()), feed.listeners)

    def _note_round(self) -> bool:
        """Tell whether it is to be looked again who may listen: logins were revoked, or the users have changed."""
        must_look = self.access.has_changed()
        if self._ended_logins != self.feed.ended_logins:
            self._ended_logins = self.feed.ended_logins
            self.access.forget_all()
            must_look = True
        self.checks += must_look
        return must_look


def _place_in(scope: Scope) -> Place | None:
    """Return behind which event the client wants to hear; None: from now on. Raises InvalidArgument."""
    query = _query(scope)
    header = next((value.decode("latin-1") for name, value in scope["headers"] if name == LAST_EVENT_ID), "")
    field, text = ("Last-Event-ID", header) if header else (AFTER, query.get(AFTER, ""))
    if not text:
        return None
    if not _ID.fullmatch(text):
        raise InvalidArgument(field, "is the id of an event, such as 1719830000000-0, as this stream has given it")
    return place_of(text)


def _query(scope: Scope) -> Mapping[str, str]:
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    unknown = sorted({name for name, _ in pairs} - {AFTER})
    if unknown:
        raise InvalidArgument(unknown[0], "is none that /events knows: it takes after, the id of an event")
    if len(pairs) > 1:
        raise InvalidArgument(AFTER, "is given twice")
    return dict(pairs)

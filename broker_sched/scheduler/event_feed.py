"""What changes in a namespace, read once for all who listen at this process, and not at all while nobody does.

One command waits in Redis for the next change. Those of a quarter of a second are read together, so a process asks at
most four times a second, however much happens; more rarely where very many listen, since each is told apart. Adding a
task is noted in no stream: it shows in a counter, which is read beside that, more often while nothing else happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from broker_sched.errors import BrokerSchedError
from broker_sched.redis_backend.commands import RawCommand
from broker_sched.redis_backend.multiplexed_connection import AsyncConnection
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.recovery import ReplyError
from broker_sched.scheduler.feed_position import Position, position_of
from broker_sched.scheduler.recent_changes import KEPT, Change, Place, RecentChanges, change_in, id_at
from broker_sched.scheduler.records import pairs

log = logging.getLogger("bsched.server")

MERGE_SECONDS = 0.25  # from one read to the next, while changes come
MERGE_SECONDS_EACH = 0.001  # more for each listener, so that telling all takes a small share of the time
MOST_MERGE_SECONDS = 0.4
BLOCK_SECONDS = 0.45  # that a read waits for a change; then counters are looked at
COUNT_SECONDS = 1.5  # between two looks at counters, while changes come
PAUSE_SECONDS = 0.5  # after an error
BEAT_SECONDS = 15.0  # all are woken so often, though nothing changes
ROUNDS_TO_FIND = 2  # in the second read that ends from now on, or before, is all that is in the stream now
READ_AT_ONCE = 32  # entries; as many as take the process a quarter of a millisecond
WOKEN_AT_ONCE = 2  # listeners; what each does takes the process some 50 µs, and calls for work come in between
WAKE_SECONDS = 0.001  # between so many

AUDIT = "audit"  # a subject, too: there is another record
STREAMS = ("events", AUDIT, "ended_logins")
COUNTERS = ("task", "worker")  # of the hash `counters`: numbers given to new tasks, new workers and new submissions
# What a counter, or a method that the audit tells of, says has changed beside tasks' statuses.
SUBJECTS_OF_COUNTERS = {"task": ("tasks",), "worker": ("workers", "submissions")}
SUBJECTS_OF_METHODS = {
    **dict.fromkeys(("pause", "unpause", "pause_family", "unpause_family"), "paused"),
    **dict.fromkeys(("disable_worker", "set_worker_processes", "drain_worker", "forget_worker", "prune"), "workers"),
    **dict.fromkeys(("update_resources", "update_resource", "remove_resource"), "resources"),
    **dict.fromkeys(("add_submission", "cancel_submission"), "submissions"),
    "update_options": "options",
    "send_scheduler_message": "messages",
}
Subjects: TypeAlias = "dict[str, int]"  # subject → the round in which it changed last


class Listener:
    """One who listens. woken: set when there may be news. since_round: that in which it came."""

    __slots__ = ("since_round", "woken")

    def __init__(self, since_round: int) -> None:
        self.woken = asyncio.Event()
        self.since_round = since_round


class EventFeed:
    """Reads what changes for all who listen, and wakes them.

    connection: nobody else's, since a command waits on it.
    recent: the last changes. subjects: what else changed, and in which round. round: how many reads have ended.
    has_begun: whether `recent` can be relied on. is_away: Redis does not answer; then nothing is known until it does.
    ended_logins: grows when sessions or tokens were revoked. beats: grows every 15 s. is_ending: all shall leave.
    on_round: called after each read, and while Redis is away; all are woken when it returns True.

    As LongPolls, it does not ask the policy of `redis_backend/recovery.py`: no caller waits for a reply. After an error
    it reads the end of the stream anew, which shows who can go on behind what they have, and who has to look anew.
    """

    def __init__(self, connection: AsyncConnection, namespace: Namespace) -> None:
        self.connection = connection
        self.recent = RecentChanges()
        self.subjects: Subjects = {}
        self.round = 0
        self.has_begun = self.is_away = self.is_ending = False
        self.ended_logins = self.beats = 0
        self.on_round: Callable[[], bool] = lambda: False
        self._keys = [namespace.key(name) for name in STREAMS]
        self._counters_key = namespace.key("counters")
        self._listeners: set[Listener] = set()
        self._reading: asyncio.Task[None] | None = None
        self._places = dict.fromkeys(STREAMS, "0-0")  # ids of the entries that were read last
        self._counters: list[int] = []
        self._counted_at = self._beat_at = 0.0  # event loop time
        self._was_quiet = self._is_first = True

    @property
    def listeners(self) -> int:
        """The number of those who listen at this process now."""
        return len(self._listeners)

    @property
    def last(self) -> Place:
        """The place of the newest change that was read."""
        return self.recent.last

    @property
    def position(self) -> Position | None:
        """How far all that is read has been read; None while nothing is."""
        if not self.has_begun:
            return None
        return position_of((self._places["events"], self._places[AUDIT]), self._counters)

    @contextlib.contextmanager
    def listening(self) -> Iterator[Listener]:
        """Listen as long as the block lasts. The listener is woken at once."""
        listener = Listener(self.round)
        listener.woken.set()
        self._listeners.add(listener)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(_log_failure)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def end(self) -> None:
        """Wake all, who shall leave: this process is about to."""
        self.is_ending = True
        for listener in self._listeners:
            listener.woken.set()

    async def close(self) -> None:
        """Stop reading, and close the connection for good."""
        if self._reading is not None:
            self._reading.cancel()
        await self.connection.close()

    async def _read(self) -> None:
        self._beat_at = asyncio.get_running_loop().time() + BEAT_SECONDS
        self._is_first = True
        while self._listeners and not self.is_ending:
            try:
                if not self.has_begun:
                    await self._begin()
                    has_news = True
                else:
                    has_news = await self._next()
            except BrokerSchedError as error:
                await self._note_away(error)
                continue
            await self._end_round(has_news)
        self.has_begun = False
        self.connection.drop("nobody listens")

    async def _begin(self) -> None:
        """Read the end of the stream, and from where on to read all of them."""
        ends = [("XREVRANGE", key, "+", "-", "COUNT", "1") for key in self._keys[1:]]
        events = ("XREVRANGE", self._keys[0], "+", "-", "COUNT", str(KEPT))
        found, *others, counters = await self._send([events, *ends, self._counting()])
        changes = await _changes_in(found[::-1])
        self.recent = RecentChanges(changes, is_whole=len(changes) < KEPT)
        self._places = {name: entries[0][0] if entries else "0-0" for name, entries in zip(STREAMS[1:], others)}
        self._places["events"] = id_at(self.recent.last)
        self._counters = _numbers(counters)
        for subject in {AUDIT, *SUBJECTS_OF_METHODS.values(), *sum(SUBJECTS_OF_COUNTERS.values(), ())}:
            self.subjects[subject] = self.round + 1  # they may have changed while nobody read
        self.ended_logins += not self._is_first  # and logins may have ended
        self.has_begun, self.is_away, self._is_first = True, False, False

    async def _next(self) -> bool:
        """Wait a little for what comes next, and note it. Returns whether there is anything to tell."""
        now = asyncio.get_running_loop().time()
        is_counting = self._was_quiet or now - self._counted_at >= COUNT_SECONDS
        places = [self._places[name] for name in STREAMS]
        block = () if self.connection.blocks else ("BLOCK", str(round(BLOCK_SECONDS * 1000)))
        waiting = ("XREAD", "COUNT", str(KEPT), *block, "STREAMS", *self._keys, *places)
        # The counters are read when the wait is over, not before it.
        found, *counted = await self._send([waiting, *([self._counting()] if is_counting else [])])
        entries = dict(found or ())
        has_news = await self._take(*(entries.get(key, ()) for key in self._keys))
        if is_counting:
            self._counted_at = asyncio.get_running_loop().time()
            has_news |= self._take_counters(_numbers(counted[0]))
        self._was_quiet = not entries
        return has_news

    def _counting(self) -> RawCommand:
        return ("HMGET", self._counters_key, *COUNTERS)

    async def _send(self, commands: Sequence[RawCommand]) -> list[Any]:
        replies = await self.connection.send(commands)
        for reply in replies:
            if isinstance(reply, ReplyError):
                self.connection.drop("Redis refuses to let us wait")  # it may be another one by now
                raise BrokerSchedError(f"The stream of events can't be read: {reply}")
        return replies

    async def _take(self, events: Sequence[Any], audit: Sequence[Any], ended_logins: Sequence[Any]) -> bool:
        """Note new entries of the streams."""
        changes = await _changes_in(events) if len(events) < KEPT else None
        for name, entries in zip(STREAMS, (events, audit, ended_logins)):
            if entries:
                self._places[name] = entries[-1][0]
        if changes is None:  # too far behind to tell all of it: who listens shall look anew
            self.has_begun = False
        else:
            self.recent.add(changes)
        for _, fields in audit:
            self._note_subject(AUDIT)
            subject = SUBJECTS_OF_METHODS.get(pairs(fields).get("method", ""))
            if subject is not None:
                self._note_subject(subject)
        self.ended_logins += len(ended_logins)
        return bool(events or audit or ended_logins)

    def _take_counters(self, counters: list[int]) -> bool:
        if any(new < old for new, old in zip(counters, self._counters)):  # all that was there has gone
            self.has_begun = False
        changed = [name for name, new, old in zip(COUNTERS, counters, self._counters) if new != old]
        self._counters = counters
        for name in changed:
            for subject in SUBJECTS_OF_COUNTERS[name]:
                self._note_subject(subject)
        return bool(changed)

    def _note_subject(self, subject: str) -> None:
        self.subjects[subject] = self.round + 1

    async def _note_away(self, error: BrokerSchedError) -> None:
        self.has_begun = False
        if not self.is_away:
            self.is_away = True
            log.warning("Pages hear of no changes until Redis can be asked: %s", error)
            self.on_round()
            await self._wake()
        elif self.on_round() or self._is_beat():
            await self._wake()
        await asyncio.sleep(PAUSE_SECONDS)

    async def _end_round(self, has_news: bool) -> None:
        """Wake all, if there is a reason to, and wait until more changes can be read together."""
        self.round += 1
        must_look = self.on_round()
        is_beat = self._is_beat()
        if not self.has_begun:  # what they would be told next is read first
            return
        if has_news or must_look or is_beat:
            began = asyncio.get_running_loop().time()
            await self._wake()
            rest = merge_seconds(len(self._listeners)) - (asyncio.get_running_loop().time() - began)
            if has_news and rest > 0:
                await asyncio.sleep(rest)
            return
        for listener in self._listeners:  # it waits for what another process has read before this one
            if listener.since_round + ROUNDS_TO_FIND == self.round:
                listener.woken.set()
        if self.connection.blocks:
            await asyncio.sleep(MERGE_SECONDS)

    def _is_beat(self) -> bool:
        """Whether all shall be woken, since they were not for long."""
        now = asyncio.get_running_loop().time()
        if now < self._beat_at:
            return False
        self._beat_at = now + BEAT_SECONDS
        self.beats += 1
        return True

    async def _wake(self) -> None:
        for number, listener in enumerate(list(self._listeners), 1):
            listener.woken.set()
            if number % WOKEN_AT_ONCE == 0:
                await asyncio.sleep(WAKE_SECONDS)


async def _changes_in(entries: Sequence[Any]) -> list[Change]:
    """Return what these entries of the stream `events` tell. Calls that have come meanwhile go between."""
    changes: list[Change] = []
    for start in range(0, len(entries), READ_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        changes += [change_in((entry_id, pairs(fields))) for entry_id, fields in entries[start : start + READ_AT_ONCE]]
    return changes


def merge_seconds(listeners: int) -> float:
    """Return the time, in seconds, whose changes so many listeners are told of together."""
    return min(MOST_MERGE_SECONDS, MERGE_SECONDS + MERGE_SECONDS_EACH * listeners)


def _log_failure(reading: asyncio.Task[None]) -> None:
    if (
        not reading.cancelled() and (error := reading.exception()) is not None
    ):  # a bug of ours; who comes next tries anew
        log.error("Pages hear of no changes any more", exc_info=error)


def _numbers(values: Sequence[str | None]) -> list[int]:
    return [int(value or 0) for value in values]


def changes_between(feed: EventFeed, listener: Listener, place: Place) -> Sequence[Change] | None:
    """Return the changes behind this place, which a listener has heard of last; none when that can't be said yet.

    None: some of them are not kept, so the listener has to look anew. The place may be one that another process has
    told of, and this one has not read yet: only when a read that has begun since did not find it, it is nowhere.
    """
    found = feed.recent.behind(place)
    if found is None and place > feed.last and feed.round < listener.since_round + ROUNDS_TO_FIND:
        return ()
    return found

"""Wakes workers that wait for work at this server. Scripts put their ids into the server's mailbox, a list in Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import TypeAlias

from broker_sched.errors import BrokerSchedError
from broker_sched.redis_backend.multiplexed_connection import AsyncConnection
from broker_sched.redis_backend.recovery import ReplyError

Woken: TypeAlias = "asyncio.Future[None]"

BLOCK_SECONDS = 4  # less than a connection waits for a reply
LOOK_SECONDS = 0.02  # between two looks where a command may not wait
PAUSE_SECONDS = 0.5  # after an error


class LongPolls:
    """Knows who waits for work at this server, and wakes whom the mailbox names. It is read while anybody waits.

    connection: nobody else's, since a command waits on it. key: the mailbox.

    After an error it does not ask the policy of `redis_backend/recovery.py`, which says when to send again, and when to
    tell a caller that Redis does not serve it. Here no caller waits for a reply, so there is nobody to tell, and none
    of its commands is to be sent again: what was in the mailbox may be lost. All who wait ask for work instead, and
    those calls follow the policy. The mailbox is read on after a pause, for as long as anybody waits.
    """

    def __init__(self, connection: AsyncConnection, key: str) -> None:
        self.connection = connection
        self._key = key
        self._waiting: dict[str, set[Woken]] = defaultdict(set)
        self._reading: asyncio.Task[None] | None = None
        self._is_ending = False

    @contextlib.contextmanager
    def expecting(self, worker: str) -> Iterator[Woken]:
        """A future that is done when the worker is woken, from now on."""
        woken: Woken = asyncio.get_running_loop().create_future()
        self._waiting[worker].add(woken)
        if self._is_ending:
            woken.set_result(None)
        elif self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            yield woken
        finally:
            self._waiting[worker].discard(woken)
            if not self._waiting[worker]:
                del self._waiting[worker]

    async def wait(self, woken: Woken, seconds: float) -> bool:
        """Wait until the worker is woken, at most so many seconds; whether it was."""
        done, _ = await asyncio.wait({woken}, timeout=seconds)
        return bool(done)

    def end_waiting(self) -> None:
        """Wake all who wait, and from now on everybody at once: the server is about to leave."""
        self._is_ending = True
        self._wake_all()

    async def close(self) -> None:
        """Stop reading the mailbox, and close the connection for good."""
        if self._reading is not None:
            self._reading.cancel()
        await self.connection.close()

    async def _read(self) -> None:
        while self._waiting:
            try:
                self._wake(await self._next())
            except BrokerSchedError:  # what was put into the mailbox meanwhile may be lost: all shall ask
                self._wake_all()
                await asyncio.sleep(PAUSE_SECONDS)

    async def _next(self) -> str | None:
        """The next id in the mailbox; None when none came for a while."""
        if self.connection.blocks:
            await asyncio.sleep(LOOK_SECONDS)
            (reply,) = await self.connection.send([("LPOP", self._key)])
        else:
            (reply,) = await self.connection.send([("BLPOP", self._key, str(BLOCK_SECONDS))])
            reply = reply[1] if isinstance(reply, list) else reply
        if isinstance(reply, ReplyError):
            self.connection.drop("Redis refuses to let us wait")  # it may be a replica by now
            raise BrokerSchedError(f"The mailbox can't be read: {reply}")
        return reply  # type: ignore[no-any-return]  # replies are untyped

    def _wake(self, worker: str | None) -> None:
        for woken in self._waiting.get(worker or "", ()):
            if not woken.done():
                woken.set_result(None)

    def _wake_all(self) -> None:
        for worker in list(self._waiting):
            self._wake(worker)

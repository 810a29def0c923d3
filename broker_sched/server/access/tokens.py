"""Tokens: programs log in with one of them, as Bearer or as the password of any user."""

from __future__ import annotations

from datetime import datetime, timezone

from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.operations.tokens import PREFIX, Holder, find_token
from broker_sched.server.access.remembered import Remembered

WRONG_TOKEN = "There is no such token, or it was revoked."


class Tokens:
    """Knows who holds which token of the namespace; what changes in Redis counts within half a second."""

    def __init__(self, scheduler: AsyncScheduler) -> None:
        self._scheduler = scheduler
        self._holders = Remembered(self._look)

    async def holder_by_digest(self, digest: str) -> Holder | str:
        """Return who holds the token with this digest, or why it is refused. Raises RedisUnavailable."""
        found = await self._holders.find(digest)
        if found is None:
            return WRONG_TOKEN
        if found.expired is not None:
            when = datetime.fromtimestamp(found.expired, timezone.utc).isoformat(" ", "seconds")
            return f"This token has expired, {when}. `bsched token create` makes another one."
        return found

    def forget_all(self) -> None:
        """Look in Redis again, whoever comes next."""
        self._holders.forget_all()

    async def _look(self, digest: str) -> Holder | None:
        return await self._scheduler.drive(find_token(self._scheduler.namespace, digest))


def is_token(password: str) -> bool:
    """Tell whether a text that was given as a password is meant as a token."""
    return password.startswith(PREFIX)

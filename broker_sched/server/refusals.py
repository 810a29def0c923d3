"""Records in the audit of what this server has refused: calls that would change something, and logins.

Nobody waits for them: they are added twice a second. What is refused again and again, to the same caller for the same
reason, is added once at first, and after a minute as a count. Of more than MAX_KINDS different ones in a minute, the
rest is one count. So whoever asks for ever adds few records.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from starlette.types import Scope

from broker_sched.errors import BrokerSchedError
from broker_sched.scheduler.async_scheduler import AsyncScheduler
from broker_sched.scheduler.auditing import AUDITED, Asker, redacted
from broker_sched.scheduler.operations.audit import note_refusals
from broker_sched.server.access.access import login_in
from broker_sched.server.access.caller import KEY, address_of
from broker_sched.server.access.certificates import names_shown
from broker_sched.server.responses import RequestRefused

INTERVAL_SECONDS = 0.5
WINDOW_SECONDS = 60.0  # so long those that are alike are counted together
MAX_KINDS = 100
LEAVING_SECONDS = 0.5  # that a process which ends may take to tell the last
REFUSED = (401, 403, 429)
MAX_NAME = 64  # characters of a name that nobody has checked


class _Kind(NamedTuple):
    """Tells one kind of refusal from others: who was refused what, and why."""

    asker: Asker
    method: str
    why: str


OTHERS = _Kind(Asker("", "anonymous", "many"), "", "more was refused than is told one by one")


class Refusals:
    """Counts refusals by kind until they are told."""

    def __init__(self, scheduler: AsyncScheduler) -> None:
        self._scheduler = scheduler
        self._counts: dict[_Kind, int] = {}  # not told yet; 0 of a kind that was told within the window
        self._told: dict[_Kind, float] = {}  # when (s) a kind was told first

    def note(self, scope: Scope, method: str | None, error: BaseException) -> None:
        """Count a request that was refused with this error, if it would change something or is a failed login.

        method: the name in the path of a call; None of any other path.
        """
        if not isinstance(error, RequestRefused) or error.status not in REFUSED:
            return
        caller = scope.get("state", {}).get(KEY)
        if method in AUDITED:
            what = str(method)
        elif error.status != 403 and _gives_a_proof(scope):
            what = "login"
        else:
            return
        asker = _claimed(scope) if caller is None else Asker(caller.name, caller.kind, caller.address)
        self.add(asker, what, str(error))

    def note_login(self, scope: Scope, name: str, error: BaseException) -> None:
        """Count a login by a page or a program that was refused with this error. name: who they said to be."""
        if isinstance(error, RequestRefused) and error.status in REFUSED:
            self.add(Asker(redacted(name)[:MAX_NAME], "anonymous", address_of(scope)), "login", str(error))

    def add(self, asker: Asker, method: str, why: str) -> None:
        """Count a refusal: of whom, of which method or of a login, and why."""
        kind = _Kind(asker, method, redacted(why))
        if kind not in self._counts and len(self._counts) >= MAX_KINDS:
            kind = OTHERS
        self._counts[kind] = self._counts.get(kind, 0) + 1

    async def tell(self, *, everything: bool = False) -> None:
        """Add what is due to the audit; everything: also what is counted for a while yet. Raises BrokerSchedError."""
        now = time.monotonic()
        due = []
        for kind, count in list(self._counts.items()):
            is_over = now - self._told.setdefault(kind, now) >= WINDOW_SECONDS
            is_first = self._told[kind] == now
            if count and (is_first or is_over or everything):
                due.append((kind, count))
                self._counts[kind] = 0
            if is_over:
                del self._counts[kind], self._told[kind]
        if not due:
            return
        try:
            await self._scheduler.drive(note_refusals(self._scheduler.namespace, [_fields(*each) for each in due]))
        except BrokerSchedError:
            for kind, count in due:
                self._counts[kind] = self._counts.get(kind, 0) + count
                self._told.pop(kind, None)
            raise


def _fields(kind: _Kind, count: int) -> dict[str, str]:
    return {
        "who": kind.asker.name,
        "kind": kind.asker.kind,
        "address": kind.asker.address,
        "method": kind.method,
        "arguments": "{}",
        "tasks": "0",
        "result": "refused",
        "why": kind.why,
        "times": str(count),
    }


def _gives_a_proof(scope: Scope) -> bool:
    return any(name == b"authorization" for name, _ in scope["headers"]) or bool(names_shown(scope))


def _claimed(scope: Scope) -> Asker:
    """Who somebody says to be who could not prove it: the name of a Basic login, as far as it can be one."""
    name = ""
    for field, value in scope["headers"]:
        scheme, _, proof = value.partition(b" ")
        if field == b"authorization" and scheme.lower() == b"basic" and (login := login_in(proof)) is not None:
            name = redacted(login[0])[:MAX_NAME]
        if field == b"authorization":  # the first one counts
            break
    return Asker(name, "anonymous", address_of(scope))


@contextlib.asynccontextmanager
async def telling_refusals(refusals: Refusals) -> AsyncIterator[None]:
    """Tell twice a second what was refused, as long as the block lasts, and the rest at its end."""
    task = asyncio.create_task(_tell_for_ever(refusals))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with contextlib.suppress(BrokerSchedError, asyncio.TimeoutError):
            await asyncio.wait_for(refusals.tell(everything=True), LEAVING_SECONDS)


async def _tell_for_ever(refusals: Refusals) -> None:
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        with contextlib.suppress(BrokerSchedError):  # the prune timer logs that Redis is away
            await refusals.tell()

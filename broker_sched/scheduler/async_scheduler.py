"""`AsyncScheduler`: the scheduler's methods for many requests at once. The server's counterpart of `Scheduler`."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from broker_sched.contract.registry import Method
from broker_sched.contract.request_ids import Request
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check, to_json
from broker_sched.errors import BrokerSchedError, RedisUnavailable
from broker_sched.lua.loader import load, names
from broker_sched.redis_backend.commands import Await, Commands, Read, Write
from broker_sched.redis_backend.error_replies import RedisRefused, schema_error
from broker_sched.redis_backend.multiplexed_connection import AsyncConnection
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace
from broker_sched.redis_backend.recovery import SERVER, Configure, LookAnew
from broker_sched.scheduler.auditing import Asker, audited, is_audited
from broker_sched.scheduler.event_feed import EventFeed
from broker_sched.scheduler.execution import Effect, Effects, Execution, FreeCallers, Send, take_lock
from broker_sched.scheduler.long_poll import LongPolls
from broker_sched.scheduler.look_budget import LookBudget
from broker_sched.scheduler.operations import OPERATIONS
from broker_sched.scheduler.operations.work import awaiting

log = logging.getLogger("bsched.server")
T = TypeVar("T")

VIEWS = frozenset(method.name for method in METHODS.values() if method.is_view)
LOOKS_AT_ONCE = 2  # that read from Redis; each waits for the other where there is no time left for looks
VIEWS_AT_ONCE = 2  # that a server reads and encodes: one of 100,000 tasks takes 300 MB meanwhile
PERMITTED_SECONDS = 10.0  # between two looks of /readyz at what Redis's user may do


class AsyncScheduler:
    """Luigi's scheduler on one namespace, for all the requests of a server: one event loop, four connections.

    calls, views, long_polls, events: the connections. A long listing has one of its own, so that it delays no get_work,
        and so have those who wait for work and those who listen to what changes, since a command waits on it.
    options: name → text, written to the namespace at the first contact.
    resources: limits, likewise.
    user: as whom the connections log in to Redis, '' where that is not known.
    """

    def __init__(
        self,
        namespace: Namespace,
        calls: AsyncConnection,
        views: AsyncConnection,
        long_polls: AsyncConnection,
        events: AsyncConnection,
        options: Mapping[str, str] | None = None,
        resources: Mapping[str, float] | None = None,
        user: str = "",
        replicas_ack: int = 0,
    ) -> None:
        self.namespace = namespace
        self.id = uuid.uuid4().hex[:16]
        self._calls = calls
        self._views = views
        self._long_polls = LongPolls(long_polls, namespace.key("wake", self.id))
        self.events = EventFeed(events, namespace)
        self._execution = Execution(
            namespace,
            SERVER,
            FreeCallers(self.id),
            options=options,
            resources=resources,
            use="server",
            user=user,
            replicas_ack=replicas_ack,
        )
        self._look_budget = LookBudget()
        self._look_slots = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._waiting_looks: dict[tuple[str, str], asyncio.Task[Any]] = {}  # by method and arguments
        self._permitted_at = 0.0  # event loop time
        self._configuring: asyncio.Task[None] | None = None
        self._threads = ThreadPoolExecutor(VIEWS_AT_ONCE, thread_name_prefix="view")

    def take_redis_errors(self) -> int:
        """Return how often Redis did not answer, or refused to serve this server, since this was asked last."""
        errors, self._execution.redis_errors = self._execution.redis_errors, 0
        return errors

    async def invoke(
        self,
        method: Method,
        arguments: Mapping[str, Any],
        request: Request | None = None,
        asker: Asker | None = None,
    ) -> Any:
        """Check the arguments and carry out one method of the contract.

        request: the client's name for this call. asker: who asks for it, as the audit shall tell; None: nobody, and it
        leaves no record.
        A call that only looks may have its answer together with others like it: nobody changes it. Raises
        InvalidArgument, RedisUnavailable when Redis does not serve us within some seconds, and what the method raises.
        """
        checked = check(method, arguments)
        if method.looks:
            return await self._look(method, checked)
        commands = OPERATIONS[method.name](self.namespace, **checked)
        if asker is not None and is_audited(method, checked):
            commands = audited(self.namespace, asker, method.name, checked, commands)
        if method.name not in VIEWS:
            return await self._carry(self._execution.run(commands, request), self._calls)
        return await self._carry_view(self._execution.run(commands))

    async def drive(self, commands: Commands[T], request: Request | None = None) -> T:
        """Carry out a method's commands and return its result. Raises as `invoke`.

        request: the name of a call that must not be carried out twice, though it is made again.
        """
        return await self._carry(self._execution.run(commands, request), self._calls)

    async def configure(self) -> None:
        """Make the namespace ready and write the options. Raises SchemaMismatch, RedisUnavailable.

        All who ask at the same time wait for the same attempt.
        """
        if self._configuring is None:
            self._configuring = asyncio.create_task(self._configure())
            self._configuring.add_done_callback(self._after_configuring)
        await asyncio.shield(self._configuring)

    async def why_not_ready(self) -> str | None:
        """None when Redis answers with the schema this program needs; else the reason."""
        try:
            await self._check_permissions()
            await self.drive(self._readiness())
        except BrokerSchedError as error:
            return str(error)
        return None

    async def take_lock(self, name: str, milliseconds: int) -> bool:
        """Take a lock of this namespace that goes away by itself; False when another process has it."""
        return await self.drive(take_lock(self.namespace, name, self.id, milliseconds))

    def end_waiting(self) -> None:
        """Answer those who wait for work, and those who listen: this server is about to leave."""
        self._long_polls.end_waiting()
        self.events.end()

    async def close(self) -> None:
        """Close the connections for good: what is in flight fails."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._calls.close()
        await self._views.close()
        await self._long_polls.close()
        await self.events.close()

    async def _look(self, method: Method, checked: Mapping[str, Any]) -> Any:
        """Answer a call that only looks, together with all like it that wait to begin: none gets an older answer."""
        name = (method.name, to_json("arguments", checked))
        task = self._waiting_looks.get(name)
        if task is None:
            task = self._waiting_looks[name] = asyncio.create_task(self._begin_look(name, method, checked))
            task.add_done_callback(_note_end)
        return await asyncio.shield(task)

    async def _begin_look(self, name: tuple[str, str], method: Method, checked: Mapping[str, Any]) -> Any:
        try:
            await self._look_slots.acquire()
        finally:
            del self._waiting_looks[name]  # who asks from now on shall see what happens from now on
        try:
            commands = OPERATIONS[method.name](self.namespace, **checked)
            paced = self._look_budget.paced(method.name, self._execution.run(commands))
            return await self._carry(paced, self._calls)
        finally:
            self._look_slots.release()

    async def _configure(self) -> None:
        await asyncio.to_thread(_join_scripts)
        await self._carry(self._execution.configuring(), self._calls)
        self._permitted_at = asyncio.get_running_loop().time()

    def _after_configuring(self, task: asyncio.Task[None]) -> None:
        self._configuring = None
        _note_end(task)

    def _readiness(self) -> Commands[None]:
        """Raises when calls can't be served; what can be set right is."""
        config = self.namespace.key("config")
        (schema,) = yield Read([("HGET", config, "schema")])
        if schema is None:  # Redis was emptied
            yield from self._execution.configuration()
        elif schema != SCHEMA_VERSION:
            raise schema_error(schema)
        else:
            # It is written down already, so nothing changes; but whoever may not write now is told so.
            yield Write([("HSETNX", config, "schema", SCHEMA_VERSION)])

    async def _check_permissions(self) -> None:
        """At intervals. Raises RedisRefused, and then no call is served until they are granted."""
        now = asyncio.get_running_loop().time()
        if now - self._permitted_at > PERMITTED_SECONDS:
            try:
                await self.drive(self._execution.check_permissions())
            except RedisRefused:
                self._execution.lacks_permission = True
                raise
            self._permitted_at = now

    async def _carry(self, effects: Effects[T], connection: AsyncConnection) -> T:
        """Do what an execution wants done, one thing after another, over this connection, and return its result."""
        outcome: Any = None
        while True:
            try:
                effect = effects.send(outcome)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries Any
            outcome = await self._perform(effect, connection)

    async def _carry_view(self, effects: Effects[T]) -> T:
        """The same, but what a view makes of thousands of replies is computed beside the event loop."""
        loop = asyncio.get_running_loop()
        outcome: Any = None
        while True:
            effect = await loop.run_in_executor(self._threads, _advance, effects, outcome)
            if isinstance(effect, _Finished):
                return effect.value  # type: ignore[no-any-return]  # as StopIteration
            outcome = await self._perform(effect, self._views)

    async def _perform(self, effect: Effect, connection: AsyncConnection) -> Any:
        """Do this, and return what came of it."""
        if isinstance(effect, Send):  # nearly always
            try:
                return await connection.send(effect.commands)
            except RedisUnavailable as error:
                return error
        if isinstance(effect, Await):
            return await self._await(effect, connection)
        if isinstance(effect, Configure):
            return await self.configure()
        if isinstance(effect, LookAnew):
            self._look_anew(effect, connection)
        return await asyncio.sleep(effect.seconds)

    def _look_anew(self, effect: LookAnew, connection: AsyncConnection) -> None:
        """Give up the other connections, too: a replica answers what only reads, so these would not find out.

        A view's connection that was lost says nothing about them: Redis closes one that it must keep too much for.
        """
        if effect.is_lost and connection is not self._calls:
            return
        for other in (self._calls, self._views, self._long_polls.connection, self.events.connection):
            if not (effect.is_lost and other is connection):  # which is gone, and may be open anew by now
                other.drop(effect.reason)

    async def _await(self, command: Await, connection: AsyncConnection) -> bool:
        with self._long_polls.expecting(command.worker) as woken:
            is_ready, _ = await self._carry(self._execution.call(awaiting(command, self.id)), connection)
            return bool(is_ready) or (command.seconds > 0 and await self._long_polls.wait(woken, command.seconds))


def _join_scripts() -> None:
    """Make every script now, so that the first call of one has only Redis to wait for, which then loads it."""
    for name in names():
        load(name)


def _note_end(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # whoever waited has it; when nobody does any more, asyncio shall not complain


class _Finished:
    """A generator's result; StopIteration can't pass through a future."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _advance(effects: Effects[Any], outcome: Any) -> Effect | _Finished:
    try:
        return effects.send(outcome)
    except StopIteration as finished:
        return _Finished(finished.value)

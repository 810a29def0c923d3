"""Carries the methods' steps to Redis for many requests at once. The server's counterpart of `Scheduler`."""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from broker_sched.contract.registry import Method
from broker_sched.contract.request_ids import Request, repeated
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check
from broker_sched.errors import BrokerSchedError, RedisUnavailable, SchemaMismatch
from broker_sched.lua.loader import Script, load, names
from broker_sched.redis_backend.commands import Await, Call, Calls, Commands, Read
from broker_sched.redis_backend.multiplexed_connection import AsyncConnection, Command, ConnectionLost, ReplyError
from broker_sched.redis_backend.namespace import SCHEMA_VERSION, Namespace
from broker_sched.redis_backend.recovery import NOPERM, RedisRefused
from broker_sched.redis_backend.script_call import Unconfigured, evalsha, translate
from broker_sched.scheduler.long_poll import LongPolls
from broker_sched.scheduler.operations import OPERATIONS, configure
from broker_sched.scheduler.operations.operators import check_permissions
from broker_sched.scheduler.operations.work import awaiting

log = logging.getLogger("bsched.server")
T = TypeVar("T")

VIEWS = frozenset(method.name for method in METHODS.values() if method.is_view)
VIEWS_AT_ONCE = 4
PERMITTED_SECONDS = 10.0  # between two looks of /readyz at what Redis's user may do
PERSIST_SECONDS = 3.0  # a call is repeated so long while Redis is away; then the client hears of it
FIRST_WAIT_SECONDS = 0.05  # between attempts, doubled each time
LONGEST_WAIT_SECONDS = 0.8


class NotNow(ConnectionLost):
    """Redis refuses for the moment. The connection is good."""


class AsyncScheduler:
    """One namespace, over three connections: `calls`; `views`, so that a long listing delays no get_work; and
    `long_polls`, on which somebody always waits.

    options: name → text, written to the namespace at the first contact.
    resources: limits, likewise.
    """

    def __init__(
        self,
        namespace: Namespace,
        calls: AsyncConnection,
        views: AsyncConnection,
        long_polls: AsyncConnection,
        options: Mapping[str, str] | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        self.namespace = namespace
        self.id = uuid.uuid4().hex[:16]
        self._calls = calls
        self._views = views
        self._long_polls = LongPolls(long_polls, namespace.key("wake", self.id))
        self._options = dict(options or {})
        self._resources = dict(resources or {})
        self._configured = False
        self._permitted_at = 0.0  # event loop time
        self._configuring: asyncio.Task[None] | None = None
        self._counter = itertools.count()
        # Redis keeps the last answer of each caller, so a caller may have one call in flight. Each call takes one.
        self._free_callers: list[str] = []
        self._callers = itertools.count()
        self._view_slots = asyncio.Semaphore(VIEWS_AT_ONCE)
        self._threads = ThreadPoolExecutor(VIEWS_AT_ONCE, thread_name_prefix="view")

    async def invoke(self, method: Method, arguments: Mapping[str, Any], request: Request | None = None) -> Any:
        """Check the arguments and carry out one method of the contract. request: the client's name for this call."""
        checked = check(method, arguments)
        steps = OPERATIONS[method.name](self.namespace, **checked)
        if method.name not in VIEWS:
            return await (self._carry_all(steps, request) if self._configured else self.drive(steps, request))
        async with self._view_slots:
            return await self._drive_view(steps)

    async def drive(self, steps: Commands[T], request: Request | None = None) -> T:
        """Carry out a method's steps and return its result."""
        if not self._configured:
            await self.configure()
        return await self._carry_all(steps, request)

    async def configure(self) -> None:
        """Load the scripts, make the namespace ready and write the options. Raises SchemaMismatch."""
        if self._configuring is None:
            self._configuring = asyncio.create_task(self._configure())
            self._configuring.add_done_callback(self._after_configuring)
        await asyncio.shield(self._configuring)

    async def _configure(self) -> None:
        await self._load_scripts()
        await self._carry_all(configure(self.namespace, self._options))
        if self._resources:
            await self._carry_all(OPERATIONS["update_resources"](self.namespace, resources=self._resources))
        self._configured = True
        self._permitted_at = asyncio.get_running_loop().time()

    async def _load_scripts(self) -> None:
        await self._persist(self._calls, [("SCRIPT", "LOAD", load(name).source) for name in names()])

    def _after_configuring(self, task: asyncio.Task[None]) -> None:
        self._configuring = None
        if not task.cancelled():
            task.exception()  # whoever waited has it; when nobody does any more, asyncio shall not complain

    async def why_not_ready(self) -> str | None:
        """None when Redis answers with the scripts loaded and the schema this program needs; else the reason."""
        try:
            if not self._configured:
                await self.configure()
            await self._check_permissions()
            shas = [load(name).sha for name in names()]
            ask = Read([("SCRIPT", "EXISTS", *shas), ("HGET", self.namespace.key("config"), "schema")])
            loaded, schema = await self._carry(self._calls, ask)
            if schema is None:  # Redis was emptied
                await self.configure()
            elif schema != SCHEMA_VERSION:
                raise SchemaMismatch(schema, SCHEMA_VERSION)
            else:
                # It is written down already, so nothing changes; but whoever may not write now is told so.
                await self._carry(
                    self._calls, Read([("HSETNX", self.namespace.key("config"), "schema", SCHEMA_VERSION)])
                )
            if not all(loaded):  # SCRIPT FLUSH, or a failover
                await self._load_scripts()
        except BrokerSchedError as error:
            return str(error)
        return None

    async def _check_permissions(self) -> None:
        """At intervals. Raises RedisRefused, and then no call is served until they are granted."""
        now = asyncio.get_running_loop().time()
        if now - self._permitted_at > PERMITTED_SECONDS:
            try:
                await self._carry_all(check_permissions(self.namespace))
            except RedisRefused:
                self._configured = False
                raise
            self._permitted_at = now

    async def take_lock(self, name: str, milliseconds: int) -> bool:
        """Take a lock of this namespace that goes away by itself; False when another process has it."""
        command = ("SET", self.namespace.key(name), self.id, "NX", "PX", str(milliseconds))
        (taken,) = await self._carry(self._calls, Read([command]))
        return bool(taken)

    def end_waiting(self) -> None:
        """Answer those who wait for work: this server is about to leave."""
        self._long_polls.end_waiting()

    async def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._calls.close()
        await self._views.close()
        await self._long_polls.close()

    async def _drive_view(self, steps: Commands[T]) -> T:
        """As drive, but what a view makes of thousands of replies is computed beside the event loop."""
        if not self._configured:
            await self.configure()
        loop = asyncio.get_running_loop()
        reply: Any = None
        while True:
            step = await loop.run_in_executor(self._threads, _advance, steps, reply)
            if isinstance(step, _Finished):
                return step.value  # type: ignore[no-any-return]  # as StopIteration
            reply = await self._carry(self._views, step)

    async def _carry_all(self, steps: Commands[T], request: Request | None = None) -> T:
        reply: Any = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries Any
            if isinstance(step, Call):  # nearly always: it goes the shortest way
                reply = await self._run(self._calls, step, request)
            else:
                reply = await self._carry(self._calls, step)

    async def _carry(self, connection: AsyncConnection, step: Call | Calls | Read | Await) -> Any:
        if isinstance(step, Call):
            return await self._run(connection, step)
        if isinstance(step, Calls):
            each = [evalsha(self.namespace, None, call, "") for call in step.calls]
            return await self._persist(connection, [command for _, command in each], each[0][0])
        if isinstance(step, Await):
            return await self._await(connection, step)
        return await self._persist(connection, step.commands) if step.commands else []

    async def _await(self, connection: AsyncConnection, step: Await) -> bool:
        with self._long_polls.expecting(step.worker) as woken:
            is_ready, _ = await self._run(connection, awaiting(step, self.id))
            return bool(is_ready) or (step.seconds > 0 and await self._long_polls.wait(woken, step.seconds))

    async def _run(self, connection: AsyncConnection, call: Call, request: Request | None = None) -> Any:
        """Run a script. Each attempt has the same request id, where it matters that nothing happens twice."""
        if not call.once:
            script, command = evalsha(self.namespace, None, call, "")
            try:
                return (await self._attempt(connection, [command], script))[0]
            except ConnectionLost as error:
                return (await self._again(connection, [command], script, error))[0]
        caller = ""
        if request is None:
            caller = self._free_callers.pop() if self._free_callers else f"{self.id}.{next(self._callers)}"
        request_id = request.next_id(call.script) if request else f"{caller}:{next(self._counter)}"
        script, command = evalsha(self.namespace, None, call, request_id)
        try:
            replies = await self._attempt(connection, [command], script)
        except ConnectionLost as error:
            # A copy of the lost command may still arrive, so this caller makes no other call afterwards.
            script, command = evalsha(self.namespace, None, call, repeated(request_id))
            return (await self._again(connection, [command], script, error))[0]
        if caller:
            self._free_callers.append(caller)
        return replies[0]

    async def _persist(
        self, connection: AsyncConnection, commands: list[Any], script: Script | None = None
    ) -> list[Any]:
        try:
            return await self._attempt(connection, commands, script)
        except ConnectionLost as error:
            return await self._again(connection, commands, script, error)

    async def _again(
        self, connection: AsyncConnection, commands: list[Any], script: Script | None, error: ConnectionLost
    ) -> list[Any]:
        """Send until answered, for PERSIST_SECONDS at the most."""
        if connection is self._calls and not isinstance(error, NotNow):
            # The address may lead elsewhere by now. What only reads would not find out: a replica answers it.
            for other in (self._views, self._long_polls.connection):
                other.drop("The connection for calls was lost")
        now = asyncio.get_running_loop().time
        deadline = now() + PERSIST_SECONDS
        wait = FIRST_WAIT_SECONDS
        while now() + wait < deadline:
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            try:
                return await self._attempt(connection, commands, script)
            except ConnectionLost as latest:
                error = latest
        raise RedisUnavailable(str(error)) from error

    def _look_anew(self, reason: str) -> None:
        """Give up every connection: each looks for the primary anew."""
        for connection in (self._calls, self._views, self._long_polls.connection):
            connection.drop(reason)

    async def _attempt(
        self, connection: AsyncConnection, commands: list[Command], script: Script | None, may_configure: bool = True
    ) -> list[Any]:
        replies = await connection.send(commands)
        for reply in replies:
            if isinstance(reply, ReplyError):
                return await self._after_error(connection, commands, script, str(reply), may_configure)
        return replies

    async def _after_error(
        self,
        connection: AsyncConnection,
        commands: list[Command],
        script: Script | None,
        message: str,
        may_configure: bool,
    ) -> list[Any]:
        """What can be set right is, and the commands are sent again; the rest is raised as one of our errors."""
        if message.startswith("NOSCRIPT") and script is not None:  # SCRIPT FLUSH, a failover, another Redis
            replies = await connection.send([("SCRIPT", "LOAD", script.source), *commands])
            if not isinstance(replies[1], ReplyError):
                return replies[1:]
            message = str(replies[1])
        error = translate(script, message)
        if isinstance(error, RedisRefused) and error.refusal is NOPERM:
            self._configured = False  # which begins with a look at what is permitted, so that no script stops half-way
        if isinstance(error, RedisRefused) and error.refusal.look_anew:
            self._look_anew(f"Redis answered {error.refusal.name}")
            raise ConnectionLost(str(error))
        if isinstance(error, RedisRefused) and error.refusal.is_passing:
            raise NotNow(str(error))
        if not isinstance(error, Unconfigured) or not may_configure:
            raise error
        await self.configure()  # somebody emptied Redis: start the namespace anew
        return await self._attempt(connection, commands, script, may_configure=False)


class _Finished:
    """A generator's result; StopIteration can't pass through a future."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _advance(steps: Commands[Any], reply: Any) -> Call | Calls | Read | Await | _Finished:
    try:
        return steps.send(reply)
    except StopIteration as finished:
        return _Finished(finished.value)

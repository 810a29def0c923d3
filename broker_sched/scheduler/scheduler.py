"""`Scheduler`: the contract straight to Redis, over a blocking client."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import redis
import redis.exceptions
from redis.cluster import RedisCluster

from broker_sched.clock import Clock
from broker_sched.config import SchedulerConfig, parse_options, to_text
from broker_sched.contract.registry import Method
from broker_sched.contract.request_ids import Request, RequestIds, repeated
from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.contract.validation import check, explained
from broker_sched.errors import BrokerSchedError, RedisUnavailable
from broker_sched.lua.loader import Script
from broker_sched.redis_backend.clients import connect, is_in_process, is_single
from broker_sched.redis_backend.commands import Argument, Await, Call, Calls, Commands, Read
from broker_sched.redis_backend.encoding import sendable
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.recovery import (
    NOPERM,
    REPAIRING,
    RedisRefused,
    is_replica,
    message_of,
    no_redis,
    refusal_in,
)
from broker_sched.redis_backend.script_call import Unconfigured, evalsha, translate
from broker_sched.redis_backend.sync_connection import SyncConnection
from broker_sched.scheduler.integrity.check import Difference, compare
from broker_sched.scheduler.integrity.repair import PASSES, Repair, commands
from broker_sched.scheduler.integrity.snapshot import take
from broker_sched.scheduler.operations import OPERATIONS, configure
from broker_sched.scheduler.operations.lists import read_config
from broker_sched.scheduler.operations.operators import check_permissions
from broker_sched.scheduler.operations.tasks import run_deferred
from broker_sched.scheduler.operations.work import awaiting

T = TypeVar("T")
ATTEMPTS = 5  # of one call, when the connection breaks
WAIT_SECONDS = 0.2  # between attempts, doubled each time
REPAIRED_WITHIN_SECONDS = 120.0  # a call waits so long for the end of a repair
PRUNE_AGAIN_SECONDS = 0.3  # when something is due, and another process has just pruned
MIN_WAIT_SECONDS = 0.01  # of a blocking command, for which 0 is for ever
LOOK_SECONDS = 1.0  # a connection that only reads is asked so often whether it still leads to the primary
LOST = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.RedisClusterException)
# An error reply, or that redis-py has got one again and again. Looked at before LOST, which some are, too.
ANSWERED = (redis.exceptions.ResponseError, redis.exceptions.BusyLoadingError, redis.exceptions.ClusterError)
# Scripts that may write nothing. Any other that reaches a replica is refused.
READING = frozenset({"count_pending", "look_at_submission"})


class Scheduler(SchedulerAPI):
    """Luigi's scheduler, its state in Redis. Safe to use from many threads and processes at once.

    redis: a URL (`redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `redis+cluster://`, `local:`,
        `memory:`), a redis-py client, or None for BSCHED_REDIS, else `local:`.
    namespace: schedulers on one namespace are one scheduler; two namespaces never meet.
    clock: float seconds since the epoch, for tests; without it Redis tells the time.
    prune_interval_seconds: how often get_work prunes when nobody else did; None never.
    options: Luigi's scheduler options (see SchedulerConfig) and `resources`, a dict of limits. Those given are
        written to the namespace, so that every process on it agrees.
    """

    def __init__(
        self,
        redis: str | redis.Redis | None = None,
        namespace: str = "default",
        *,
        clock: Clock | None = None,
        prune_interval_seconds: float | None = 1.0,
        resources: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        self._namespace = Namespace.named(namespace)
        self._url = redis
        self._clock = clock
        self._prune_interval_seconds = prune_interval_seconds
        self._options = {name: to_text(value) for name, value in parse_options(options).items()}
        self._resources = dict(resources or {})
        self._start()

    def _start(self) -> None:
        self._client = connect(self._url)
        self._sync_connection = SyncConnection(self._client) if is_single(self._url) else None
        self._ids = RequestIds()
        is_memory = isinstance(self._url, (str, type(None))) and is_in_process(self._url)
        self._may_move = not is_memory and not isinstance(self._client, RedisCluster)  # whose replicas serve nothing
        self._next_look = 0.0
        self._lacks_permission = False  # as far as known
        self._next_prune = 0.0
        self._drive(configure(self._namespace, self._options))
        if self._resources:
            self.update_resources(**self._resources)

    def _invoke(self, method: Method, arguments: dict[str, Any]) -> Any:
        if not isinstance(arguments.get("expl"), str | None):  # over HTTP, luigi's worker makes JSON of it
            arguments = {**arguments, "expl": explained(arguments["expl"])}
        checked = check(method, arguments)
        if method.name == "get_work":
            self._prune_when_due()
        steps = OPERATIONS[method.name](self._namespace, **checked)
        if method.reads_only:
            return self._drive(steps)
        request = self._ids.begin(method.name, arguments)
        try:
            return self._drive(steps, request)
        except RedisUnavailable:
            self._ids.note_unanswered(method.name, arguments, request)
            raise

    def config(self) -> SchedulerConfig:
        """The namespace's options, as all its processes see them."""
        return self._drive(read_config(self._namespace))

    def verify(self, repair: bool = False) -> list[Difference]:
        """Recompute every index from the tasks and return what differs; with `repair`, put it right.

        Reads the whole namespace, in bites. On a busy namespace a difference counts only when two passes
        in a row see the same. A repair may be made at any time: while it reads and writes, all others wait, some
        seconds for every 100,000 tasks. Returns what it found then.
        """
        self._drive(run_deferred(1))
        differences = self._compare()
        if repair:
            return self._repair() if differences else []
        if differences:
            again = {(each.key, repr(each.expected), repr(each.found)) for each in self._compare()}
            differences = [d for d in differences if (d.key, repr(d.expected), repr(d.found)) in again]
        return differences

    def _repair(self) -> list[Difference]:
        found: list[Difference] = []
        with Repair(self._run, lambda deferred_steps: self._drive(run_deferred(deferred_steps))) as repair:
            for number in range(PASSES):
                differences = self._compare()
                found = found if number else differences
                if not differences:
                    break
                repair.write(commands(differences))
        return found

    def _compare(self) -> list[Difference]:
        names = self._client.scan_iter(match=f"{self._namespace.prefix}*", count=1000)
        try:
            return compare(take(self._namespace.prefix, iter(names), self._read))
        except ANSWERED as error:
            raise translate(None, message_of(error)) from None
        except LOST as error:
            raise RedisUnavailable(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        """Close the connections. The scheduler itself lives on in Redis."""
        self._client.close()

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self._url, (str, type(None))):
            raise TypeError("A Scheduler made from a client can't be pickled; make it from a URL.")
        kept = ("_namespace", "_url", "_clock", "_prune_interval_seconds", "_options", "_resources")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def _prune_when_due(self) -> None:
        """Without a server somebody has to prune: the first direct user that notices it is time."""
        if self._prune_interval_seconds is None or time.monotonic() < self._next_prune:
            return
        self._next_prune = time.monotonic() + self._prune_interval_seconds
        self._prune_unless_others_do()

    def _prune_unless_others_do(self) -> bool:
        taken = self._read([("SET", self._namespace.key("prune_lock"), self._ids.client, "NX", "PX", "1000")])[0]
        if taken:
            self._drive(OPERATIONS["prune"](self._namespace))
        return bool(taken)

    def _drive(self, steps: Commands[T], request: Request | None = None) -> T:
        """Carry out a method's steps and return its result."""
        reply: Any = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries Any
            reply = self._carry(step, request)

    def _carry(self, step: Call | Calls | Read | Await, request: Request | None = None) -> Any:
        if isinstance(step, Call):
            return self._run(step, request)
        if isinstance(step, Calls):
            return self._run_together(step)
        return self._read(step.commands) if isinstance(step, Read) else self._await(step)

    def _await(self, step: Await) -> bool:
        """Note that the worker waits, and wait for a message in this thread's mailbox; prune when it is due."""
        mailbox = self._ids.caller()
        is_ready, due = self._run(awaiting(step, mailbox))
        deadline = time.monotonic() + step.seconds
        prune_at = time.monotonic() + float(due) if due and self._prune_interval_seconds is not None else deadline
        while not is_ready and (left := deadline - time.monotonic()) > 0:
            pause = max(min(left, prune_at - time.monotonic()), MIN_WAIT_SECONDS)
            try:
                # As blpop does, which would send a number.
                popped = self._client.execute_command("BLPOP", self._namespace.key("wake", mailbox), str(pause))
            except (*ANSWERED, *LOST) as error:  # the next call of the worker finds out
                refusal = refusal_in(message_of(error))
                if refusal is NOPERM:
                    raise translate(None, message_of(error)) from None
                if refusal and refusal.look_anew:
                    self._look_anew()
                time.sleep(min(left, WAIT_SECONDS))
                return False
            is_ready = popped is not None and popped[1] == step.worker
            if time.monotonic() >= prune_at:
                prune_at = deadline if self._prune_unless_others_do() else time.monotonic() + PRUNE_AGAIN_SECONDS
        return bool(is_ready)

    def _run(self, call: Call, request: Request | None = None) -> Any:
        """Run a script; after a lost connection once more, with the same request id where that matters."""
        if self._lacks_permission and call.script != "check_permissions":
            self._drive(check_permissions(self._namespace))  # raises, so that no script stops half-way
            self._lacks_permission = False
        request_id = (request or self._ids.new()).next_id(call.script) if call.once else ""
        is_reading = call.script in READING
        script, _ = evalsha(self._namespace, self._clock, call, request_id)

        def send() -> Any:
            nonlocal request_id
            _, command = evalsha(self._namespace, self._clock, call, request_id)
            request_id = request_id and repeated(request_id)  # when it is sent once more
            return self._evalsha(script, command, is_reading)

        try:
            return self._persist(send, script)
        except Unconfigured:  # somebody emptied Redis: start the namespace anew
            self._drive(configure(self._namespace, self._options))
            return self._persist(send, script)

    def _run_together(self, calls: Calls) -> list[Any]:
        """Run scripts in one round trip; the first by itself, so that namespace and script are there."""
        first, *others = calls.calls
        replies = [self._run(first)]
        if not isinstance(self._client, RedisCluster):  # whose pipelines run no scripts
            with contextlib.suppress(BrokerSchedError):  # by itself each is put right, or explained
                return replies + self._read(
                    [tuple(evalsha(self._namespace, self._clock, call, "")[1]) for call in others]
                )
        return replies + [self._run(call) for call in others]

    def _evalsha(self, script: Script, command: list[Argument], is_reading: bool) -> Any:
        if is_reading:
            self._look_when_due()
        try:
            return self._execute(command)
        except redis.exceptions.NoScriptError:
            self._client.script_load(script.source)
            return self._execute(command)

    def _execute(self, command: list[Argument]) -> Any:
        return (
            self._sync_connection.execute(command)
            if self._sync_connection
            else self._client.execute_command(*sendable(command))
        )

    def _read(self, commands: list[tuple[Argument, ...]]) -> list[Any]:
        def send() -> list[Any]:
            self._look_when_due()
            if self._sync_connection:
                return self._sync_connection.execute_all(commands)
            pipeline = self._client.pipeline(transaction=False)
            pipeline.response_callbacks = {}  # replies as Redis gives them, the same in every transport
            for command in commands:
                pipeline.execute_command(*sendable(command))
            replies: list[Any] = pipeline.execute()
            return replies

        return self._persist(send) if commands else []

    def _persist(self, send: Callable[[], T], script: Script | None = None) -> T:
        """What it returns, tried again while the connection breaks or Redis refuses for the moment."""
        wait = WAIT_SECONDS
        attempt = 0
        may_wait_until = time.monotonic() + REPAIRED_WITHIN_SECONDS
        while True:
            attempt += 1
            try:
                return send()
            except redis.exceptions.AuthenticationError as error:
                raise RedisUnavailable(f"Redis refuses the login: {error}") from None
            except redis.exceptions.InvalidResponse as error:
                raise no_redis(error) from None
            except ANSWERED as error:
                failure: BrokerSchedError = self._after_answer(script, message_of(error))
            except LOST as error:
                self._ids.note_loss()
                self._next_look = 0.0
                failure = RedisUnavailable(f"Redis did not answer after {ATTEMPTS} attempts: {error}")
                failure.__cause__ = error
            if isinstance(failure, RedisRefused) and failure.refusal is REPAIRING and time.monotonic() < may_wait_until:
                time.sleep(WAIT_SECONDS)
                attempt -= 1
                continue
            if attempt == ATTEMPTS:
                raise failure
            time.sleep(wait)
            wait *= 2

    def _after_answer(self, script: Script | None, message: str) -> RedisRefused:
        """What may be tried again; raises all else."""
        error = translate(script, message)
        if isinstance(error, RedisRefused) and error.refusal is NOPERM:
            self._lacks_permission = True
        if not isinstance(error, RedisRefused) or not (error.refusal.look_anew or error.refusal.is_passing):
            raise error from None
        if error.refusal.look_anew:
            self._look_anew()
        return error

    def _look_when_due(self) -> None:
        """What only reads is answered by a replica, too: so it is asked at intervals whether it is one by now."""
        if not self._may_move or time.monotonic() < self._next_look:
            return
        try:
            role = self._execute(["ROLE"])
        except redis.exceptions.ResponseError as error:
            refusal = refusal_in(message_of(error))
            if refusal is not None and refusal.name != "NOPERM":
                raise
            self._may_move = False  # who may not ask can't know
            return
        if is_replica(role):
            raise redis.exceptions.ReadOnlyError("You can't write against a read only replica.")
        self._next_look = time.monotonic() + LOOK_SECONDS

    def _look_anew(self) -> None:
        """Close the connections, so that the address or Sentinel is asked again where the primary is."""
        self._next_look = 0.0
        if self._sync_connection:
            self._sync_connection.drop()
        if self._may_move:  # a Cluster's client finds out for itself
            self._client.connection_pool.disconnect(inuse_connections=False)

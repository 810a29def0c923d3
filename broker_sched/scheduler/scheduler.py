"""`Scheduler`: the contract straight to Redis, over a blocking client."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeVar

from broker_sched.clock import Clock
from broker_sched.config import SchedulerConfig, parse_options, to_text
from broker_sched.contract.registry import Method
from broker_sched.contract.request_ids import Request
from broker_sched.contract.scheduler_api import METHODS, SchedulerAPI
from broker_sched.contract.validation import check
from broker_sched.errors import RedisUnavailable
from broker_sched.redis_backend.commands import Argument, Await, Call, Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.recovery import DIRECT, Configure, Fail, LookAnew, Recovery, SendAgain, failure_in
from broker_sched.redis_backend.sync_connection import RedisClient, SyncConnection
from broker_sched.redis_backend.urls import replicas_ack_of, without_login
from broker_sched.scheduler import auditing
from broker_sched.scheduler.auditing import audited_here, is_audited
from broker_sched.scheduler.execution import Effects, Execution, Pause, Send, ThreadCallers, one, take_lock
from broker_sched.scheduler.integrity.check import Difference, compare
from broker_sched.scheduler.integrity.repair import PASSES, Repair
from broker_sched.scheduler.integrity.repair import commands as commands_of
from broker_sched.scheduler.integrity.snapshot import take
from broker_sched.scheduler.look_budget import LookBudget
from broker_sched.scheduler.operations import OPERATIONS
from broker_sched.scheduler.operations.lists import read_config
from broker_sched.scheduler.operations.operators import check_permissions
from broker_sched.scheduler.operations.tasks import run_deferred
from broker_sched.scheduler.operations.work import awaiting

T = TypeVar("T")
PRUNE_LOCK_MILLISECONDS = 1000
PRUNE_AGAIN_SECONDS = 0.3  # when something is due, and another process has just pruned
MIN_WAIT_SECONDS = 0.01  # of a blocking command, for which 0 is for ever
HANDING_OUT = ("get_work", "exchange")


class Scheduler(SchedulerAPI):
    """Luigi's scheduler, its state in Redis. Safe to use from many threads and processes at once, and after a fork.

    Every call raises RedisUnavailable when Redis does not serve it: after 5 attempts, or 10 s after the first failure.

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
        redis: str | RedisClient | None = None,
        namespace: str = "default",
        *,
        clock: Clock | None = None,
        prune_interval_seconds: float | None = 1.0,
        resources: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        self.namespace = Namespace.named(namespace)
        self._url = redis
        self._clock = clock
        self._prune_interval_seconds = prune_interval_seconds
        self._options = {name: to_text(value) for name, value in parse_options(options).items()}
        self._resources = check(METHODS["update_resources"], dict(resources or {}))["resources"]
        self._start()

    @property
    def redis_url(self) -> str | None:
        """Where Redis is, without the login; None for a client that was given."""
        return without_login(self._url) if self._url is None or isinstance(self._url, str) else None

    def _start(self) -> None:
        self._connect()
        self._carry(self._execution.configuring())

    def _connect(self) -> None:
        self._connection = SyncConnection(self._url)
        self._client = self._connection.client
        self._ids = ThreadCallers()
        self._execution = Execution(
            self.namespace,
            DIRECT,
            self._ids,
            clock=self._clock,
            options=self._options,
            resources=self._resources,
            user=self._connection.user,
            replicas_ack=replicas_ack_of(self._url),
        )
        self._look_budget = LookBudget()
        self._next_prune = 0.0

    def _invoke(self, method: Method, arguments: dict[str, Any]) -> Any:
        checked = check(method, arguments)
        if method.name in HANDING_OUT:
            self._prune_when_due()
        commands = OPERATIONS[method.name](self.namespace, **checked)
        if is_audited(method, checked):
            commands = audited_here(self.namespace, method.name, checked, commands)
        if method.looks:
            return self._carry(self._look_budget.paced(method.name, self._execution.run(commands)))
        if method.reads_only:
            return self.drive(commands)
        request = self._ids.begin(method.name, arguments)
        try:
            return self.drive(commands, request)
        except RedisUnavailable:
            self._ids.note_unanswered(method.name, arguments, request)
            raise

    def config(self) -> SchedulerConfig:
        """Read the namespace's options, which all its processes share. Raises RedisUnavailable."""
        return self.drive(read_config(self.namespace))

    def verify(self, repair: bool = False) -> list[Difference]:
        """Recompute every index from the tasks and return what differs; with `repair`, put it right.

        Reads the whole namespace, page by page. On a busy namespace a difference counts only when two passes
        in a row see the same. A repair may be made at any time: while it reads and writes, all others wait, some
        seconds for every 100,000 tasks. Returns what it found then.
        """
        self.drive(run_deferred(1))
        differences = self._compare()
        if repair:
            return self._repair(len(differences)) if differences else []
        if differences:
            again = {(each.key, repr(each.expected), repr(each.found)) for each in self._compare()}
            differences = [d for d in differences if (d.key, repr(d.expected), repr(d.found)) in again]
        return differences

    def _repair(self, count: int) -> list[Difference]:
        self.drive(check_permissions(self.namespace, "admin", self._connection.user))
        call_id = self.drive(auditing.begin(auditing.asker_here(), "verify --repair", {"differences": count}))
        found: list[Difference] = []
        with Repair(self._run, lambda deferred_steps: self.drive(run_deferred(deferred_steps))) as repair:
            for number in range(PASSES):
                differences = self._compare()
                found = found if number else differences
                if not differences:
                    break
                repair.write(commands_of(differences))
        self.drive(auditing.end(call_id, None))
        return found

    def _compare(self) -> list[Difference]:
        names = self._connection.keys(f"{self.namespace.prefix}*")
        return compare(take(self.namespace.prefix, names, self._read))

    def close(self) -> None:
        """Close the connections to Redis. The scheduler's state stays there, for others and for later."""
        self._connection.close()

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self._url, (str, type(None))):
            raise TypeError("A Scheduler made from a client can't be pickled; make it from a URL.")
        kept = ("namespace", "_url", "_clock", "_prune_interval_seconds", "_options", "_resources")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def _prune_when_due(self) -> None:
        """Prune when it is time and no other direct user does: without a server somebody has to."""
        if self._prune_interval_seconds is None or time.monotonic() < self._next_prune:
            return
        self._next_prune = time.monotonic() + self._prune_interval_seconds
        self._prune_unless_others_do()

    def _prune_unless_others_do(self) -> bool:
        is_ours = self.drive(take_lock(self.namespace, "prune_lock", self._ids.client, PRUNE_LOCK_MILLISECONDS))
        if is_ours:
            self.drive(OPERATIONS["prune"](self.namespace))
        return is_ours

    def drive(self, commands: Commands[T], request: Request | None = None) -> T:
        """Carry out the commands of an operation, also of one that is no method of the API, as those of mails are not.

        request: the name of a call that must not be carried out twice. Returns the operation's result, and raises what
        it raises.
        """
        return self._carry(self._execution.run(commands, request))

    def _run(self, call: Call) -> Any:
        """Run one script and return its reply."""
        return self.drive(one(call))

    def _read(self, commands: list[tuple[Argument, ...]]) -> list[Any]:
        """Send commands that only read, and return their replies."""
        return self._carry(self._execution.send(commands, reads_only=True))

    def _carry(self, effects: Effects[T]) -> T:
        """Do what an execution wants done, one thing after another, and return its result."""
        outcome: Any = None
        while True:
            try:
                effect = effects.send(outcome)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries Any
            if isinstance(effect, Send):
                try:
                    outcome = self._connection.send(effect.commands, effect.reads_only)
                except RedisUnavailable as error:
                    outcome = error
            elif isinstance(effect, Await):
                outcome = self._await(effect)
            else:
                self._recover(effect)
                outcome = None

    def _recover(self, effect: SendAgain | LookAnew | Configure | Pause) -> None:
        if isinstance(effect, Configure):
            self._carry(self._execution.configuring())
            return
        if isinstance(effect, LookAnew):
            self._connection.drop()
        time.sleep(effect.seconds)

    def _await(self, command: Await) -> bool:
        """Note that the worker waits, and wait for a message in this thread's mailbox; prune when it is due."""
        mailbox = self._ids.caller()
        is_ready, due = self._run(awaiting(command, mailbox))
        deadline = time.monotonic() + command.seconds
        prune_at = time.monotonic() + float(due) if due and self._prune_interval_seconds is not None else deadline
        while not is_ready and (left := deadline - time.monotonic()) > 0:
            pause = max(min(left, prune_at - time.monotonic(), self._connection.block_seconds), MIN_WAIT_SECONDS)
            popped = self._pop(self.namespace.key("wake", mailbox), pause)
            if popped is None:  # the next call of the worker finds out
                return False
            is_ready = popped == command.worker
            if time.monotonic() >= prune_at:
                prune_at = deadline if self._prune_unless_others_do() else time.monotonic() + PRUNE_AGAIN_SECONDS
        return bool(is_ready)

    def _pop(self, mailbox: str, seconds: float) -> str | None:
        """The next message; '' when none comes in time, None when Redis could not be asked. What lasts is raised."""
        outcome: Any
        try:
            outcome = self._connection.send([("BLPOP", mailbox, str(seconds))])
        except RedisUnavailable as error:
            outcome = error
        failure = failure_in(outcome)
        if failure is None:
            return outcome[0][1] if outcome[0] else ""
        verdict = Recovery(DIRECT).after(failure, time.monotonic())
        if isinstance(verdict, SendAgain | LookAnew):
            self._recover(verdict)
            return None
        raise verdict.error if isinstance(verdict, Fail) else RedisUnavailable(str(failure))

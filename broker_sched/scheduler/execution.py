"""What both schedulers do with a method's commands: one generator, which does no I/O.

It yields what is to be done, and is sent what came of it: replies to what it wants sent, nothing after a wait. So
`Scheduler` and `AsyncScheduler` only carry: they send, wait, and look anew for the primary, each in its own way. What
is done after a failure is said by `redis_backend.recovery`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from broker_sched.clock import Clock
from broker_sched.contract.request_ids import Request, RequestIds, repeated
from broker_sched.errors import BrokerSchedError, RedisUnavailable
from broker_sched.lua.loader import Script
from broker_sched.redis_backend.commands import Argument, Await, Call, Calls, Commands, RawCommand, Read, Write
from broker_sched.redis_backend.error_replies import NOPERM, UNCONFIRMED, RedisRefused
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.redis_backend.permissions import only_looking, refused
from broker_sched.redis_backend.recovery import (
    Configure,
    Fail,
    Limits,
    LoadScripts,
    LookAnew,
    Recovery,
    ReplyError,
    SendAgain,
    Verdict,
    failure_in,
)
from broker_sched.redis_backend.script_call import evalsha
from broker_sched.scheduler.operations import OPERATIONS, configure
from broker_sched.scheduler.operations.operators import check_permissions
from broker_sched.scheduler.redis_users import Use
from broker_sched.this_user import user_at_host

T = TypeVar("T")
WAIT_MILLISECONDS = 250  # for replicas, which confirm within one or two; others wait behind, and a call is made again
# Scripts that may write nothing. Any other that reaches a replica is refused.
READING = frozenset(
    (
        "count_pending count_tasks export_tasks look_at_hand_out look_at_redis look_at_submission read_clock walk_unmet"
    ).split()
)


class Send(NamedTuple):
    """Send these together. The answer is the list of replies, or the error why there are none."""

    commands: Sequence[RawCommand]
    reads_only: bool


class Pause(NamedTuple):
    """Wait so many seconds, so that others come in between."""

    seconds: float


Effect: TypeAlias = Send | SendAgain | LookAnew | Configure | Await | Pause
Effects: TypeAlias = Generator[Effect, Any, T]


class Callers(Protocol):
    """Names for scripts that must not run twice. Redis keeps the last answer of each caller."""

    def new(self) -> Request:
        """A name for a script that is run for the first time, of a caller that has nothing in flight."""

    def note_answer(self, request: Request) -> None:
        """Note that a call was answered at the first attempt: its caller may make another one."""

    def note_loss(self) -> None:
        """A reply did not come: its caller may have a command on the way that arrives late."""


class ThreadCallers(RequestIds):
    """The callers of a `Scheduler`: each thread is one, and after a loss another one."""

    def note_answer(self, request: Request) -> None:
        """Does nothing: a thread makes one call at a time."""


class FreeCallers:
    """The callers of an `AsyncScheduler`: as many as there are calls in flight at once.

    A copy of a lost command may still arrive, so its caller makes no other call afterwards.
    """

    def __init__(self, client: str) -> None:
        self._client = client
        self._free: list[str] = []
        self._callers = itertools.count()
        self._numbers = itertools.count()

    def new(self) -> Request:
        """A name for a script, of a caller that is free."""
        caller = self._free.pop() if self._free else f"{self._client}.{next(self._callers)}"
        return Request(caller, str(next(self._numbers)))

    def note_answer(self, request: Request) -> None:
        """Note that the call's caller is free for another one."""
        self._free.append(request.caller)

    def note_loss(self) -> None:
        """Does nothing: a caller whose call was repeated is not given back."""


class Execution:
    """Turns commands into what is to be sent, until they are answered or the policy gives up.

    use, user: what the user of Redis is needed for, and as whom it logs in, '' where that is not known.
    limits: how long a call is repeated. replicas_ack: how many replicas must have what a call changes, before it counts
    as answered; 0: none. options, resources: written to the namespace when it is made ready.
    """

    def __init__(
        self,
        namespace: Namespace,
        limits: Limits,
        callers: Callers,
        *,
        clock: Clock | None = None,
        options: Mapping[str, str] | None = None,
        resources: Mapping[str, float] | None = None,
        use: Use = "worker",
        user: str = "",
        replicas_ack: int = 0,
    ) -> None:
        self.namespace = namespace
        self.limits = limits
        self.is_configured = False  # as far as is known
        self.lacks_permission = False  # likewise
        self.redis_errors = 0  # how often Redis did not answer, or refused to serve us
        self.may_only_look = False  # as far as is known
        self.use: Use = use
        self.user = user
        self._callers = callers
        self._clock = clock
        self._replicas_ack = replicas_ack
        self._options = dict(options or {})
        self._resources = dict(resources or {})

    def run(self, commands: Commands[T], request: Request | None = None) -> Effects[T]:
        """Carry out a method's commands and return its result. request: the client's name for this call.

        Begins by making the namespace ready, where that was not done yet. Raises what the method raises,
        RedisUnavailable, SchemaMismatch and ScriptError.
        """
        if not self.is_configured:
            yield Configure()
        if self.lacks_permission:  # looked at first, so that no script stops half-way
            yield from self._run(self.check_permissions(), None)
            self.lacks_permission = False
        return (yield from self._run(commands, request))

    def configuring(self) -> Effects[None]:
        """What Configure stands for: make the namespace ready, write the options and limits."""
        effects = self._run(self.configuration(), None)
        outcome: Any = None
        while True:
            try:
                effect = effects.send(outcome)
            except StopIteration:
                break
            if isinstance(effect, Configure):  # which is under way, and must not wait for itself
                raise RedisUnavailable("Somebody emptied Redis while the namespace was made ready; try again.")
            outcome = yield effect
        self.is_configured, self.lacks_permission = True, False

    def check_permissions(self) -> Commands[None]:
        """Look anew what the user of Redis may do. Raises RedisRefused when that is not all that is needed."""
        self.may_only_look = not (yield from check_permissions(self.namespace, self.use, self.user))

    def configuration(self) -> Commands[None]:
        """What `configuring` carries out, as commands."""
        by = user_at_host() if self._options else ""
        self.may_only_look = False
        self.may_only_look = not (yield from configure(self.namespace, self._options, by, self.use, self.user))
        if self._resources:
            yield from OPERATIONS["update_resources"](self.namespace, resources=self._resources)

    def call(self, call: Call, request: Request | None = None) -> Effects[Any]:
        """Run one script and return its reply. Where it must not run twice, all attempts have one request id."""
        if self.may_only_look and call.script not in READING and call.script != "check_permissions":
            return _left_to_others(call, self.user)
        own = self._callers.new() if call.once and request is None else None
        named = request or own
        request_id = named.next_id(call.script) if call.once and named else ""
        script, command = self._evalsha(call, request_id)
        outcome = yield from self._sent([command], call.script in READING)
        if failure_in(outcome) is None:  # nearly always
            if own is not None:
                self._callers.note_answer(own)
            return outcome[0]

        def again(is_repetition: bool) -> list[list[Argument]]:
            return [self._evalsha(call, repeated(request_id) if is_repetition and request_id else request_id)[1]]

        return (yield from self._recover(outcome, again, (script,), call.script in READING))[0]

    def send(self, commands: Sequence[RawCommand], reads_only: bool) -> Effects[list[Any]]:
        """Send commands that are no scripts, and return their replies."""
        if not commands:
            return []
        outcome = yield from self._sent(commands, reads_only)
        if failure_in(outcome) is None:
            return outcome  # type: ignore[no-any-return]  # what is sent to a generator is untyped
        return (yield from self._recover(outcome, lambda is_repetition: commands, (), reads_only))

    def _run(self, commands: Commands[T], request: Request | None) -> Effects[T]:
        reply: Any = None
        while True:
            try:
                command = commands.send(reply)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries Any
            if isinstance(command, Call):
                reply = yield from self.call(command, request)
            elif isinstance(command, Await):
                reply = yield command
            elif isinstance(command, Calls):
                reply = yield from self._call_together(command.calls, request)
            else:
                reply = yield from self.send(command.commands, isinstance(command, Read))

    def _call_together(self, calls: list[Call], request: Request | None) -> Effects[list[Any]]:
        if not calls:
            return []
        if self.may_only_look and any(each.script not in READING for each in calls):
            raise only_looking(self.user, calls[0].script)
        own = self._callers.new() if request is None and any(each.once for each in calls) else None
        named = request or own
        ids = [named.next_id(each.script) if each.once and named else "" for each in calls]
        first = [self._evalsha(each, request_id) for each, request_id in zip(calls, ids)]
        reads_only = all(each.script in READING for each in calls)
        outcome = yield from self._sent([command for _, command in first], reads_only)
        if failure_in(outcome) is None:
            if own is not None:
                self._callers.note_answer(own)
            return outcome  # type: ignore[no-any-return]  # as above

        def again(is_repetition: bool) -> list[list[Argument]]:
            # Some may have run although another one of them failed: so each is a repetition, whatever the failure was.
            sent = [repeated(request_id) if request_id else "" for request_id in ids]
            return [self._evalsha(each, request_id)[1] for each, request_id in zip(calls, sent)]

        scripts = tuple({script.sha: script for script, _ in first}.values())
        return (yield from self._recover(outcome, again, scripts, reads_only))

    def _sent(self, commands: Sequence[RawCommand], reads_only: bool) -> Effects[Any]:
        """Send commands, and return what came of it: an error also where too few replicas have confirmed a change."""
        if reads_only or not self._replicas_ack or all(each[0] == "SCRIPT" for each in commands):
            return (yield Send(commands, reads_only))
        outcome = yield Send([*commands, ("WAIT", str(self._replicas_ack), str(WAIT_MILLISECONDS))], reads_only)
        if failure_in(outcome) is not None:
            return outcome
        *replies, confirmed = outcome
        return replies if int(confirmed) >= self._replicas_ack else [ReplyError(UNCONFIRMED.name)]

    def _evalsha(self, call: Call, request_id: str) -> tuple[Script, list[Argument]]:
        return evalsha(self.namespace, self._clock, call, request_id)

    def _recover(
        self,
        outcome: Any,
        make: Callable[[bool], Sequence[RawCommand]],
        scripts: Sequence[Script],
        reads_only: bool,
    ) -> Effects[list[Any]]:
        """Do what the policy says until there is no error. make: the commands anew, told whether they may have run."""
        recovery = Recovery(self.limits, scripts[0] if scripts else None)
        is_repetition = False
        first: list[RawCommand] = []
        while (failure := failure_in(outcome)) is not None:
            verdict = recovery.after(failure, time.monotonic())
            first = []
            self.redis_errors += _is_redis_to_blame(verdict)
            if isinstance(verdict, Fail):
                raise self._noted(verdict.error, str(failure))
            if isinstance(verdict, LoadScripts):
                first = [("SCRIPT", "LOAD", each.source) for each in scripts]
            else:
                is_repetition = is_repetition or not isinstance(verdict, Configure)
                if isinstance(verdict, LookAnew) and verdict.is_lost:
                    self._callers.note_loss()
                yield verdict
            outcome = yield from self._sent([*first, *make(is_repetition)], reads_only)
        return list(outcome[len(first) :])

    def _noted(self, error: BrokerSchedError, message: str) -> BrokerSchedError:
        if not isinstance(error, RedisRefused) or error.reply is not NOPERM:
            return error
        self.lacks_permission = True
        return refused(self.user, message)


def _is_redis_to_blame(verdict: Verdict) -> bool:
    if isinstance(verdict, Fail):
        return isinstance(verdict.error, RedisUnavailable)
    return isinstance(verdict, (SendAgain, LookAnew))


def _left_to_others(call: Call, user: str) -> Any:
    """What is answered in place of a script to a user of Redis who may only look: that nothing was due.

    Listings begin with what is due by time, and are shown as it is without that. Raises RedisRefused for a change.
    """
    if call.script == "prune":
        return [0]
    if call.script == "end_submission" and "CANCELLED" not in call.args:  # it is over, and whoever prunes ends it
        return ["", 0]
    raise only_looking(user, call.script)


def one(call: Call) -> Commands[Any]:
    """Commands that are one script; the result is its reply."""
    return (yield call)


def take_lock(namespace: Namespace, name: str, holder: str, milliseconds: int) -> Commands[bool]:
    """Take a lock of this namespace that goes away by itself; False when another process has it."""
    (taken,) = yield Write([("SET", namespace.key(name), holder, "NX", "PX", str(milliseconds))])
    return bool(taken)

"""What workers report: tasks, batchers, failures to schedule."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check, to_json
from broker_sched.errors import InvalidArgument, Superseded
from broker_sched.mails.addresses import addresses_in
from broker_sched.redis_backend.commands import Call, Calls, Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.dates import date_of
from broker_sched.scheduler.operations.attempts import attempt_text, refuse_superseded

T = TypeVar("T")

MAX_DEPS_AT_ONCE = 150  # a longer list of deps is staged in chunks of this, so that no script runs long
DEFERRED_BUDGET = 56  # units of work in one script that does what a call left
MAX_DEFERRED_CALLS = 2000  # a caller does not wait for more of them: others go on
MAX_TASKS_AT_ONCE = 100  # scripts sent together
MAX_BATCH_SIZE = 1_000_000  # stands for "no maximum"
NOT_GIVEN = [None, None, None]  # of a retry policy


def add_task(
    namespace: Namespace,
    *,
    task_id: str,
    status: str,
    runnable: bool | None,
    deps: Sequence[str] | None,
    new_deps: Sequence[str] | None,
    expl: Any,
    resources: Mapping[str, float] | None,
    priority: float,
    family: str | None,
    module: str | None,
    params: Mapping[str, Any] | None,
    param_visibilities: Mapping[str, int] | None,
    accepts_messages: bool | None,
    assistant: bool | None,
    tracking_url: str | None,
    worker: str,
    batchable: bool | None,
    batch_id: str | None,
    retry_policy_dict: Mapping[str, float | None] | None,
    owners: Any,
    attempt: int | None,
) -> Commands[None]:
    """One script; a long list of deps is staged before it and read in after it."""
    visible = not any((param_visibilities or {}).values())
    named = [*(deps or ()), *(new_deps or ())]
    staged: list[str] = []
    if len(named) > MAX_DEPS_AT_ONCE:
        named, staged = [], named
    token = uuid.uuid4().hex if staged else ""
    report = Call(
        "add_task",
        # A failure counted twice could disable the task; new deps take it from whoever runs it by then.
        once=status == "FAILED" or bool(new_deps),
        task_id=task_id,
        worker=worker,
        status=status,
        runnable=truth(runnable),
        assistant=truth(assistant),
        has_new_deps=truth(new_deps),
        attempt=attempt_text(attempt),
        priority=number(priority),
        family=family or "",
        module=optional(module),
        params=optional(to_json("params", params) if params else None),
        param_visibilities=optional(None if visible else to_json("param_visibilities", param_visibilities)),
        accepts_messages=truth_or_null(accepts_messages),
        tracking_url=optional(tracking_url),
        batchable=truth_or_null(batchable),
        batch_id=optional(batch_id),
        expl=optional(None if expl is None else explanation(expl)),
        resources=needs(resources),
        retry_policy=policy(retry_policy_dict),
        replaces_deps=truth(deps is not None),
        deps_token=token,
        owners=owners_text(owners),
        date=date_of(params, param_visibilities),
        deps=named,
    )
    for chunk in chunks(staged, MAX_DEPS_AT_ONCE):
        yield Call("stage_deps", token=token, task_ids=chunk)
    left = yield report
    yield from refuse_superseded(namespace, left, task_id)
    yield from run_deferred(left)


def add_tasks(namespace: Namespace, *, worker: str, tasks: Sequence[Mapping[str, Any]]) -> Commands[None]:
    """add_task for each; their scripts are sent together, as far as they may be repeated.

    That one is superseded keeps the others from nothing; it is raised at the end.
    """
    superseded: dict[str, Superseded] = {}
    last = yield from report_all(namespace, worker, tasks, "tasks", superseded)
    yield from _send(last, superseded)
    if superseded:
        raise next(iter(superseded.values()))


class Begun(NamedTuple):
    """An add_task that has begun: its commands, and the first of them, which is to be carried out next."""

    task_id: str
    commands: Commands[None]
    call: Call

    def resume(self, reply: Any, superseded: dict[str, Superseded]) -> Commands[None]:
        """Carry out what follows on the first command's reply. superseded: gets the error where the report is."""
        while True:
            try:
                command = self.commands.send(reply)
            except StopIteration:
                return
            except Superseded as error:
                superseded[self.task_id] = error
                return
            reply = yield command


def report_all(
    namespace: Namespace,
    worker: str,
    tasks: Sequence[Mapping[str, Any]],
    argument: str,
    superseded: dict[str, Superseded],
) -> Commands[list[Begun]]:
    """Do add_task for each, but for the last ones, which are returned: they may be sent together with something else.

    argument: which one of the method these are. superseded: gets the errors of those that do not count any more.
    """
    begun = [_begun(namespace, worker, f"{argument}[{index}]", task) for index, task in enumerate(tasks)]
    together: list[Begun] = []
    for each in begun:  # all of them were checked by now
        if each.call.script == "add_task" and not each.call.once:
            together.append(each)
            continue
        yield from _send(together, superseded)
        together = []
        yield from each.resume((yield each.call), superseded)
    most = len(together) - len(together) % MAX_TASKS_AT_ONCE
    yield from _send(together[:most], superseded)
    return together[most:]


def _begun(namespace: Namespace, worker: str, where: str, task: Mapping[str, Any]) -> Begun:
    try:
        checked = check(METHODS["add_task"], {**task, "worker": worker})
        commands = add_task(namespace, **checked)
        return Begun(checked["task_id"], commands, next(commands))  # type: ignore[arg-type]  # it begins with a Call
    except InvalidArgument as error:
        raise InvalidArgument(f"{where}.{error.field}", error.message) from None


def _send(together: list[Begun], superseded: dict[str, Superseded]) -> Commands[None]:
    for some in chunks(together, MAX_TASKS_AT_ONCE):
        replies = yield Calls([each.call for each in some])
        for each, reply in zip(some, replies):
            yield from each.resume(reply, superseded)


def add_task_batcher(
    namespace: Namespace, *, worker: str, task_family: str, batched_args: Sequence[str], max_batch_size: float
) -> Commands[None]:
    """Register which parameters of a family may be lists. One script; its ready tasks are indexed in further ones."""
    maximum = number(max(-MAX_BATCH_SIZE, min(max_batch_size, MAX_BATCH_SIZE)))
    names = to_json("batched_args", sorted(set(batched_args)))
    left = yield Call("add_task_batcher", worker=worker, family=task_family, max_batch_size=maximum, batched_args=names)
    yield from run_deferred(left)


def announce_scheduling_failure(
    namespace: Namespace,
    *,
    task_name: str,
    family: str,
    params: Any,
    expl: Any,
    owners: Any,
    worker: str | None,
    param_visibilities: Any,
) -> Commands[None]:
    """Note for the mails that a task could not be scheduled. One script.

    It takes no part of `task_name`, which from Luigi's worker has hidden parameters in it.
    """
    yield Call(
        "note_scheduling_failure",
        worker=worker or "",
        family=family,
        params=to_json("params", params) if isinstance(params, dict) else "",
        param_visibilities=to_json("param_visibilities", param_visibilities)
        if isinstance(param_visibilities, dict)
        else "",
        owners=owners_text(owners),
        expl=explanation(expl),
    )


def run_deferred(left: int) -> Commands[None]:
    """Do deferred steps that a call left behind, in further short scripts. When the caller dies, others go on."""
    for _ in range(MAX_DEFERRED_CALLS):
        if not left:
            return
        left = yield Call("run_deferred", budget=str(DEFERRED_BUDGET))


def optional(text: str | None) -> str:
    """Return an optional text as scripts take it: '' for null, else '=' and the text."""
    return "" if text is None else f"={text}"


def explanation(expl: Any) -> str:
    """Return the text that is kept of an explanation: a text itself, and the JSON of anything else.

    Luigi: luigid keeps any JSON value, and its page reads the explanation as JSON where it can.
    """
    return expl if isinstance(expl, str) else to_json("expl", expl)


def owners_text(owners: Any) -> str:
    """Return as JSON whom mails about a task go to; '' for nobody. A text may name several, with commas."""
    if owners is None:
        return ""
    if not isinstance(owners, (str, list, tuple)) or not all(isinstance(each, str) for each in owners):
        raise InvalidArgument("owners", "must be a list of mail addresses")
    found = addresses_in(owners)
    return to_json("owners", found) if found else ""


def truth(value: object) -> str:
    """How a script takes a truth: 0 or 1."""
    return "1" if value else "0"


def truth_or_null(value: bool | None) -> str:
    """How a script takes an optional truth: '' for null, else 0 or 1."""
    return "" if value is None else truth(value)


def number(value: float) -> str:
    """Return a number's text, which for whole ones has no point."""
    return str(int(value)) if value == int(value) else repr(value)


def needs(resources: Mapping[str, float] | None) -> str:
    """Return resources as text that is equal exactly when they are; '' for none."""
    if not resources:
        return ""
    whole = {name: int(amount) if amount == int(amount) else amount for name, amount in sorted(resources.items())}
    return to_json("resources", whole)


def policy(fields: Mapping[str, float | None] | None) -> str:
    """Return '<retry_count>|<disable_hard_timeout>|<disable_window>', empty where not given; '' for nothing given."""
    given = [(fields or {}).get(name) for name in ("retry_count", "disable_hard_timeout", "disable_window")]
    if given == NOT_GIVEN:
        return ""
    return "|".join("" if value is None else number(value) for value in given)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in slices of `size`, the last one maybe shorter."""
    for start in range(0, len(items), size):
        yield items[start : start + size]

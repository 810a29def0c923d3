"""Work: handing it out, counting it, waiting for it, and the calls by which workers make themselves known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from broker_sched.contract import replies as replies
from broker_sched.contract.validation import to_json
from broker_sched.errors import InvalidArgument, NameTaken, Superseded
from broker_sched.redis_backend.commands import Await, Call, Calls, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.attempts import SUPERSEDED, attempt_text, refuse_superseded
from broker_sched.scheduler.operations.operators import prune
from broker_sched.scheduler.operations.refusals import module_filter
from broker_sched.scheduler.operations.tasks import Begun, optional, report_all, run_deferred, truth

MAX_CALLS_SETTING_APART = 2000  # scripts in one call that only set apart what the worker must not have
MANY_TASKS = 1000  # of more that a worker names, the script is told only those that run there
CANNOT_RUN = {  # why a worker can't take a run over, as transfer_task.lua says it
    "unknown": "there is no worker {to}: it has to make itself known by add_worker first",
    "submission": "{to} is a submission, which runs nothing",
    "disabled": "{to} is disabled: it gets no more work",
    "no stake": "{to} is no assistant and has no stake in the task, which it gets by add_task",
}


def get_work(
    namespace: Namespace,
    *,
    host: str | None,
    assistant: bool | None,
    current_tasks: Sequence[str] | None,
    worker: str,
    start_id: str | None,
    always_tells_running: bool = True,
) -> Commands[replies.Work]:
    """Hand out a task, or a batch. One script; a batch takes a second one, which gives it its id.

    always_tells_running: whether running_tasks is told where something is handed out, too.
    """
    if current_tasks is not None and len(current_tasks) > MANY_TASKS:
        current_tasks = yield from _running_of(namespace, worker, current_tasks)

    def ask(is_pruned: bool) -> Call:
        return Call(
            "get_work",
            once=True,
            worker=worker,
            host=optional(host),
            assistant=truth(assistant),
            is_pruned=truth(is_pruned),
            start_id=start_id or "",
            always_tells_running=truth(always_tells_running),
            tells_current_tasks=truth(current_tasks is not None),
            current_tasks=current_tasks or (),
        )

    reply = yield ask(is_pruned=False)
    if reply[6] == "prune":
        yield from prune(namespace)
        reply = yield ask(is_pruned=True)
    for _ in range(MAX_CALLS_SETTING_APART):
        if reply[6] != "more":
            break
        reply = yield ask(is_pruned=True)
    kind, *handed = reply[6:]
    if kind == "replaced":
        raise _replaced(worker)
    work: replies.Work = {**_counts(reply), "task_id": None}  # type: ignore[typeddict-item]  # same keys, one more
    if work["worker_state"] == "disabled":
        del work["n_pending_last_scheduled"]
    if kind == "task":
        work["task_id"], work["task_family"] = handed[:2]
        work["task_module"], work["task_params"] = handed[2] or None, json.loads(handed[3])
        work["attempt"] = int(handed[4])
    elif kind == "batch":
        work["task_family"], work["task_module"] = handed[1], handed[2] or None
        work["attempt"] = int(handed[5])
        yield from _name_batch(work, worker, handed[0], json.loads(handed[3]), handed[4])
    return work


def exchange(
    namespace: Namespace,
    *,
    worker: str,
    reports: Sequence[Mapping[str, Any]],
    wanted: int,
    host: str | None,
    assistant: bool | None,
    current_tasks: Sequence[str] | None,
    start_id: str | None,
) -> Commands[replies.Exchange]:
    """add_task for each report, then get_work. What may be repeated of the reports goes with the first questions.

    A worker that reports is at work, so that there will be as much for it again: so many questions are asked at once. A
    worker that waits is woken for one task, and asks for one after another.
    """
    superseded: dict[str, Superseded] = {}
    last = yield from report_all(namespace, worker, reports, "reports", superseded)
    running = None if current_tasks is None else list(current_tasks)
    work: list[replies.Work] = []
    while last or len(work) < wanted:
        # A report that Redis refuses for now leaves its task running here, and is sent again after the questions.
        current = None if running is None else [*running, *(each.task_id for each in last)]
        at_once = 1 if current is not None and len(current) > MANY_TASKS else max(1, len(last))
        questions = [
            get_work(
                namespace,
                host=host,
                assistant=assistant,
                # The first one finds what was lost. The others can't know what those before them hand out.
                current_tasks=None if number else current,
                worker=worker,
                start_id=start_id,
                always_tells_running=False,
            )
            for number in range(min(at_once, wanted - len(work)))
        ]
        answers = yield from _sent_with(last, questions, superseded)
        last = []
        handed_out = [each for each in answers if each["task_id"] is not None or "batch_id" in each]
        work += sorted(handed_out, key=lambda each: "batch_id" in each)
        if len(handed_out) < len(answers):
            work.append(next(each for each in answers if each not in handed_out))
            break
        if any("batch_id" in each for each in handed_out):
            break  # its members would go back if get_work came before the worker's report, and told what runs
        if running is not None:
            running += [str(each["task_id"]) for each in handed_out]
    return {"superseded": {task_id: str(error) for task_id, error in superseded.items()}, "work": work}


def _sent_with(
    last: list[Begun], questions: list[Commands[replies.Work]], superseded: dict[str, Superseded]
) -> Commands[list[replies.Work]]:
    """Send the last reports and the questions in one round trip, and return the answers to the questions."""
    firsts = [next(each) for each in questions]
    calls = [each.call for each in last] + [first for first in firsts if isinstance(first, Call)]
    told = yield Calls(calls)
    for each, reply in zip(last, told):
        yield from each.resume(reply, superseded)
    asked = told[len(last) :]
    if firsts and not isinstance(firsts[0], Call):  # the only one, which reads something first
        asked = [(yield firsts[0])]
    answers = []
    for question, reply in zip(questions, asked):
        answers.append((yield from _answer(question, reply)))
    return answers


def _answer(question: Commands[replies.Work], reply: Any) -> Commands[replies.Work]:
    while True:
        try:
            command = question.send(reply)
        except StopIteration as answered:
            return answered.value  # type: ignore[no-any-return]  # StopIteration carries Any
        reply = yield command


def _running_of(namespace: Namespace, worker: str, named: Sequence[str]) -> Commands[list[str]]:
    """Return those of the named tasks that run on the worker: for the others it makes no difference that it named them.

    A task that it could know of was handed to it before it called, so it is among those that are read here.
    """
    (numbers,) = yield Read([("SMEMBERS", namespace.key("running", worker))])
    if not numbers:
        return []
    (ids,) = yield Read([("HMGET", namespace.key("ids"), *numbers)])
    return sorted(set(named).intersection(ids))


def _name_batch(
    work: replies.Work, worker: str, provisional_id: str, names: list[str], members: list[list[str]]
) -> Commands[None]:
    """Luigi's batch id is the md5 of the member ids, which a script can't compute."""
    ids = [member[0] for member in members]
    params = [json.loads(member[1]) for member in members]
    batch_id = hashlib.new("md5", "|".join(ids).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    yield Call("name_batch", worker=worker, provisional_id=provisional_id, batch_id=batch_id)
    work["task_params"] = {**params[0], **{name: [each.get(name) for each in params] for name in names}}
    work["batch_id"] = batch_id
    work["batch_task_ids"] = ids


def transfer_task(
    namespace: Namespace, *, task_id: str, worker: str, to: str, attempt: int, host: str | None, start_id: str | None
) -> Commands[replies.Transferred]:
    """Have a run go on on another worker. One script."""
    kind, *told = yield Call(
        "transfer_task",
        once=True,
        task_id=task_id,
        worker=worker,
        to=to,
        attempt=attempt_text(attempt),
        host=optional(host),
        start_id=start_id or "",
    )
    if kind == "superseded":
        yield from refuse_superseded(namespace, SUPERSEDED, task_id)
    if kind == "replaced":
        raise _replaced(to)
    if kind == "member":
        raise InvalidArgument("task_id", f"is part of the batch {told[0]}: give the task that runs the batch")
    if kind != "task":
        raise InvalidArgument("to", CANNOT_RUN[kind].format(to=to))
    counts, family, module, params, batch_id, members = told
    moved: replies.Transferred = {**_counts(counts), "task_id": task_id}  # type: ignore[typeddict-item]  # as above
    moved["task_family"], moved["task_module"] = family, module or None
    moved["task_params"], moved["attempt"] = json.loads(params), attempt
    if batch_id:
        moved["batch_id"], moved["batch_task_ids"] = batch_id, members
    return moved


def count_pending(namespace: Namespace, *, worker: str) -> Commands[replies.PendingCounts]:
    """Count the tasks that are left for a worker, as get_work does. One script."""
    reply = yield Call("count_pending", worker=worker)
    return _counts(reply)


def await_work(namespace: Namespace, *, worker: str, assistant: bool, seconds: float) -> Commands[replies.Awaited]:
    """Wait until there may be work. One script, then a wait that the transport does."""
    return {"ready": bool((yield Await(worker, assistant, seconds)))}


def awaiting(wait: Await, mailbox: str) -> Call:
    """Make the script call that notes that a worker waits. mailbox: the list by which it is woken."""
    return Call(
        "await_work",
        worker=wait.worker,
        assistant=truth(wait.assistant),
        mailbox=mailbox,
        seconds=repr(float(wait.seconds)),
    )


def ping(namespace: Namespace, *, worker: str, start_id: str | None) -> Commands[replies.Ping]:
    """Note that a worker lives, and return its messages. One script."""
    messages = yield Call("ping", once=True, worker=worker, start_id=start_id or "")
    if messages is None:
        raise _replaced(worker)
    return {"rpc_messages": [json.loads(message) for message in messages]}


def add_worker(
    namespace: Namespace, *, worker: str, info: Mapping[str, Any] | Sequence[tuple[str, Any]], start_id: str | None
) -> Commands[None]:
    """Make a worker known, with its info. One script, and more when it is new under an old name.

    `assistant`, `workers` and `allow_modules` are kept a second time, as scripts need them; `task_memory` is kept
    apart, for a minute.
    """
    merged = dict(info)
    memory = merged.pop("task_memory", None)
    _check_memory(memory)
    assistant = truth(merged["assistant"]) if "assistant" in merged else ""
    slots = merged.get("workers")
    countable = isinstance(slots, (int, float)) and slots == slots
    flat = [text for name, value in merged.items() for text in (name, to_json(f"info.{name}", value))]
    told_slots = repr(float(slots)) if countable and slots is not None else ""
    allowed = module_filter(merged["allow_modules"]) if "allow_modules" in merged else ""
    outcome = "more"
    while outcome == "more":
        outcome, *told = yield Call(
            "add_worker",
            worker=worker,
            assistant=assistant,
            slots=told_slots,
            modules=allowed,
            start_id=start_id or "",
            memory=to_json("info.task_memory", memory) if memory else "",
            info=flat,
        )
        if outcome != "alive":
            yield from run_deferred(told[0])
    if outcome == "alive":
        since = datetime.fromtimestamp(float(told[0]), timezone.utc)
        raise NameTaken(
            f"{told[1]} has this name, runs tasks, and was heard of last at {since:%Y-%m-%d %H:%M:%S} UTC. "
            "Give this worker another name (--name), or stop the other one."
        )


def _check_memory(memory: Any) -> None:
    is_right = isinstance(memory, dict) and all(isinstance(each, int) for each in memory.values())
    if memory is not None and not is_right:
        raise InvalidArgument("info.task_memory", "must be an object (task id → bytes)")


def _replaced(worker: str) -> NameTaken:
    return NameTaken(
        f"Another worker was started under the name {worker}, and is the one of this name now: this one gets no work, "
        "and what it still runs does not count. Give each worker a name of its own (--name)."
    )


def _counts(reply: list[Any]) -> replies.PendingCounts:
    state, pending, unique, last_scheduled, running, infos = reply[:6]
    info_of = {name: _info(flat) for name, flat in zip(infos[::2], infos[1::2])}
    return {
        "n_pending_tasks": pending,
        "n_unique_pending": unique,
        "n_pending_last_scheduled": last_scheduled,
        "worker_state": state,
        "running_tasks": [
            {"task_id": task_id, "worker": runner, **info_of.get(runner, {})}
            for task_id, runner in zip(running[::2], running[1::2])
        ],
    }


def _info(flat: Any) -> dict[str, Any]:
    """A worker's info from Redis's flat list of key, JSON, key, JSON, …"""
    return {flat[i]: json.loads(flat[i + 1]) for i in range(0, len(flat), 2)}

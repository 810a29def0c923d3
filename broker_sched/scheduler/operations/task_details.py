"""What is kept beside a task and is not its status: messages, progress, resources held, its error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from broker_sched.contract import replies as replies
from broker_sched.contract.validation import to_json
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.attempts import attempt_text, refuse_superseded
from broker_sched.scheduler.operations.tasks import number, optional
from broker_sched.scheduler.records import CHUNK, display_name, load_records


def set_task_status_message(
    namespace: Namespace, *, task_id: str, status_message: str | None, attempt: int | None
) -> Commands[None]:
    """Keep a running task's status message. One script."""
    return _set_detail(namespace, task_id, "status_message", status_message, attempt)


def get_task_status_message(namespace: Namespace, *, task_id: str) -> Commands[replies.StatusMessage]:
    """Return a task's status message. Luigi: '' for an unknown task, null for one without a message."""
    known, message = yield _task_and_detail(namespace, task_id, "status_message")
    return {"taskId": task_id, "statusMessage": message if known else ""}


def set_task_progress_percentage(
    namespace: Namespace, *, task_id: str, progress_percentage: float | None, attempt: int | None
) -> Commands[None]:
    """Keep how far a running task is. One script."""
    text = None if progress_percentage is None else json.dumps(progress_percentage)
    return _set_detail(namespace, task_id, "progress_percentage", text, attempt)


def get_task_progress_percentage(namespace: Namespace, *, task_id: str) -> Commands[replies.ProgressPercentage]:
    """Return how far a task is; null for an unknown task and for one without progress."""
    known, progress = yield _task_and_detail(namespace, task_id, "progress_percentage")
    return {"taskId": task_id, "progressPercentage": json.loads(progress) if known and progress else None}


def decrease_running_task_resources(
    namespace: Namespace, *, task_id: str, decrease_resources: Mapping[str, float], attempt: int | None
) -> Commands[None]:
    """Give back resources that a running task holds. One script."""
    flat = [text for name, amount in decrease_resources.items() for text in (name, number(amount))]
    reply = yield Call("decrease_resources", once=True, task_id=task_id, attempt=attempt_text(attempt), amounts=flat)
    yield from refuse_superseded(namespace, reply, task_id)


def get_running_task_resources(namespace: Namespace, *, task_id: str) -> Commands[replies.RunningResources]:
    """Return what a task holds; null for an unknown task and for one that was never handed out."""
    records = yield from load_records(namespace, [task_id])
    record = records.get(task_id)
    return {"taskId": task_id, "resources": record["resources_running"] if record else None}


def report_task_statistics(namespace: Namespace, *, task_id: str, statistics: Any) -> Commands[None]:
    """Accept the numbers; nothing is derived from them yet."""
    yield from ()


def update_metrics_task_started(namespace: Namespace, *, task: Any) -> Commands[None]:
    """Do nothing: no client can send a task object."""
    yield from ()


def fetch_error(namespace: Namespace, *, task_id: str) -> Commands[replies.TaskError]:
    """Return why a task failed last. Luigi: with all parameters, hidden ones too."""
    records = yield from load_records(namespace, [task_id])
    record = records.get(task_id)
    if record is None:
        return {"taskId": task_id, "error": ""}
    return {
        "taskId": task_id,
        "error": record["expl"],
        "displayName": display_name(record),
        "taskParams": record["params"],
        "taskModule": record["module"],
        "taskFamily": record["family"],
    }


def set_worker_processes(namespace: Namespace, *, worker: str, n: int) -> Commands[None]:
    """Send a worker the message to run n tasks at once. One script."""
    message = to_json("n", {"name": "set_worker_processes", "kwargs": {"n": n}})
    yield message_to(worker, message)


def done_since_awaited(namespace: Namespace, *, task_id: str, deps: Sequence[str]) -> Commands[list[str]]:
    """Return those of the deps that were DONE since the task began to wait for deps that its run() wanted.

    One read, where the task has not waited yet, which is the rule; else two more for each 500 deps. A dep counts, too,
    that was DONE so shortly before that it is not run again (stable_done_cooldown_secs).
    """
    task, (cooldown,) = yield Read(
        [
            ("HMGET", namespace.key("task", task_id), "n", "waits_since"),
            ("HMGET", namespace.key("config"), "stable_done_cooldown_secs"),
        ]
    )
    n, waits_since = task
    if waits_since is None:
        return []
    earliest, found = float(waits_since) - float(cooldown or 0), []
    for start in range(0, len(deps), CHUNK):
        chunk = deps[start : start + CHUNK]
        fields = yield Read([("HMGET", namespace.key("task", dep), "n", "status", "updated") for dep in chunk])
        done = [
            (dep, dep_n)
            for dep, (dep_n, status, updated) in zip(chunk, fields)
            if status == "DONE" and float(updated) >= earliest
        ]
        are_deps = yield Read([("SISMEMBER", namespace.key("deps", n), dep_n) for _, dep_n in done])
        found += [dep for (dep, _), is_dep in zip(done, are_deps) if is_dep]
    return found


def stop_task(namespace: Namespace, *, task_id: str, disable: bool, release: bool) -> Commands[replies.Stopping]:
    """Send the worker that runs a task the message to end it. One read, and one script."""
    if disable and release:
        raise InvalidArgument("release", "a task that is disabled is not given back; leave one of the two out")
    (fields,) = yield Read([("HMGET", namespace.key("task", task_id), "status", "worker_running")])
    worker = fields[1] if fields[0] == "RUNNING" else None
    if worker is not None:
        kwargs = {"task_id": task_id, "disable": disable, **({"release": True} if release else {})}
        message = to_json("task_id", {"name": "stop_task", "kwargs": kwargs})
        yield message_to(worker, message)
    return {"task_id": task_id, "worker": worker}


def set_task_log(namespace: Namespace, *, task_id: str, log: str, size: int, attempt: int | None) -> Commands[None]:
    """Keep the end of what a running task wrote. One script."""
    reply = yield Call("set_log", task_id=task_id, size=str(size), log=log, attempt=attempt_text(attempt))
    yield from refuse_superseded(namespace, reply, task_id)


def task_log(namespace: Namespace, *, task_id: str) -> Commands[replies.TaskLog]:
    """Return the end of what a task's latest run wrote. One read."""
    fields, kept = yield Read(
        [("HMGET", namespace.key("task", task_id), "status", "time_running"), ("GET", namespace.key("log", task_id))]
    )
    status, started = fields
    told, _, rest = (kept or "0 0 ").partition(" ")
    size, _, text = rest.partition(" ")
    run = None if started is None else float(started)
    if kept is None or float(told) < (run or 0.0):  # of an earlier run
        return {"task_id": task_id, "status": status, "run": run, "log": None, "size": 0}
    return {"task_id": task_id, "status": status, "run": run, "log": text, "size": int(size)}


def send_scheduler_message(
    namespace: Namespace, *, worker: str, task: str, content: Any
) -> Commands[replies.MessageId]:
    """Send a running task a message; the id in the reply is null where send_messages is off. One script."""
    message_id = str(uuid.uuid4())
    kwargs = {"task_id": task, "message_id": message_id, "content": content}
    message = to_json("content", {"name": "dispatch_scheduler_message", "kwargs": kwargs})
    sent = yield message_to(worker, message, "send_messages", message_id)
    return {"message_id": sent or None}


def add_scheduler_message_response(
    namespace: Namespace, *, task_id: str, message_id: str, response: Any
) -> Commands[None]:
    """Keep a task's answer to a message; that of an unknown task is dropped. One script."""
    text = optional(to_json("response", response))
    yield Call("message_response", task_id=task_id, message_id=message_id, response=text)


def get_scheduler_message_response(
    namespace: Namespace, *, task_id: str, message_id: str
) -> Commands[replies.MessageResponse]:
    """Return a task's answer to a message, once. One script."""
    response = yield Call("message_response", once=True, task_id=task_id, message_id=message_id, response="")
    return {"response": json.loads(response) if response else None}


def _set_detail(
    namespace: Namespace, task_id: str, field: str, value: str | None, attempt: int | None
) -> Commands[None]:
    reply = yield Call("set_detail", task_id=task_id, field=field, value=optional(value), attempt=attempt_text(attempt))
    yield from refuse_superseded(namespace, reply, task_id)


def message_to(worker: str, message: str, option: str = "", message_id: str = "") -> Call:
    """Make the script call that leaves a worker a message for its next ping.

    message: JSON, the name of a method of the worker's, and its arguments. option: one that must be on.
    """
    return Call("send_message", once=True, worker=worker, message=message, option=option, message_id=message_id)


def _task_and_detail(namespace: Namespace, task_id: str, field: str) -> Read:
    return Read(
        [("EXISTS", namespace.key("task", task_id)), ("HGET", namespace.key("detail", task_id), field)],
    )

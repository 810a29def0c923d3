"""What is kept beside a task and is not its status: messages, progress, resources held, its error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from broker_sched import wire
from broker_sched.arguments import to_json
from broker_sched.scheduler.methods.attempts import attempt_text, refuse_superseded
from broker_sched.scheduler.methods.records import CHUNK, display_name, load_records
from broker_sched.scheduler.methods.reporting import number, optional
from broker_sched.scheduler.space import Space
from broker_sched.steps import Call, Read, Steps


def set_task_status_message(
    space: Space, *, task_id: str, status_message: str | None, attempt: int | None
) -> Steps[None]:
    """One script."""
    return _set_detail(space, task_id, "status_message", status_message, attempt)


def get_task_status_message(space: Space, *, task_id: str) -> Steps[wire.StatusMessage]:
    """Luigi: '' for an unknown task, null for one without a message."""
    known, message = yield _task_and_detail(space, task_id, "status_message")
    return {"taskId": task_id, "statusMessage": message if known else ""}


def set_task_progress_percentage(
    space: Space, *, task_id: str, progress_percentage: float | None, attempt: int | None
) -> Steps[None]:
    """One script."""
    text = None if progress_percentage is None else json.dumps(progress_percentage)
    return _set_detail(space, task_id, "progress_percentage", text, attempt)


def get_task_progress_percentage(space: Space, *, task_id: str) -> Steps[wire.ProgressPercentage]:
    """Null for an unknown task and for one without progress."""
    known, progress = yield _task_and_detail(space, task_id, "progress_percentage")
    return {"taskId": task_id, "progressPercentage": json.loads(progress) if known and progress else None}


def decrease_running_task_resources(
    space: Space, *, task_id: str, decrease_resources: Mapping[str, float], attempt: int | None
) -> Steps[None]:
    """One script."""
    flat = [text for name, amount in decrease_resources.items() for text in (name, number(amount))]
    reply = yield Call("decrease_resources", (task_id, attempt_text(attempt), *flat), once=True)
    yield from refuse_superseded(space, reply, task_id)


def get_running_task_resources(space: Space, *, task_id: str) -> Steps[wire.RunningResources]:
    """Null for an unknown task and for one that was never handed out."""
    records = yield from load_records(space, [task_id])
    record = records.get(task_id)
    return {"taskId": task_id, "resources": record["resources_running"] if record else None}


def report_task_statistics(space: Space, *, task_id: str, statistics: Any) -> Steps[None]:
    """Accepted; nothing is derived from it yet."""
    yield from ()


def update_metrics_task_started(space: Space, *, task: Any) -> Steps[None]:
    """Accepted; no client can send a task object."""
    yield from ()


def fetch_error(space: Space, *, task_id: str) -> Steps[wire.TaskError]:
    """Luigi: with all parameters, hidden ones too."""
    records = yield from load_records(space, [task_id])
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


def set_worker_processes(space: Space, *, worker: str, n: int) -> Steps[None]:
    """One script."""
    message = to_json("n", {"name": "set_worker_processes", "kwargs": {"n": n}})
    yield Call("send_message", (worker, message, "", ""), once=True)


def done_since_awaited(space: Space, *, task_id: str, deps: Sequence[str]) -> Steps[list[str]]:
    """One read, where the task has not waited yet, which is the rule; else two more for each 500 deps.

    A dep counts, too, that was DONE so shortly before that it is not run again (stable_done_cooldown_secs).
    """
    task, (cooldown,) = yield Read(
        [
            ("HMGET", space.key("task", task_id), "n", "waits_since"),
            ("HMGET", space.key("config"), "stable_done_cooldown_secs"),
        ]
    )
    n, waits_since = task
    if waits_since is None:
        return []
    earliest, found = float(waits_since) - float(cooldown or 0), []
    for start in range(0, len(deps), CHUNK):
        chunk = deps[start : start + CHUNK]
        fields = yield Read([("HMGET", space.key("task", dep), "n", "status", "updated") for dep in chunk])
        done = [
            (dep, dep_n)
            for dep, (dep_n, status, updated) in zip(chunk, fields)
            if status == "DONE" and float(updated) >= earliest
        ]
        are_deps = yield Read([("SISMEMBER", space.key("deps", n), dep_n) for _, dep_n in done])
        found += [dep for (dep, _), is_dep in zip(done, are_deps) if is_dep]
    return found


def stop_task(space: Space, *, task_id: str, disable: bool) -> Steps[wire.Stopping]:
    """A read, and one script."""
    (fields,) = yield Read([("HMGET", space.key("task", task_id), "status", "worker_running")])
    worker = fields[1] if fields[0] == "RUNNING" else None
    if worker is not None:
        message = to_json("task_id", {"name": "stop_task", "kwargs": {"task_id": task_id, "disable": disable}})
        yield Call("send_message", (worker, message, "", ""), once=True)
    return {"task_id": task_id, "worker": worker}


def set_task_log(space: Space, *, task_id: str, log: str, size: int, attempt: int | None) -> Steps[None]:
    """One script."""
    reply = yield Call("set_log", (task_id, f"{size} {log}", attempt_text(attempt)))
    yield from refuse_superseded(space, reply, task_id)


def task_log(space: Space, *, task_id: str) -> Steps[wire.TaskLog]:
    """One read."""
    fields, kept = yield Read(
        [("HMGET", space.key("task", task_id), "status", "time_running"), ("GET", space.key("log", task_id))]
    )
    status, started = fields
    told, _, rest = (kept or "0 0 ").partition(" ")
    size, _, text = rest.partition(" ")
    run = None if started is None else float(started)
    if kept is None or float(told) < (run or 0.0):  # of an earlier run
        return {"task_id": task_id, "status": status, "run": run, "log": None, "size": 0}
    return {"task_id": task_id, "status": status, "run": run, "log": text, "size": int(size)}


def send_scheduler_message(space: Space, *, worker: str, task: str, content: Any) -> Steps[wire.MessageId]:
    """One script; the id is null where send_messages is off."""
    message_id = str(uuid.uuid4())
    kwargs = {"task_id": task, "message_id": message_id, "content": content}
    message = to_json("content", {"name": "dispatch_scheduler_message", "kwargs": kwargs})
    sent = yield Call("send_message", (worker, message, "send_messages", message_id), once=True)
    return {"message_id": sent or None}


def add_scheduler_message_response(space: Space, *, task_id: str, message_id: str, response: Any) -> Steps[None]:
    """One script; the response of an unknown task is dropped."""
    yield Call("message_response", (task_id, message_id, optional(to_json("response", response))))


def get_scheduler_message_response(space: Space, *, task_id: str, message_id: str) -> Steps[wire.MessageResponse]:
    """One script."""
    response = yield Call("message_response", (task_id, message_id, ""), once=True)
    return {"response": json.loads(response) if response else None}


def _set_detail(space: Space, task_id: str, field: str, value: str | None, attempt: int | None) -> Steps[None]:
    reply = yield Call("set_detail", (task_id, field, optional(value), attempt_text(attempt)))
    yield from refuse_superseded(space, reply, task_id)


def _task_and_detail(space: Space, task_id: str, field: str) -> Read:
    return Read(
        [("EXISTS", space.key("task", task_id)), ("HGET", space.key("detail", task_id), field)],
    )

"""What travels between a supervisor and its jobs, as JSON: RQ's own pickles would run whatever Redis holds."""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from typing import Any

from broker_sched.tasks.protocol import TaskLike
from broker_sched.worker.executors.output import Tail
from broker_sched.worker.executors.task_process import SchedulerCall
from broker_sched.worker.run_result import RunResult, TaskSpec
from broker_sched.worker.run_task import RunOptions

MOST_KNOWN = 1000  # ids of complete tasks that go with a job: they only spare questions
MOST_CHARACTERS = 180  # of a job's id
NOT_IN_JOB_IDS = re.compile(r"[^A-Za-z0-9_-]+")


def job_id_of(namespace: str, task_id: str) -> str:
    """Make a new id for a run of the task.

    RQ wants letters, digits, _ and -, and shows it in `rq info` and its logs.
    """
    run = uuid.uuid4().hex[:10]
    return f"{NOT_IN_JOB_IDS.sub('_', f'{namespace}-{task_id}')[:MOST_CHARACTERS]}-{run}"


def arguments_of(task: TaskLike, options: RunOptions, namespace: str) -> dict[str, Any]:
    """Return the arguments of job.run_task for this task; its docstring says what each is."""
    known = options.known_complete
    if known is not None and len(known) > MOST_KNOWN:
        known = frozenset()
    return {
        "namespace": namespace,
        "task_id": task.task_id,
        "module": task.task_module,
        "family": task.task_family,
        "params": task.to_str_params(),
        "options": {**dataclasses.asdict(options), "known_complete": None if known is None else sorted(known)},
    }


def options_from_fields(fields: dict[str, Any]) -> RunOptions:
    """Make RunOptions of a job's arguments. Options that only a newer supervisor knows are left out."""
    names = {field.name for field in dataclasses.fields(RunOptions)}
    found = {name: value for name, value in fields.items() if name in names}
    if found.get("known_complete") is not None:
        found["known_complete"] = frozenset(found["known_complete"])
    return RunOptions(**found)


def call_to_text(call: SchedulerCall) -> str:
    """Write a call of the scheduler as JSON. What a task says that JSON can't hold is written by its repr."""
    return json.dumps([call.method, call.arguments], default=repr)


def call_from_text(text: str | bytes) -> SchedulerCall:
    """Read a call of the scheduler that call_to_text() wrote."""
    method, arguments = json.loads(text)
    return SchedulerCall(method, arguments)


def result_to_text(result: RunResult) -> str:
    """Write the result of a run as JSON, with all its fields."""
    return json.dumps(dataclasses.asdict(result))


def result_from_text(text: str | bytes) -> RunResult:
    """Read the result of a run that result_to_text() wrote.

    Raises ValueError, KeyError or TypeError for anything else.
    """
    fields = json.loads(text)
    return RunResult(
        fields["task_id"],
        fields["status"],
        fields["expl"],
        tuple(fields["missing"]),
        tuple(TaskSpec(*spec) for spec in fields["new_deps"]),
        tuple(fields["complete_ids"]),
        bool(fields.get("is_unloadable")),  # absent: from an rq worker of an older version
    )


def tail_to_text(tail: Tail | None) -> str:
    """Write the tail of a task's output as JSON; "" for None, which stands for no news."""
    return "" if tail is None else json.dumps(tail)


def tail_from_text(text: str) -> Tail:
    """Read a tail that tail_to_text() wrote; an empty one where another version of broker_sched wrote what can't be
    read here."""
    try:
        log, size = json.loads(text or '["", 0]')
        return Tail(str(log), int(size))
    except (ValueError, TypeError):
        return Tail("", 0)

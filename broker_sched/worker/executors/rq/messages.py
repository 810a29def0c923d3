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
from broker_sched.worker.run_result import RunResult, Wanted
from broker_sched.worker.run_task import RunOptions

MOST_KNOWN = 1000  # ids of complete tasks that go with a job: they only spare questions
MOST_CHARACTERS = 180  # of a job's id
NOT_IN_JOB_IDS = re.compile(r"[^A-Za-z0-9_-]+")


def job_id_of(namespace: str, task_id: str) -> str:
    """A new id for a run of the task. RQ wants letters, digits, _ and -, and shows it in `rq info` and its logs."""
    run = uuid.uuid4().hex[:10]
    return f"{NOT_IN_JOB_IDS.sub('_', f'{namespace}-{task_id}')[:MOST_CHARACTERS]}-{run}"


def arguments_of(task: TaskLike, options: RunOptions, namespace: str) -> dict[str, Any]:
    """Of job.run_task, whose docstring explains them."""
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


def options_from(fields: dict[str, Any]) -> RunOptions:
    """The RunOptions in a job's arguments. What a newer supervisor knows besides is left out."""
    names = {field.name for field in dataclasses.fields(RunOptions)}
    found = {name: value for name, value in fields.items() if name in names}
    if found.get("known_complete") is not None:
        found["known_complete"] = frozenset(found["known_complete"])
    return RunOptions(**found)


def call_to_text(told: SchedulerCall) -> str:
    """A call of the scheduler. What a task says that is no JSON is said by its repr."""
    return json.dumps([told.method, told.arguments], default=repr)


def call_from(text: str | bytes) -> SchedulerCall:
    """The other way."""
    method, arguments = json.loads(text)
    return SchedulerCall(method, arguments)


def outcome_to_text(outcome: RunResult) -> str:
    """An outcome, whole."""
    return json.dumps(dataclasses.asdict(outcome))


def outcome_from(text: str | bytes) -> RunResult:
    """The other way."""
    fields = json.loads(text)
    return RunResult(
        fields["task_id"],
        fields["status"],
        fields["expl"],
        tuple(fields["missing"]),
        tuple(Wanted(*wanted) for wanted in fields["wanted"]),
        tuple(fields["complete_ids"]),
        bool(fields.get("is_unloadable")),  # absent: from an rq worker of an older version
    )


def tail_to_text(tail: Tail | None) -> str:
    """The end of what a task wrote; "" for no news."""
    return "" if tail is None else json.dumps(tail)


def tail_from(text: str) -> Tail:
    """The other way; nothing, where another version of broker-sched has written what can't be read here."""
    try:
        log, size = json.loads(text or '["", 0]')
        return Tail(str(log), int(size))
    except (ValueError, TypeError):
        return Tail("", 0)

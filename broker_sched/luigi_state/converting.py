"""What of luigi's tasks and workers becomes what in the lines of an import, and what has no place there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from broker_sched import __version__
from broker_sched.config import SchedulerConfig
from broker_sched.contract.types import MAX_SAFE_INTEGER
from broker_sched.errors import ImportRefused
from broker_sched.luigi_state.reading import Attributes, LuigiState
from broker_sched.redis_backend.namespace import SCHEMA_VERSION
from broker_sched.scheduler.operations.tasks import explanation
from broker_sched.scheduler.transfer.lines import (
    FIRST_NUMBER,
    FORMAT,
    BatchersLine,
    CheckedFile,
    HeaderLine,
    TaskLine,
    WorkerLine,
    check_task,
)

RUNNING = ("RUNNING", "BATCH_RUNNING")
RETRY_OPTIONS = ("retry_count", "disable_hard_timeout", "disable_window")
EXAMPLES = 3  # of ids, for each kind of what is left out


class Conversion:
    """Makes lines of luigi's state. `left` says what was left out or changed, as sentences → (how often, some ids).

    What it says of the tasks is complete when tasks() has been gone through.
    """

    def __init__(self, state: LuigiState, config: SchedulerConfig) -> None:
        self.left: dict[str, tuple[int, list[str]]] = {}
        self._left_of_workers: dict[str, tuple[int, list[str]]] = {}
        self._state = state
        self._common_policy = [getattr(config, name) for name in RETRY_OPTIONS]

    def checked(self) -> CheckedFile:
        """Return all but the tasks, as check_file does of a file. Times in it are luigid's."""
        header = HeaderLine(
            format=FORMAT,
            schema=SCHEMA_VERSION,
            version=__version__,
            namespace="luigi",
            time=self._state.written_at,
        )
        self.left = {}
        workers = list(self._workers())
        self._left_of_workers = dict(self.left)
        return CheckedFile(header, workers, list(self._batchers()), FIRST_NUMBER + self._state.tasks, self._state.tasks)

    def tasks(self) -> Iterator[TaskLine]:
        """Yield the line of each task that the scheduler can have. It may be gone through again."""
        self.left = {
            f"attribute {name}, which JSON has no place for, was left out": (count, [])
            for name, count in self._state.left.items()
        }
        self.left |= self._left_of_workers
        for place, task in self._state.each_task():
            task_id = task.get("id")
            if not isinstance(task_id, str):
                self._leave("a task without an id was left out", repr(task_id))
                continue
            try:
                line = msgspec.convert(self._task(task_id, task, FIRST_NUMBER + 1 + place), TaskLine)
                check_task(line, place)
            except (msgspec.ValidationError, UnicodeEncodeError, ImportRefused) as error:
                self._leave(f"a task was left out: {error}", task_id)
                continue
            yield line

    def _task(self, task_id: str, task: Attributes, number: int) -> dict[str, Any]:
        status, runner = self._status(task_id, task), task.get("worker_running")
        failures = task.get("failures")
        if isinstance(failures, Mapping):  # a class of its own, until 2.8
            task = {**task, "first_failure_time": failures.get("first_failure_time")}
            failures = failures.get("failures")
        is_runnable = task.get("runnable") is True or bool(task.get("workers"))
        return {
            "line": "task",
            "id": task_id,
            "status": status,
            "number": number,
            "created": _time(task.get("time")) or self._state.written_at,
            "updated": _time(task.get("updated")) or _time(task.get("time")) or self._state.written_at,
            "priority": self._priority(task_id, task.get("priority")),
            "family": _text(task.get("family")) or "",
            "module": _text(task.get("module")) or "",
            "params": _dict(task.get("params")),
            "param_visibilities": _dict(task.get("param_visibilities")),
            "deps": sorted(set(_texts(task.get("deps")))),
            "workers": _texts(task.get("workers")) if is_runnable else None,
            "stakeholders": sorted(set(_texts(task.get("stakeholders")))),
            "resources": self._amounts(task_id, task.get("resources")),
            "held": self._held(task_id, task),
            "retry_policy": self._policy(task.get("retry_policy")),
            "failures": [time for time in map(_time, failures or ()) if time],
            "first_failure": _time(task.get("first_failure_time")),
            "disabled_at": _time(task.get("scheduler_disable_time")) if status == "DISABLED" else None,
            "retry_at": _time(task.get("retry")) if status == "FAILED" else None,
            "remove_at": _time(task.get("remove")),
            "worker_running": _text(runner),
            "time_running": _time(task.get("time_running")),
            "batchable": task.get("batchable") is True,
            "batch_id": _text(task.get("batch_id")),
            "accepts_messages": task.get("accepts_messages") is True,
            "expl": None if task.get("expl") is None else explanation(task["expl"]),
            "tracking_url": _shown(task.get("tracking_url")),
            "status_message": _shown(task.get("status_message")),
            "progress_percentage": task.get("progress_percentage"),
            "responses": _dict(task.get("scheduler_message_responses")),
        }

    def _status(self, task_id: str, task: Attributes) -> Any:
        """A run that nobody is known to be at would have no end: in luigi, it has none."""
        status = task.get("status")
        if status in RUNNING and not _text(task.get("worker_running")):
            self._leave(f"a task that was {status}, on no worker, is PENDING", task_id)
            return "PENDING"
        if status == "BATCH_RUNNING" and not _text(task.get("batch_id")):
            self._leave("a task that was BATCH_RUNNING, in no batch, is PENDING", task_id)
            return "PENDING"
        return "PENDING" if status == "SUSPENDED" else status

    def _held(self, task_id: str, task: Attributes) -> dict[str, float] | None:
        """What it was handed out with; luigi keeps that when the run has ended, and tells it."""
        held = task.get("resources_running")
        return self._amounts(task_id, held) if isinstance(held, Mapping) else None

    def _policy(self, policy: Any) -> list[float | None] | None:
        """The task's own: luigi has filled in the scheduler's options."""
        if not isinstance(policy, list) or len(policy) != len(RETRY_OPTIONS):
            return None
        own = [_number(value) if value != common else None for value, common in zip(policy, self._common_policy)]
        return own if any(value is not None for value in own) else None

    def _priority(self, task_id: str, priority: Any) -> float:
        found = _number(priority)
        if found is None and priority is not None:
            self._leave("a priority that is no number within ±2^53 is 0", task_id)
        return found or 0

    def _amounts(self, task_id: str, resources: Any) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, amount in _dict(resources).items():
            number = _number(amount)
            if number is not None and number >= 0:
                found[name] = number
            else:
                self._leave("an amount of a resource that is no number from 0 to 2^53 was left out", task_id)
        return found

    def _workers(self) -> Iterator[WorkerLine]:
        for worker in self._state.workers:
            info, reference = _dict(worker.get("info")), _dict(worker.get("reference"))
            given = {
                "line": "worker",
                "id": worker.get("id"),
                "started": _time(worker.get("started")) or self._state.written_at,
                "last_contact": _time(worker.get("last_active")),
                "last_get_work": _time(worker.get("last_get_work")),
                "host": _text(reference.get("host")),
                "slots": _number(info.get("workers")),
                "disabled": worker.get("disabled") is True,
                "assistant": info.get("assistant") is True,
                "info": info,
                "messages": worker.get("rpc_messages") or [],
            }
            try:
                yield msgspec.convert(given, WorkerLine)
            except (msgspec.ValidationError, UnicodeEncodeError) as error:
                self._leave(f"a worker was left out: {error}", str(worker.get("id")))

    def _batchers(self) -> Iterator[BatchersLine]:
        for worker_id, registered in self._state.batchers.items():
            families = {family: found for family, each in registered.items() if (found := _batcher(each))}
            if families:
                yield BatchersLine(worker=worker_id, families=families)

    def _leave(self, sentence: str, task_id: str) -> None:
        count, examples = self.left.get(sentence, (0, []))
        self.left[sentence] = (count + 1, examples if len(examples) >= EXAMPLES else [*examples, task_id])


def _batcher(registered: Any) -> tuple[float, list[str]] | None:
    if not isinstance(registered, list) or len(registered) != 2:
        return None
    names, maximum = registered
    most = MAX_SAFE_INTEGER if maximum == "Infinity" else _number(maximum)
    return None if most is None else (most, _texts(names))


def _time(value: Any) -> float | None:
    number = _number(value)
    return float(number) if number is not None and number > 0 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_SAFE_INTEGER:
        return None
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _shown(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

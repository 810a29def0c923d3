"""A task, a worker and a submission: as Redis keeps them, and as a line of a file has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from broker_sched.contract.validation import to_json
from broker_sched.redis_backend.encoding import to_bytes
from broker_sched.scheduler.dates import date_of
from broker_sched.scheduler.operations.tasks import MAX_BATCH_SIZE, needs, number, policy
from broker_sched.scheduler.records import pairs
from broker_sched.scheduler.transfer.lines import (
    BatchersLine,
    FamilyLine,
    OtherLine,
    SubmissionLine,
    TaskLine,
    WorkerLine,
)

MAX_INLINE = 64  # bytes, as in lua/lib/core/header.lua: longer texts stand in detail:<task_id>
NOTHING = "1"  # a task's field `held` when it was handed out and needs nothing
RESPONSE = "response:"
POLICY = ("retry_count", "disable_hard_timeout", "disable_window")


def task_line(entry: Sequence[Any]) -> TaskLine:
    """Return the line of a task as lua/export_tasks.lua reads it."""
    task_id, flat, flat_detail, deps, workers, stakeholders, failures, attempts, retry_at, remove_at = entry
    task, detail = pairs(flat), pairs(flat_detail)
    held = task.get("held")
    own_policy = tuple(json.loads(each) if each else None for each in task.get("policy", "").split("|"))
    return TaskLine(
        id=task_id,
        status=task["status"],  # type: ignore[arg-type]  # the scripts write no other
        number=int(task.get("rank", task["n"]).partition(":")[0]),
        created=float(task["created"]),
        updated=float(task["updated"]),
        priority=json.loads(task["priority"]),
        family=task.get("family", ""),
        module=task.get("module", ""),
        params=json.loads(task.get("params") or detail.get("params") or "{}"),
        param_visibilities=json.loads(detail.get("param_visibilities", "{}")),
        deps=sorted(set(deps)),
        workers=list(workers) if "runner_set" in task else None,
        stakeholders=sorted(stakeholders),
        resources=json.loads(task.get("resources") or "{}"),
        held=None if held is None else {} if held == NOTHING else json.loads(held),
        retry_policy=own_policy if "policy" in task else None,  # type: ignore[arg-type]  # it has three parts
        failures=[float(each) for each in failures],
        first_failure=_time(task.get("first_failure")),
        disabled_at=_time(task.get("disabled_at")),
        disabled_by=task.get("disabled_by"),
        retry_at=_time(retry_at),
        remove_at=_time(remove_at),
        ready_since=_time(task.get("ready_since")),
        worker_running=task.get("worker_running") or None,
        time_running=_time(task.get("time_running")),
        attempt=int(task["attempt"]) if "attempt" in task else None,
        waits_since=_time(task.get("waits_since")),
        postponed=_time(task.get("postponed")),
        refusals=int(task.get("refusals", "0")),
        batchable=task.get("batchable") == "1",
        batch_id=task.get("batch_id"),
        accepts_messages=task.get("accepts_messages") == "1",
        expl=task.get("expl", detail.get("expl")),
        tracking_url=detail.get("tracking_url"),
        status_message=detail.get("status_message"),
        progress_percentage=json.loads(detail.get("progress_percentage", "null")),
        owners=json.loads(detail.get("owners", "[]")),
        responses={
            name.removeprefix(RESPONSE): json.loads(text) for name, text in detail.items() if name.startswith(RESPONSE)
        },
        attempts=[json.loads(each) for each in attempts],
    )


def task_words(line: TaskLine, token: str) -> list[str]:
    """Return a task as lua/import_records.lua takes it. token: of its deps where these come staged, else ''."""
    fields, detail = _fields(line)
    return [
        *("task", line.id, line.status, number(line.priority), str(line.number)),
        "0" if line.workers is None else "1",
        *(_time_text(line.retry_at), _time_text(line.remove_at), token),
        *_listed(_flat(fields)),
        *_listed(_flat(detail)),
        *_listed(line.workers or ()),
        *_listed(line.stakeholders),
        *_listed([_time_text(each) for each in line.failures]),
        *_listed([to_json("attempts", each) for each in line.attempts]),
        *_listed(() if token else line.deps),
    ]


def _fields(line: TaskLine) -> tuple[dict[str, str], dict[str, str]]:
    """The fields of the hashes task:<task_id> and detail:<task_id>, without those that say where it is indexed."""
    given = {
        "created": _time_text(line.created),
        "updated": _time_text(line.updated),
        "family": line.family,
        "module": line.module,
        "resources": needs(line.resources),
        "held": "" if line.held is None else needs(line.held) or NOTHING,
        "policy": policy(dict(zip(POLICY, line.retry_policy or ()))),
        "first_failure": _time_text(line.first_failure),
        "disabled_at": _time_text(line.disabled_at),
        "disabled_by": line.disabled_by or "",
        "ready_since": _time_text(line.ready_since),
        "worker_running": line.worker_running or "",
        "time_running": _time_text(line.time_running),
        "attempt": "" if line.attempt is None else str(line.attempt),
        "waits_since": _time_text(line.waits_since),
        "postponed": _time_text(line.postponed),
        "refusals": str(line.refusals) if line.refusals else "",
        "batchable": "1" if line.batchable else "",
        "batch_id": line.batch_id or "",
        "accepts_messages": "1" if line.accepts_messages else "",
        "date": date_of(line.params, line.param_visibilities),
    }
    detail = {
        "param_visibilities": to_json("", line.param_visibilities) if line.param_visibilities else None,
        "tracking_url": line.tracking_url,
        "status_message": line.status_message,
        "progress_percentage": None if line.progress_percentage is None else to_json("", line.progress_percentage),
        "owners": to_json("owners", line.owners) if line.owners else None,
        **{RESPONSE + name: to_json("responses", response) for name, response in line.responses.items()},
    }
    found = {name: text for name, text in given.items() if text}
    beside = {name: text for name, text in detail.items() if text is not None}
    for name, text in (("params", to_json("params", line.params) if line.params else None), ("expl", line.expl)):
        if text is not None:
            (found if len(to_bytes(text)) <= MAX_INLINE else beside)[name] = text
    return found, beside


def worker_line(
    worker_id: str, record: Mapping[str, str], info: Mapping[str, str], messages: Iterable[str],
    last_contact: str | None,
) -> WorkerLine:  # fmt: skip
    """Return the line of a worker, given what stands in its keys. last_contact: its score in `workers`."""
    return WorkerLine(
        id=worker_id,
        started=float(record["started"]),
        last_contact=_time(last_contact),
        last_get_work=_time(record.get("last_get_work")),
        start_id=record.get("start_id"),
        host=record.get("host"),
        slots=float(record["slots"]) if "slots" in record else None,
        disabled=record.get("disabled") == "1",
        assistant=record.get("assistant") == "1",
        modules=json.loads(record.get("modules", "[]")),
        info={name: json.loads(text) for name, text in info.items()},
        messages=[json.loads(each) for each in messages],
    )


def batchers_line(worker_id: str, families: Mapping[str, str]) -> BatchersLine:
    """Return the line of what a worker has registered for batches, given what stands in its key."""
    return BatchersLine(worker=worker_id, families={family: _batcher(text) for family, text in families.items()})


def batchers_words(line: BatchersLine) -> list[str]:
    """Return a worker's batchers as lua/import_records.lua takes them."""
    families = {family: batcher_text(*registered) for family, registered in line.families.items()}
    return ["batchers", line.worker, *_listed(_flat(families))]


def _batcher(text: str) -> tuple[float, list[str]]:
    maximum, _, names = text.partition(" ")
    return json.loads(maximum), json.loads(names)


def worker_words(line: WorkerLine, written_at: float) -> list[str]:
    """Return a worker as lua/import_records.lua takes it. written_at: when the file was."""
    last_contact = line.started if line.last_contact is None else line.last_contact
    fields = {
        "started": _time_text(line.started),
        "start_id": line.start_id or "",
        "host": line.host or "",
        "slots": "" if line.slots is None else repr(line.slots),
        "disabled": "1" if line.disabled else "",
        "assistant": "1" if line.assistant else "",
        "modules": to_json("modules", line.modules) if line.modules else "",
    }
    info = {name: to_json("info", value) for name, value in line.info.items()}
    return [
        *("worker", line.id, _time_text(max(0.0, written_at - last_contact))),
        "" if line.last_get_work is None else _time_text(max(0.0, written_at - line.last_get_work)),
        *_listed(_flat({name: text for name, text in fields.items() if text})),
        *_listed(_flat(info)),
        *_listed([to_json("messages", each) for each in line.messages]),
    ]


def batcher_text(maximum: float, names: Iterable[str]) -> str:
    """Return what is kept of a batcher. maximum: of tasks in a batch, infinity for no maximum."""
    bounded = max(-MAX_BATCH_SIZE, min(maximum, MAX_BATCH_SIZE))
    return f"{number(bounded)} {to_json('batched_args', sorted(set(names)))}"


def family_line(family: str, fields: Mapping[str, str], run_times: Sequence[str]) -> FamilyLine:
    """Return the line of a family, given what stands in its keys."""
    return FamilyLine(family=family, fields=dict(fields), run_times=[float(each) for each in run_times])


def family_words(line: FamilyLine) -> list[str]:
    """Return a family as lua/import_records.lua takes it."""
    return [
        "family",
        line.family,
        *_listed(_flat(line.fields)),
        *_listed([_time_text(each) for each in line.run_times]),
    ]


def other_words(line: OtherLine) -> list[str]:
    """Return a line that is neither a task nor a worker as lua/import_records.lua takes it."""
    if isinstance(line, BatchersLine):
        return batchers_words(line)
    return family_words(line) if isinstance(line, FamilyLine) else submission_words(line)


def submission_line(worker_id: str, fields: Mapping[str, str]) -> SubmissionLine:
    """Return the line of a submission, given what stands in its key."""
    return SubmissionLine(
        id=worker_id,
        state=fields["state"],
        submitted=float(fields["submitted"]),
        tasks=json.loads(fields.get("tasks", "[]")),
        ended=_time(fields.get("ended")),
        counts=json.loads(fields["counts"]) if "counts" in fields else None,
    )


def submission_words(line: SubmissionLine) -> list[str]:
    """Return a submission as lua/import_records.lua takes it."""
    fields = {
        "state": line.state,
        "submitted": _time_text(line.submitted),
        "tasks": to_json("tasks", line.tasks),
        "ended": _time_text(line.ended),
        "counts": "" if line.counts is None else to_json("counts", line.counts),
    }
    return ["submission", line.id, *_listed(_flat({name: text for name, text in fields.items() if text}))]


def _time(text: str | None) -> float | None:
    return float(text) if text else None


def _time_text(time: float | None) -> str:
    return "" if time is None else f"{time:.6f}"


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [each for pair in fields.items() for each in pair]


def _listed(words: Sequence[str]) -> list[str]:
    return [str(len(words)), *words]

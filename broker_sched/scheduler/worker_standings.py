"""Workers as listings for operators show them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import read_paced, scan_set, scan_sorted_set
from broker_sched.scheduler.records import IDS_AT_ONCE

# As lua/lib/workers/replaced_worker.lua has them.
SILENT_SECONDS = 5.0  # a worker that pings each second, and was not heard of for so long, has missed some
MISSED_PINGS = 2  # and one that told of a longer ping_interval, when so many of them failed to come
FIELDS = ("w", "started", "disabled", "assistant", "submission", "slots", "host", "refuses")
INFO = ("host", "version", "ping_interval")
READS = 4  # commands for one worker
TOGETHER = 4  # workers read at once


class WorkerStanding(NamedTuple):
    """How a worker stands. state: active, disabled, silent or submission. refuses: until when it refuses anything."""

    worker: str
    state: str
    assistant: bool
    last_contact: float | None
    started: float
    slots: float
    host: str | None
    version: str | None
    refuses: float
    running: int


def read_worker_ids(namespace: Namespace) -> Commands[list[str]]:
    """Return the ids of all workers and submissions, sorted."""
    found = set((yield from scan_sorted_set(namespace, "workers")))
    numbers = sorted(set((yield from scan_set(namespace, "submissions"))))
    for start in range(0, len(numbers), IDS_AT_ONCE):
        (submissions,) = yield Read([("HMGET", namespace.key("worker_ids"), *numbers[start : start + IDS_AT_ONCE])])
        found.update(each for each in submissions if each is not None)
    return sorted(found)


def read_standings(namespace: Namespace, ids: Sequence[str], now: float) -> Commands[list[WorkerStanding]]:
    """Return how these workers stand, in this order; unknown ones are left out. now: by the scheduler's clock."""
    commands = [command for each in ids for command in _commands(namespace, each)]
    replies = yield from read_paced(commands, pace=READS * TOGETHER)
    rows = (replies[start : start + READS] for start in range(0, len(replies), READS))
    return [_standing(worker, row, now) for worker, row in zip(ids, rows) if row[0][0] is not None]


def plain_label(label: str) -> str:
    """Return the module, or module:family, that a label (lua/lib/hand_out/labels.lua) names."""
    return ":".join(unquote(part, errors="surrogateescape") for part in label.split(":"))


def _commands(namespace: Namespace, worker: str) -> Iterator[tuple[str, ...]]:
    yield ("HMGET", namespace.key("worker", worker), *FIELDS)
    yield ("HMGET", namespace.key("worker_info", worker), *INFO)
    yield ("ZSCORE", namespace.key("workers"), worker)
    yield ("SCARD", namespace.key("running", worker))


def _standing(worker: str, row: list[Any], now: float) -> WorkerStanding:
    fields, info, last_contact, running = dict(zip(FIELDS, row[0])), dict(zip(INFO, row[1])), row[2], row[3]
    told = {name: json.loads(text or "null") for name, text in info.items()}
    interval = told["ping_interval"] if isinstance(told["ping_interval"], (int, float)) else 0.0
    contact = None if last_contact is None else float(last_contact)
    if fields["submission"] == "1":
        state = "submission"
    elif contact is None or now - contact > max(SILENT_SECONDS, MISSED_PINGS * interval + 1):
        state = "silent"
    else:
        state = "disabled" if fields["disabled"] == "1" else "active"
    return WorkerStanding(
        worker=worker,
        state=state,
        assistant=fields["assistant"] == "1",
        last_contact=contact,
        started=float(fields["started"]),
        slots=float(fields["slots"] or 1),
        host=told["host"] if isinstance(told["host"], str) else fields["host"],
        version=told["version"] if isinstance(told["version"], str) else None,
        refuses=float(fields["refuses"] or 0),
        running=running,
    )

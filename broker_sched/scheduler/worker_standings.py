"""Workers as listings for operators show them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import read_paced, scan_scores, scan_set
from broker_sched.scheduler.records import IDS_AT_ONCE

# As lua/lib/workers/replaced_worker.lua has them.
SILENT_SECONDS = 5.0  # a worker that pings each second, and was not heard of for so long, has missed some
MISSED_PINGS = 2  # and one that told of a longer ping_interval, when so many of them failed to come
FIELDS = ("w", "started", "disabled", "assistant", "submission", "slots", "host", "refuses")
INFO = ("host", "version", "ping_interval")
TOGETHER = 4  # workers read at once, by three or four commands each


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


def read_contacts(namespace: Namespace) -> Commands[dict[str, float | None]]:
    """Return when each worker called last (s), by its id, sorted; None of a submission, which never calls."""
    found: dict[str, float | None] = {**(yield from scan_scores(namespace, "workers"))}
    numbers = sorted(set((yield from scan_set(namespace, "submissions"))))
    for start in range(0, len(numbers), IDS_AT_ONCE):
        (submissions,) = yield Read([("HMGET", namespace.key("worker_ids"), *numbers[start : start + IDS_AT_ONCE])])
        found.update((each, found.get(each)) for each in submissions if each is not None)
    return dict(sorted(found.items()))


def read_standings(
    namespace: Namespace, ids: Sequence[str], now: float, contacts: Mapping[str, float | None] | None = None
) -> Commands[list[WorkerStanding]]:
    """Return how these workers stand, in this order; unknown ones are left out.

    now: by the scheduler's clock. contacts: what read_contacts has returned; None: it is read of each worker, too.
    """
    commands = [list(_commands(namespace, each, contacts is None)) for each in ids]
    reads = len(commands[0]) if commands else 1
    replies = yield from read_paced([command for some in commands for command in some], pace=reads * TOGETHER)
    rows = (replies[start : start + reads] for start in range(0, len(replies), reads))
    return [
        _standing(worker, row, now, row[3] if contacts is None else contacts[worker])
        for worker, row in zip(ids, rows)
        if row[0][0] is not None
    ]


def plain_label(label: str) -> str:
    """Return the module, or module:family, that a label (lua/lib/hand_out/labels.lua) names."""
    return ":".join(unquote(part, errors="surrogateescape") for part in label.split(":"))


def _commands(namespace: Namespace, worker: str, with_contact: bool) -> Iterator[tuple[str, ...]]:
    yield ("HMGET", namespace.key("worker", worker), *FIELDS)
    yield ("HMGET", namespace.key("worker_info", worker), *INFO)
    yield ("SCARD", namespace.key("running", worker))
    if with_contact:
        yield ("ZSCORE", namespace.key("workers"), worker)


def _standing(worker: str, row: list[Any], now: float, last_contact: str | float | None) -> WorkerStanding:
    fields, info, running = dict(zip(FIELDS, row[0])), dict(zip(INFO, row[1])), row[2]
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

"""Workers: which there are, what they run, what went wrong on them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.ended_runs import read_ended_runs
from broker_sched.scheduler.failed_runs import STREAM, as_failure
from broker_sched.scheduler.paging import make_cursor, read_cursor, read_paced
from broker_sched.scheduler.records import ids_of, pairs
from broker_sched.scheduler.stream_pages import StreamPages
from broker_sched.scheduler.worker_standings import WorkerStanding, plain_label, read_contacts, read_standings

MAX_RUNNING = 1000  # tasks shown of a worker
MAX_FAILURES = 20
MAX_LOOKED_AT = 1000  # failures, for those of one worker
ALLOWED = "allow_modules"


def workers(namespace: Namespace, *, cursor: str | None, limit: int) -> Commands[view_replies.Workers]:
    """Return a page of the workers. Reads all ids, a few keys of each worker shown, and counts of the last hour."""
    after = read_cursor("workers", None, cursor, (str,))[0] if cursor is not None else ""
    contacts = yield from read_contacts(namespace)
    behind = [each for each in contacts if each > after]
    shown = behind[:limit]
    lines = yield from _lines(namespace, shown, contacts)
    more = make_cursor("workers", None, (shown[-1],)) if len(behind) > limit else None
    return {"workers": lines, "cursor": more}


def worker_details(namespace: Namespace, *, worker: str) -> Commands[view_replies.WorkerDetails | None]:
    """Return all that is known of a worker; None when it is unknown. Reads what it runs, and 1,000 failures at most."""
    lines = yield from _lines(namespace, [worker])
    if not lines:
        return None
    now = float((yield Call("read_clock")))
    told, memory, refused = yield Read(
        [
            ("HGETALL", namespace.key("worker_info", worker)),
            ("GET", namespace.key("memory", worker)),
            ("ZRANGEBYSCORE", namespace.key("refusals", worker), repr(now), "+inf", "WITHSCORES"),
        ]
    )
    info = {name: json.loads(text) for name, text in pairs(told).items()}
    allowed = info.get(ALLOWED)
    return {
        **lines[0],
        "running_tasks": (yield from _running(namespace, worker, json.loads(memory or "{}"))),
        "failures": (yield from _failures(namespace, worker)),
        "refusals": [
            {"label": plain_label(label), "until": float(until)} for label, until in zip(refused[::2], refused[1::2])
        ],
        "modules": [each for each in allowed if isinstance(each, str)] if isinstance(allowed, list) else [],
        "info": info,
    }


def _lines(
    namespace: Namespace, ids: list[str], contacts: Mapping[str, float | None] | None = None
) -> Commands[list[view_replies.WorkerLine]]:
    now = float((yield Call("read_clock")))
    standings = yield from read_standings(namespace, ids, now, contacts)
    if not standings:
        return []
    ended = yield from read_ended_runs(namespace, now)
    fields = [f"{kind}:{each.worker}" for each in standings for kind in ("failed_on", "done_on")]
    counts = yield from ended.by_field(namespace, fields, only_failed=False)
    refusing = [each.worker for each in standings if each.refuses > now]
    labels = yield from read_paced(
        [("ZRANGEBYSCORE", namespace.key("refusals", each), repr(now), "+inf") for each in refusing]
    )
    refuses = {worker: [plain_label(label) for label in found] for worker, found in zip(refusing, labels)}
    return [_line(each, counts, refuses.get(each.worker, [])) for each in standings]


def _line(each: WorkerStanding, counts: dict[str, int], refuses: list[str]) -> view_replies.WorkerLine:
    return {
        "worker": each.worker,
        "host": each.host,
        "version": each.version,
        "state": each.state,
        "assistant": each.assistant,
        "last_contact": each.last_contact,
        "started": each.started,
        "slots": each.slots,
        "running": each.running,
        "failed_last_hour": counts[f"failed_on:{each.worker}"],
        "done_last_hour": counts[f"done_on:{each.worker}"],
        "refuses": refuses,
    }


def _running(namespace: Namespace, worker: str, memory: dict[str, int]) -> Commands[list[view_replies.RunningTask]]:
    (numbers,) = yield Read([("SRANDMEMBER", namespace.key("running", worker), str(MAX_RUNNING))])
    ids = yield from ids_of(namespace, sorted(numbers))
    fields = ("status", "worker_running", "family", "time_running", "updated")
    replies = yield from read_paced([("HMGET", namespace.key("task", each), *fields) for each in ids.values()])
    running: list[view_replies.RunningTask] = [
        {
            "task_id": task_id,
            "family": family or "",
            "since": float(started or updated),
            "memory": memory.get(task_id),
        }
        for task_id, (status, runner, family, started, updated) in zip(ids.values(), replies)
        if status == "RUNNING" and runner == worker
    ]
    return sorted(running, key=lambda each: each["since"])


def _failures(namespace: Namespace, worker: str) -> Commands[list[view_replies.Failure]]:
    found: list[view_replies.Failure] = []
    pages = StreamPages(namespace, STREAM)
    while not pages.is_at_end and pages.looked_at < MAX_LOOKED_AT and len(found) < MAX_FAILURES:
        page = yield from pages.next_page()
        found += [as_failure(entry) for entry in page if entry[1]["worker"] == worker]
    return found[:MAX_FAILURES]

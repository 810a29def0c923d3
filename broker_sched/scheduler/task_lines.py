"""Tasks as listings for operators show them: a line each, of which no more is read than it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import PACE
from broker_sched.scheduler.records import display_name, public_params

TOGETHER = 4  # tasks read at once
SPACE = " \t\v\f"
MAX_ERROR = 200  # characters of the last line of an error
TASK_FIELDS = (
    *("n", "status", "priority", "updated", "ready_since", "family", "params", "worker_running", "time_running"),
    *("resources", "runner_set", "expl"),
)
DETAIL_FIELDS = ("params", "param_visibilities", "status_message", "progress_percentage")


class Line(NamedTuple):
    """A task as read: what is shown of it, and what else filters ask for."""

    shown: view_replies.TaskLine
    n: str
    runner_set: str | None


def read_lines(namespace: Namespace, ids: Sequence[str], with_errors: bool) -> Commands[dict[str, Line]]:
    """Return the tasks with these ids, in their order; absent ones are left out.

    The state is the status, and since is when that was entered, as far as the task itself tells. with_errors: else
    `error` is null where it is long.
    """
    details = (*DETAIL_FIELDS, "expl") if with_errors else DETAIL_FIELDS
    lines: dict[str, Line] = {}
    for start in range(0, len(ids), TOGETHER):
        some = ids[start : start + TOGETHER]
        replies = yield Read([command for task_id in some for command in _commands(namespace, task_id, details)])
        for task_id, fields, detail in zip(some, replies[::2], replies[1::2]):
            if fields[0] is not None:
                lines[task_id] = _line(task_id, dict(zip(TASK_FIELDS, fields)), dict(zip(details, detail)), with_errors)
    return lines


def read_errors(namespace: Namespace, lines: Sequence[view_replies.TaskLine]) -> Commands[None]:
    """Set `error` of these tasks where it is long, so that it was not read with them."""
    unread = [line for line in lines if line["error"] is None]
    for start in range(0, len(unread), PACE):
        some = unread[start : start + PACE]
        expls = yield Read([("HGET", namespace.key("detail", line["task_id"]), "expl") for line in some])
        for line, expl in zip(some, expls):
            line["error"] = last_line(expl)


def read_whole_error(namespace: Namespace, task_id: str) -> Commands[str | None]:
    """Return a task's latest explanation as text; None where there is none."""
    short, long = yield Read([("HGET", namespace.key(kind, task_id), "expl") for kind in ("task", "detail")])
    return _text_of(long if short is None else short)


def last_line(expl: str | None) -> str | None:
    """Return the last line of an explanation, which is JSON, as last_line_of does; None where there is none."""
    return last_line_of(_text_of(expl))


def last_line_of(text: str | None) -> str | None:
    """Return the last line of a text that is not empty; None where there is none.

    A long one is cut, and what is a line is what lua/lib/tasks/error_texts.lua takes for one.
    """
    lines = [line for each in re.split("[\r\n]", text or "") if (line := each.strip(SPACE))]
    return lines[-1][:MAX_ERROR] if lines else None


def read_attempt(text: str) -> view_replies.RunAttempt:
    """Return what an entry of attempts:<n> tells of a run that has ended."""
    attempt, started, ended, outcome, worker, host, error = json.loads(text)
    return {
        "attempt": None if attempt is None else int(attempt),
        "started": None if started is None else float(started),
        "ended": float(ended),
        "outcome": outcome,
        "worker": worker,
        "host": host or None,
        "error": error or None,
    }


def _text_of(expl: str | None) -> str | None:
    """An explanation in plain text; one that is another JSON value as that is written."""
    if not expl:
        return None
    try:
        text = json.loads(expl)
    except ValueError:  # from a client that does not write JSON
        return expl
    return (text if isinstance(text, str) else None if text is None else expl) or None


def _commands(namespace: Namespace, task_id: str, details: Sequence[str]) -> Iterator[tuple[str, ...]]:
    yield ("HMGET", namespace.key("task", task_id), *TASK_FIELDS)
    yield ("HMGET", namespace.key("detail", task_id), *details)


def _line(task_id: str, fields: dict[str, Any], detail: dict[str, Any], with_errors: bool) -> Line:
    record = {
        "family": fields["family"] or "",
        "params": json.loads(fields["params"] or detail["params"] or "{}"),
        "param_visibilities": json.loads(detail["param_visibilities"] or "{}"),
    }
    expl = detail["expl"] if with_errors and fields["expl"] is None else fields["expl"]  # short ones are in the task
    shown: view_replies.TaskLine = {
        "task_id": task_id,
        "display_name": display_name(record),
        "family": record["family"],
        "status": fields["status"],
        "state": fields["status"],
        "since": float(fields["ready_since"] or fields["updated"]),
        "updated": float(fields["updated"]),
        "priority": json.loads(fields["priority"]),
        "params": public_params(record),
        "resources": json.loads(fields["resources"] or "{}"),
        "worker": fields["worker_running"] or None,
        "started": None if fields["time_running"] is None else float(fields["time_running"]),
        "progress": json.loads(detail["progress_percentage"] or "null"),
        "message": detail["status_message"],
        "error": last_line(expl),
    }
    return Line(shown, fields["n"], fields["runner_set"])

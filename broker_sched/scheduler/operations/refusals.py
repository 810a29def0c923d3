"""What workers can't load or must not have: refusals, filters, and how the tasks of a run stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from broker_sched.contract import replies as replies
from broker_sched.contract.validation import to_json
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.operations.attempts import attempt_text
from broker_sched.scheduler.operations.tasks import chunks, run_deferred

MAX_PATTERNS = 100  # of one worker
MAX_PATTERN = 200  # characters
CHUNK = 500  # tasks read in one round trip
BEYOND_ASCII = "\u0100"  # stands for all characters beyond ASCII in a set
NO_CHARACTER = "[^%w%W]"


def refuse_tasks(
    namespace: Namespace,
    *,
    worker: str,
    task_ids: Sequence[str],
    reason: str,
    scope: str,
    seconds: float,
    attempt: int | None,
) -> Commands[list[str]]:
    """One script, and more when much follows from it."""
    left, back = yield Call(
        "refuse_tasks",
        once=True,
        worker=worker,
        scope=scope,
        seconds=repr(float(seconds)),
        reason=reason,
        attempt=attempt_text(attempt),
        task_ids=task_ids,
    )
    yield from run_deferred(left)
    return list(back)


def task_statuses(namespace: Namespace, *, task_ids: Sequence[str]) -> Commands[dict[str, replies.TaskStanding]]:
    """Return how these tasks stand. Reads only, many tasks in one round trip."""
    found: dict[str, replies.TaskStanding] = {}
    for chunk in chunks(task_ids, CHUNK):
        names = ("status", "worker_running", "refusals", "expl")
        replies = yield Read([("HMGET", namespace.key("task", task_id), *names) for task_id in chunk])
        refused = {task_id: expl for task_id, (_, _, refusals, expl) in zip(chunk, replies) if refusals}
        long = [task_id for task_id, expl in refused.items() if not expl]
        if long:
            expls = yield Read([("HGET", namespace.key("detail", task_id), "expl") for task_id in long])
            refused.update(zip(long, expls))
        for task_id, (status, runner, _, _) in zip(chunk, replies):
            if status is not None:
                refusal = refused.get(task_id) if status == "PENDING" else None
                told = None if refusal is None else _as_text(refusal)
                found[task_id] = {"status": status, "worker_running": runner or None, "refusal": told}
    return found


def _as_text(expl: str) -> str:
    """An explanation, which is kept as JSON, as text; a plain one of an earlier version is that already."""
    try:
        return str(json.loads(expl))
    except ValueError:
        return expl


def module_filter(patterns: Any) -> str:
    """fnmatch patterns of modules as lib/hand_out/restrictions.lua reads them: JSON, a list of lists.

    Raises InvalidArgument naming the field.
    """
    field = "info.allow_modules"
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(each, str) for each in patterns):
        raise InvalidArgument(field, f"is a list of patterns such as 'etl.*', not {patterns!r}")
    if len(patterns) > MAX_PATTERNS:
        raise InvalidArgument(field, f"has {len(patterns)} patterns; {MAX_PATTERNS} at the most")
    for pattern in patterns:
        if len(pattern) > MAX_PATTERN:
            raise InvalidArgument(field, f"has a pattern of {len(pattern)} characters; {MAX_PATTERN} at the most")
    return to_json(field, [list(_tokens(pattern)) for pattern in patterns])


def _tokens(pattern: str) -> Iterator[str]:
    """'*', '?', a set as Lua writes it, or a character that stands for itself."""
    position = 0
    while position < len(pattern):
        char = pattern[position]
        end = _end_of_set(pattern, position) if char == "[" else 0
        if end:
            yield _set_token(pattern[position:end])
            position = end
            continue
        yield char
        position += 1


def _end_of_set(pattern: str, start: int) -> int:
    """Behind its closing bracket, where fnmatch sees it; 0 when there is none, and '[' stands for itself."""
    position = start + 1
    if pattern[position : position + 1] == "!":
        position += 1
    closing = pattern.find("]", position + 1)  # one that comes first belongs to the set
    return closing + 1


def _set_token(text: str) -> str:
    """The set of characters that fnmatch says it is."""
    if any(ord(char) > 127 for char in text):
        raise InvalidArgument("info.allow_modules", f"has {text} with a character beyond ASCII; write ? for it")
    inside = [chr(code) for code in range(1, 128) if fnmatchcase(chr(code), text)]
    if fnmatchcase(BEYOND_ASCII, text):
        outside = [chr(code) for code in range(1, 128) if chr(code) not in inside]
        return f"[^{''.join(map(_escaped, outside))}]" if outside else "?"
    return f"[{''.join(map(_escaped, inside))}]" if inside else NO_CHARACTER


def _escaped(char: str) -> str:
    return char if char.isalnum() else f"%{char}"

"""The listing of tasks: by the index of state and family, newest or oldest first, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from broker_sched.contract import view_replies
from broker_sched.contract.states import STATES, states_of, status_of
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.family_counts import read_counts, totals
from broker_sched.scheduler.merged_sets import Member, MergedSets
from broker_sched.scheduler.paging import make_cursor, read_place
from broker_sched.scheduler.records import ids_of
from broker_sched.scheduler.task_lines import Line, read_errors, read_lines

MAX_LOOKED_AT = 1000  # tasks in one call
BATCH = 100  # tasks looked at in one go
FAILURES = ("FAILED", "DISABLED")


class _Filters(NamedTuple):
    """What no index serves: a task is read to know whether it is listed."""

    params: dict[str, str]
    words: list[str]
    error: str
    worker: str | None
    runner_sets: frozenset[str]  # those of the worker
    updated_since: float | None

    @property
    def may_refuse(self) -> bool:
        """Whether there is any."""
        return bool(self.params or self.words or self.error or self.worker or self.updated_since is not None)

    def admit(self, line: Line) -> bool:
        """Return whether a task is listed."""
        shown = line.shown
        if self.updated_since is not None and shown["updated"] < self.updated_since:
            return False
        if any(
            name not in shown["params"] or _text(shown["params"][name]) != self.params[name] for name in self.params
        ):
            return False
        if self.words and not all(word in shown["display_name"].casefold() for word in self.words):
            return False
        if self.error and self.error not in (shown["error"] or "").casefold():
            return False
        if self.worker is None or line.runner_set in self.runner_sets:
            return True
        return shown["worker"] == self.worker and shown["status"] in ("RUNNING", "BATCH_RUNNING")


def tasks(
    namespace: Namespace,
    *,
    family: str | None,
    status: str | None,
    params: Mapping[str, Any] | None,
    worker: str | None,
    text: str | None,
    error: str | None,
    failed_since: float | None,
    updated_since: float | None,
    order: str,
    cursor: str | None,
    limit: int,
) -> Commands[view_replies.Tasks]:
    """Return a page of the tasks that pass all filters. Reads up to 1,000 tasks, and the heads of families' sets."""
    arguments = [family, status, params, worker, text, error, failed_since, updated_since, order]
    after, (looked_at,) = read_place("tasks", arguments, cursor, int)
    if after is not None and not after.member.isdecimal():
        raise InvalidArgument("cursor", "is none: give the one of the reply before, or leave it out to begin anew")
    states = states_of(status) if status else STATES
    if failed_since is not None:
        states = tuple(state for state in states if state in FAILURES)
    least = max((moment for moment in (failed_since, updated_since) if moment is not None), default=None)
    counts = yield from read_counts(namespace, None if family is None else [family], states, least)
    sets = [(state, each) for each, by_state in counts.items() for state in by_state]
    runner_sets = yield from _runner_sets(namespace, worker)
    filters = _Filters(
        {name: _text(value) for name, value in (params or {}).items()},
        (text or "").casefold().split(),
        (error or "").casefold(),
        worker,
        runner_sets,
        updated_since,
    )
    merged = MergedSets(
        namespace,
        [namespace.key("tasks", *each) for each in sets],
        after,
        reverse=order == "newest",
        least=least,
        wanted=MAX_LOOKED_AT if filters.may_refuse else limit,
    )
    listed, looked, last = yield from _look(namespace, merged, [state for state, _ in sets], filters, limit)
    looked_at += looked
    next_cursor = None if last is None else make_cursor("tasks", arguments, (*last.place, looked_at))
    return {"tasks": listed, "cursor": next_cursor, "looked_at": looked_at, "of": sum(totals(counts).values())}


def _look(
    namespace: Namespace, merged: MergedSets, states: list[str], filters: _Filters, limit: int
) -> Commands[tuple[list[view_replies.TaskLine], int, Member | None]]:
    """Return what is listed, how many tasks were looked at, and the last of these; None when there are no more."""
    listed: list[view_replies.TaskLine] = []
    looked_at = 0
    last: Member | None = None
    while len(listed) < limit and looked_at < MAX_LOOKED_AT:
        count = MAX_LOOKED_AT - looked_at if filters.may_refuse else limit - len(listed)
        members = yield from merged.take(min(BATCH, count))
        if not members:
            break
        ids = yield from ids_of(namespace, [each.place.member for each in members])
        lines = yield from read_lines(namespace, list(ids.values()), with_errors=bool(filters.error))
        for member in members:
            looked_at, last = looked_at + 1, member
            line = lines.get(ids.get(member.place.member, ""))
            state = states[member.number]
            # It may have moved on, or be gone, since its number was read.
            if line is None or line.n != member.place.member or line.shown["status"] != status_of(state):
                continue
            if filters.admit(line):
                line.shown["state"], line.shown["since"] = state, float(member.place.score)
                listed.append(line.shown)
                if len(listed) == limit:
                    break
    if not filters.error:
        yield from read_errors(namespace, listed)
    is_all = merged.is_at_end and (last is None or last == merged.last_taken)
    return listed, looked_at, None if is_all else last


def _runner_sets(namespace: Namespace, worker: str | None) -> Commands[frozenset[str]]:
    if worker is None:
        return frozenset()
    (w,) = yield Read([("HGET", namespace.key("worker", worker), "w")])
    if w is None:
        return frozenset()
    (found,) = yield Read([("SMEMBERS", namespace.key("worker_runner_sets", w))])
    return frozenset(found)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

"""The listing of tasks: by the index of state and family, newest or oldest first, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from broker_sched.contract import view_replies
from broker_sched.contract.states import STATES, states_of, status_of
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.date_counts import MembersOfDate, families_with_dates, read_date_counts
from broker_sched.scheduler.dates import date_of
from broker_sched.scheduler.family_counts import read_counts
from broker_sched.scheduler.merged_sets import Member, MergedSets
from broker_sched.scheduler.paging import make_cursor, read_place
from broker_sched.scheduler.records import ids_of
from broker_sched.scheduler.task_lines import Line, read_errors, read_lines

MAX_LOOKED_AT = 1000  # tasks in one call
MAX_OF_DATE = 10_000  # tasks of a date that are read by it; more of them are looked for among all of their families
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
    date: str | None  # where so many tasks are for it that they are looked for among others

    @property
    def may_refuse(self) -> bool:
        """Whether there is any."""
        return bool(
            self.params or self.words or self.error or self.worker or self.date or self.updated_since is not None
        )

    def admit(self, line: Line) -> bool:
        """Return whether a task is listed."""
        shown = line.shown
        if self.updated_since is not None and shown["updated"] < self.updated_since:
            return False
        if any(
            name not in shown["params"] or _text(shown["params"][name]) != self.params[name] for name in self.params
        ):
            return False
        if self.date is not None and date_of(shown["params"], None) != self.date:
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
    date: str | None,
    order: str,
    cursor: str | None,
    limit: int,
) -> Commands[view_replies.Tasks]:
    """Return a page of the tasks that pass all filters. Reads up to 1,000 tasks, and the heads of families' sets."""
    arguments = [family, status, params, worker, text, error, failed_since, updated_since, order]
    if date is not None:  # a cursor from before there were dates holds on
        arguments.append(date)
    after, (looked_at,) = read_place("tasks", arguments, cursor, int)
    if after is not None and not after.member.isdecimal():
        raise InvalidArgument("cursor", "is none: give the one of the reply before, or leave it out to begin anew")
    states = states_of(status) if status else STATES
    if failed_since is not None:
        states = tuple(state for state in states if state in FAILURES)
    least = max((moment for moment in (failed_since, updated_since) if moment is not None), default=None)
    families = None if family is None else [family]
    of_date = None if date is None else (yield from _listed_for(namespace, families, date, states))
    few = of_date is not None and sum(of_date.values()) <= MAX_OF_DATE
    counts = {} if few else (yield from read_counts(namespace, families, states, least))
    sets = (
        list(of_date) if of_date is not None else [(state, each) for each, found in counts.items() for state in found]
    )
    runner_sets = yield from _runner_sets(namespace, worker)
    filters = _Filters(
        {name: _text(value) for name, value in (params or {}).items()},
        (text or "").casefold().split(),
        (error or "").casefold(),
        worker,
        runner_sets,
        updated_since,
        None if few else date,
    )
    where: dict[str, Any] = {"reverse": order == "newest", "least": least}
    if few and date is not None:
        found: MembersOfDate | MergedSets = MembersOfDate(namespace, date, sets, after, **where)
    else:
        wanted = MAX_LOOKED_AT if filters.may_refuse else limit
        found = MergedSets(namespace, [namespace.key("tasks", *each) for each in sets], after, **where, wanted=wanted)
    listed, looked, last = yield from _look(namespace, found, [state for state, _ in sets], filters, limit)
    looked_at += looked
    next_cursor = None if last is None else make_cursor("tasks", arguments, (*last.place, looked_at))
    of = (
        found.count
        if isinstance(found, MembersOfDate)
        else sum(counts[each][state] for state, each in sets if state in counts.get(each, {}))
    )
    return {"tasks": listed, "cursor": next_cursor, "looked_at": looked_at, "of": of}


def _listed_for(
    namespace: Namespace, families: list[str] | None, date: str, states: Sequence[str]
) -> Commands[dict[tuple[str, str], int]]:
    """Return (state, family) → how many tasks are for this date."""
    named = yield from families_with_dates(namespace, families, date[:7])
    counts = yield from read_date_counts(list(named), date[:7], [date], states)
    return {
        (state, family): count for family, by_date in counts.items() for state, count in by_date.get(date, {}).items()
    }


def _look(
    namespace: Namespace, found: MembersOfDate | MergedSets, states: list[str], filters: _Filters, limit: int
) -> Commands[tuple[list[view_replies.TaskLine], int, Member | None]]:
    """Return what is listed, how many tasks were looked at, and the last of these; None when there are no more."""
    listed: list[view_replies.TaskLine] = []
    looked_at = 0
    last: Member | None = None
    while len(listed) < limit and looked_at < MAX_LOOKED_AT:
        count = MAX_LOOKED_AT - looked_at if filters.may_refuse else limit - len(listed)
        members = yield from found.take(min(BATCH, count))
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
    is_all = found.is_at_end and (last is None or last == found.last_taken)
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

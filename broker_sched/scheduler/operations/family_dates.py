"""The listing of families by date: how many tasks each has for the days of a month, by state."""

from __future__ import annotations

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.date_counts import families_with_dates, read_date_counts
from broker_sched.scheduler.paging import make_cursor, read_cursor

DAYS = [f"-{day:02}" for day in range(1, 32)]  # one that a month does not have, somebody's parameter may


def family_dates(
    namespace: Namespace, *, family: str | None, month: str | None, cursor: str | None, limit: int
) -> Commands[view_replies.FamilyDates]:
    """Return a page of families that have tasks with dates. Reads the months of all families, and counts the tasks of
    those that are shown."""
    arguments = [family, month]
    after = None
    if cursor is not None:
        month, after = read_cursor("family_dates", arguments, cursor, (str, str))
    months_of = yield from families_with_dates(namespace, None if family is None else [family])
    months = sorted({each for months in months_of.values() for each in months})
    month = month or (months[-1] if months else None)
    names = [name for name in sorted(months_of) if month in months_of[name] and (after is None or name > after)]
    shown = names[:limit]
    counts = (
        {} if month is None else (yield from read_date_counts(shown, month, [month, *(month + day for day in DAYS)]))
    )
    is_all = len(names) <= limit
    return {
        "month": month,
        "months": months,
        "families": [{"family": name, "dates": dict(sorted(counts[name].items()))} for name in shown],
        "cursor": None if is_all else make_cursor("family_dates", arguments, [str(month), shown[-1]]),
    }

"""How many tasks families have for days and months, and which tasks these are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from broker_sched.redis_backend.commands import Call, Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.merged_sets import Member
from broker_sched.scheduler.paging import SMALL_PACE, Place, read_paced, scan_set

SCORES_AT_ONCE = 100  # entries of a sorted set that are looked up together: some hundredths of a millisecond
PLACES_AT_ONCE = 300  # (state, date, family) that are counted by one script: about a tenth of a millisecond
# All states, those first in which most tasks of a month are that is not quite new: where they are all in the first
# ones, the others are not asked for.
LIKELY_FIRST = ("DONE", "FAILED", "READY", "WAITING", "RUNNING", "BLOCKED", "DISABLED", "BATCH_RUNNING", "UNKNOWN")
DateCounts: TypeAlias = dict[str, dict[str, dict[str, int]]]  # family → date → state → how many, without zeros


def families_with_dates(
    namespace: Namespace, families: Sequence[str] | None, month: str | None = None
) -> Commands[dict[str, list[str]]]:
    """Return family → the months for which it has tasks, for those that have any. families: None for all.

    month: only families that have tasks for it, with this month alone.
    """
    if families is None:
        families = sorted(set((yield from scan_set(namespace, "families"))))
    keys = [namespace.key("months", family) for family in families]
    if month is None:
        found = yield from read_paced([("HKEYS", key) for key in keys])
    else:
        has = yield from read_paced([("HEXISTS", key, month) for key in keys], SMALL_PACE)
        found = [[month] if each else [] for each in has]
    return {family: sorted(months) for family, months in zip(families, found) if months}


def read_date_counts(
    families: Sequence[str], month: str, dates: Sequence[str], states: Sequence[str] = LIKELY_FIRST
) -> Commands[DateCounts]:
    """Return how many tasks these families have in these states for these dates, which are all in the month.

    A script for every few families.
    """
    counts: DateCounts = {family: {} for family in families}
    at_once = max(1, PLACES_AT_ONCE // max(1, len(dates) * len(states)))
    for start in range(0, len(families), at_once):
        some = families[start : start + at_once]
        flat = yield Call(
            "count_dates",
            month=month,
            state_count=str(len(states)),
            date_count=str(len(dates)),
            names=[*states, *dates, *some],
        )
        for family, date, state, count in zip(flat[::4], flat[1::4], flat[2::4], flat[3::4]):
            counts[some[family - 1]].setdefault(dates[date - 1], {})[states[state - 1]] = count
    return counts


class MembersOfDate:
    """The tasks that are for a date, in the order of since when they are in their state, as MergedSets gives those of
    listings. All are read at first, so there should be few.

    sets: (state, family) of each set of tasks; a member names its set by its place here. after, reverse, least: as of
    MergedSets. count: how many there are, those before `after` included, once the first were taken.
    """

    def __init__(
        self, namespace: Namespace, date: str, sets: Sequence[tuple[str, str]], after: Place | None, *, reverse: bool,
        least: float | None,
    ) -> None:  # fmt: skip
        self._namespace = namespace
        self._date = date
        self._sets = sets
        self._after = after
        self._reverse = reverse
        self._least = least
        self._left: list[Member] | None = None  # the next one last
        self.count = 0
        self.last_taken: Member | None = None

    @property
    def is_at_end(self) -> bool:
        """Whether take() has returned all there is."""
        return self._left is not None and not self._left

    def take(self, count: int) -> Commands[list[Member]]:
        """Return the next so many members; fewer only at the end."""
        if self._left is None:
            self._left = yield from self._read()
        taken = [self._left.pop() for _ in range(min(count, len(self._left)))]
        self.last_taken = taken[-1] if taken else self.last_taken
        return taken

    def _read(self) -> Commands[list[Member]]:
        found: list[Member] = []
        for number, (state, family) in enumerate(self._sets):
            numbers = sorted(set((yield from scan_set(self._namespace, "dated", state, self._date, family))))
            listing = self._namespace.key("tasks", state, family)
            since: list[Any] = []
            for start in range(0, len(numbers), SCORES_AT_ONCE):
                (some,) = yield Read([("ZMSCORE", listing, *numbers[start : start + SCORES_AT_ONCE])])
                since += some
            for n, score in zip(numbers, since):  # without one it has moved on since its number was read
                if score is not None and (self._least is None or float(score) >= self._least):
                    found.append(Member(number, Place(_text(score), n)))
        self.count = len(found)
        found.sort(key=lambda each: (float(each.place.score), each.place.member), reverse=not self._reverse)
        after = self._after
        return [each for each in found if after is None or after.is_before(each.place, self._reverse)]


def _text(score: str | float) -> str:
    return score if isinstance(score, str) else repr(score)

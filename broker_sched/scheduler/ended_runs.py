"""How many runs ended lately: the counts of `ended:<n>`, each of 20 seconds, for an hour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import read_paced

SECONDS = 20  # that one count is about
HOUR = 3600
WINDOWS = {"minute": 60, "ten_minutes": 600, "hour": HOUR}


class EndedRuns:
    """The counts of the last hour that are there at a moment."""

    def __init__(self, now: float, counts: dict[int, tuple[int, int]]) -> None:
        self._now = now
        self._counts = counts  # of each 20 s: how many ended DONE, FAILED

    def throughput(self) -> dict[str, view_replies.Throughput]:
        """Return how many runs ended a second, in the last minute, ten minutes and hour.

        The counts are of 20 seconds each, so up to 20 seconds fewer are looked at; the number is divided by those.
        """
        return {name: self._rates(seconds) for name, seconds in WINDOWS.items()}

    def _rates(self, seconds: int) -> view_replies.Throughput:
        first = math.ceil((self._now - seconds) / SECONDS)
        covered = self._now - first * SECONDS
        found = [count for number, count in self._counts.items() if number >= first]
        return {
            "done_per_second": sum(done for done, _ in found) / covered,
            "failed_per_second": sum(failed for _, failed in found) / covered,
        }

    def by_field(self, namespace: Namespace, fields: Sequence[str], *, only_failed: bool) -> Commands[dict[str, int]]:
        """Return the sum of each of these fields over the last hour. only_failed: they count nothing but failures."""
        numbers = [number for number, (_, failed) in self._counts.items() if failed or not only_failed]
        sums = dict.fromkeys(fields, 0)
        if fields:
            commands = [("HMGET", namespace.key("ended", str(number)), *fields) for number in numbers]
            for counts in (yield from read_paced(commands, pace=max(1, 500 // len(fields)))):
                for field, count in zip(fields, counts):
                    sums[field] += int(count or 0)
        return sums


def read_ended_runs(namespace: Namespace, now: float) -> Commands[EndedRuns]:
    """Read what ended in the last hour before `now`, by the scheduler's clock."""
    numbers = range(math.ceil((now - HOUR) / SECONDS), math.floor(now / SECONDS) + 1)
    commands = [("HMGET", namespace.key("ended", str(number)), "DONE", "FAILED") for number in numbers]
    counts = yield from read_paced(commands)
    found = {number: (int(done or 0), int(failed or 0)) for number, (done, failed) in zip(numbers, counts)}
    return EndedRuns(now, {number: count for number, count in found.items() if any(count)})

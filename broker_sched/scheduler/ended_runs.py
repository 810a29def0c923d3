"""How many runs ended lately: the counts of `ended:<n>`, each of 20 seconds, for an hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from broker_sched.contract import view_replies
from broker_sched.redis_backend.commands import Commands, Read
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import read_paced
from broker_sched.scheduler.records import pairs

SECONDS = 20  # that one count is about
HOUR = 3600
WINDOWS = {"minute": 60, "ten_minutes": 600, "hour": HOUR}


class Count(NamedTuple):
    """What ended within 20 seconds. size: how many fields the hash has."""

    done: int
    failed: int
    size: int


class EndedRuns:
    """The counts of the last hour, from a moment on back."""

    def __init__(self, now: float, counts: dict[int, Count]) -> None:
        self._now = now
        self._counts = counts

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
            "done_per_second": sum(count.done for count in found) / covered,
            "failed_per_second": sum(count.failed for count in found) / covered,
        }

    def by_field(self, namespace: Namespace, fields: Sequence[str], *, only_failed: bool) -> Commands[dict[str, int]]:
        """Return the sum of each of these fields over the last hour. only_failed: they count nothing but failures."""
        sums = dict.fromkeys(fields, 0)
        counts = {number: count for number, count in self._counts.items() if count.failed or not only_failed}
        commands = [
            ("HGETALL", namespace.key("ended", str(number)))
            if count.size <= len(fields)
            else ("HMGET", namespace.key("ended", str(number)), *fields)
            for number, count in counts.items()
            if fields
        ]
        for command in commands:
            (reply,) = yield Read([command])
            found = pairs(reply) if command[0] == "HGETALL" else dict(zip(fields, reply))
            for field in found.keys() & sums.keys():
                if found[field]:
                    sums[field] += int(found[field])
        return sums


def read_ended_runs(namespace: Namespace, now: float) -> Commands[EndedRuns]:
    """Read what ended in the last hour before `now`, by the scheduler's clock."""
    numbers = range(math.ceil((now - HOUR) / SECONDS), math.floor(now / SECONDS) + 1)
    keys = [namespace.key("ended", str(number)) for number in numbers]
    replies = yield from read_paced(
        [command for key in keys for command in (("HMGET", key, "DONE", "FAILED"), ("HLEN", key))]
    )
    counts = {
        number: Count(int(done or 0), int(failed or 0), size)
        for number, (done, failed), size in zip(numbers, replies[::2], replies[1::2])
        if size
    }
    return EndedRuns(now, counts)

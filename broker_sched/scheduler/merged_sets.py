"""Many sorted sets of task numbers read as one, in the order of their scores, no more of each than is needed."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from broker_sched.redis_backend.commands import Commands
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.paging import Place, pages_behind

FIRST = 2  # entries of each set that are read at first, at least
MOST = 100  # and at once, at the most


class Member(NamedTuple):
    """An entry of one of the sets: which one, by its number, and where it stands."""

    number: int
    place: Place


class MergedSets:
    """Sorted sets as one. All entries are numbers of tasks, whose texts are equally long, and stand in one set only.

    keys: those of the sets. after: where to begin; None for the beginning. reverse: highest score first. least: what
    has a lower score is left out. wanted: how many entries are likely to be taken in all.
    """

    def __init__(
        self, namespace: Namespace, keys: Sequence[str], after: Place | None, *, reverse: bool, least: float | None,
        wanted: int,
    ) -> None:  # fmt: skip
        self._namespace = namespace
        self._keys = keys
        self._reverse = reverse
        self._least = least
        self._places: list[Place | None] = [after] * len(keys)  # of the last entry that was read of each
        self._read: list[deque[Place]] = [deque() for _ in keys]
        self._is_at_end = [False] * len(keys)
        self._sizes = [min(MOST, max(FIRST, 2 * wanted // max(1, len(keys))))] * len(keys)
        self._heads: list[tuple[float, int, int]] = []  # of each set that has some: its next entry, and its index
        self._is_begun = False
        self.last_taken: Member | None = None

    @property
    def is_at_end(self) -> bool:
        """Whether take() has returned all there is."""
        return self._is_begun and not self._heads

    def take(self, count: int) -> Commands[list[Member]]:
        """Return the next so many entries; fewer only at the end."""
        if not self._is_begun:
            self._is_begun = True
            yield from self._fill(range(len(self._keys)))
        taken: list[Member] = []
        while self._heads and len(taken) < count:
            _, _, number = heapq.heappop(self._heads)
            taken.append(Member(number, self._read[number].popleft()))
            if self._read[number]:
                self._note_head(number)
            elif not self._is_at_end[number]:
                self._sizes[number] = min(MOST, 2 * self._sizes[number])
                yield from self._fill([number])
        self.last_taken = taken[-1] if taken else self.last_taken
        return taken

    def _fill(self, numbers: Sequence[int]) -> Commands[None]:
        """Read on in these sets, of which nothing is left."""
        wanted = [(self._keys[number], self._places[number], self._sizes[number]) for number in numbers]
        pages = yield from pages_behind(self._namespace, wanted, reverse=self._reverse, least=self._least)
        for number, page in zip(numbers, pages):
            self._is_at_end[number] = page.is_last
            if page.entries:
                self._read[number].extend(page.entries)
                self._places[number] = page.entries[-1]
                self._note_head(number)

    def _note_head(self, number: int) -> None:
        place, sign = self._read[number][0], -1 if self._reverse else 1
        heapq.heappush(self._heads, (sign * float(place.score), sign * int(place.member), number))

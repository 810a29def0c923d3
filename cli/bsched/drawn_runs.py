"""Runs of tasks by worker or family: how busy each was, when idle, and all of it drawn in a line of characters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

WIDTH = 50  # characters of a drawing
HEIGHTS = "▁▂▃▄▅▆▇█"
IDLE, FAILED = "·", "!"
FAILURES = ("FAILED", "DISABLED")
NOBODY = "(nobody)"


class DrawnRow(NamedTuple):
    """The runs of one worker, or family, in the time from `since` to `until`."""

    name: str
    runs: Sequence[tuple[float, float]]  # from when to when, within that time
    failures: Sequence[float]  # when
    since: float
    until: float

    def shown(self) -> dict[str, Any]:
        """Return what is told of it by name: runs, failed, busy (0 to 1), longest_idle_seconds, drawn."""
        gaps = list(self._gaps())
        seconds = self.until - self.since
        return {
            "name": self.name,
            "runs": len(self.runs),
            "failed": len(self.failures),
            "busy": 1 - sum(end - start for start, end in gaps) / seconds if seconds > 0 else 0.0,
            "longest_idle_seconds": max((end - start for start, end in gaps), default=0.0),
            "drawn": self.drawn(),
        }

    def drawn(self) -> str:
        """Return the line: how many ran at once on average, against the most of this row."""
        step = max(self.until - self.since, 1e-9) / WIDTH
        amounts = [0.0] * WIDTH
        for start, end in self.runs:
            for cell in range(self._cell(start, step), self._cell(end, step) + 1):
                left = self.since + cell * step
                amounts[cell] += max(0.0, min(end, left + step) - max(start, left)) / step
        most = max(amounts)
        cells = [IDLE if amount <= 0 else HEIGHTS[min(7, int(8 * amount / most))] for amount in amounts]
        for _, end in self.runs:  # however short it was
            cell = self._cell(end, step)
            cells[cell] = HEIGHTS[0] if cells[cell] == IDLE else cells[cell]
        for moment in self.failures:
            cells[self._cell(moment, step)] = FAILED
        return "".join(cells)

    def _cell(self, moment: float, step: float) -> int:
        return min(WIDTH - 1, max(0, int((moment - self.since) / step)))

    def _gaps(self) -> Iterable[tuple[float, float]]:
        """When nothing ran."""
        free = self.since
        for start, end in sorted(self.runs):
            if start > free:
                yield free, start
            free = max(free, end)
        if free < self.until:
            yield free, self.until


def drawn_rows(runs: Iterable[Mapping[str, Any]], by: str, since: float, until: float) -> list[DrawnRow]:
    """Return a row for each worker or family, in the order of their names. by: worker or family.

    A run of which nobody knows when it began is taken for one without length.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    failures: dict[str, list[float]] = {}
    for run in runs:
        name = run[by] or NOBODY
        end = until if run["ended"] is None else min(run["ended"], until)
        start = end if run["started"] is None else max(run["started"], since)
        found.setdefault(name, []).append((min(start, end), end))
        if run["outcome"] in FAILURES:
            failures.setdefault(name, []).append(end)
    return [DrawnRow(name, found[name], failures.get(name, []), since, until) for name in sorted(found)]

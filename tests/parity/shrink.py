"""Makes a failing sequence small: fewer steps, fewer options, fewer arguments."""

from __future__ import annotations

from collections.abc import Callable
from pprint import pformat
from typing import Any

from tests.parity.pair import ADVANCE, Difference, Step

# Without them a task would have other parameters than its family, which no client does and no sequence has.
KEPT = ("worker", "task_id", "family", "params")
Fails = Callable[[dict[str, Any], list[Step]], "Difference | None"]
MAX_REPLAYS = 1500  # a limit on the work, not a tuning knob


class Shrinker:
    """Delta debugging by replaying on fresh pairs. Any difference counts, not only the one found first."""

    def __init__(self, fails: Fails) -> None:
        self._fails = fails
        self.replays = 0

    def shrink(self, options: dict[str, Any], steps: list[Step]) -> tuple[dict[str, Any], list[Step], Difference]:
        """The smallest options and steps found that still differ, and how they differ."""
        found = self._fails(options, steps)
        assert found is not None, "the sequence does not fail when it is replayed"
        steps = steps[: found.index + 1]
        while True:
            before = (len(options), len(repr(steps)))
            steps = self._fewer_steps(options, steps)
            options = self._fewer_options(options, steps)
            steps = self._fewer_arguments(options, steps)
            if before == (len(options), len(repr(steps))) or self.replays >= MAX_REPLAYS:
                break
        difference = self._fails(options, steps)
        assert difference is not None
        return options, steps, difference

    def _still(self, options: dict[str, Any], steps: list[Step]) -> bool:
        self.replays += 1
        return self.replays < MAX_REPLAYS and self._fails(options, steps) is not None

    def _fewer_steps(self, options: dict[str, Any], steps: list[Step]) -> list[Step]:
        size = max(1, len(steps) // 2)
        while size:
            start = 0
            while start < len(steps):
                candidate = steps[:start] + steps[start + size :]
                if candidate and self._still(options, candidate):
                    steps = candidate
                else:
                    start += size
            size //= 2
        return steps

    def _fewer_options(self, options: dict[str, Any], steps: list[Step]) -> dict[str, Any]:
        for name in list(options):
            candidate = {key: value for key, value in options.items() if key != name}
            if self._still(candidate, steps):
                options = candidate
        return options

    def _fewer_arguments(self, options: dict[str, Any], steps: list[Step]) -> list[Step]:
        for index in range(len(steps)):
            method, arguments = steps[index]
            if method == ADVANCE:
                continue
            for name in [name for name in arguments if name not in KEPT]:
                fewer = {key: value for key, value in steps[index][1].items() if key != name}
                candidate = [*steps[:index], (method, fewer), *steps[index + 1 :]]
                if self._still(options, candidate):
                    steps = candidate
        return steps


def as_python(options: dict[str, Any], steps: list[Step], difference: Difference) -> str:
    """The failing sequence as a test that can be pasted, and the first answer that differs."""
    return (
        f"OPTIONS = {pformat(options, width=110, sort_dicts=False)}\n"
        f"STEPS = {pformat(steps, width=110, sort_dicts=False)}\n"
        f"# step {difference.index}, {difference.step[0]}, is answered differently:\n{difference.text}"
    )

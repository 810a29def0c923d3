"""How much of Redis's time calls that only look may take: asked without a pause, they must not delay those for work.

A single look goes as fast as it can. Who asks for more than Redis has time to spare waits a little between the commands
of a look, each of which is short, so that calls for work come in between.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from broker_sched.scheduler.execution import Effects, Pause, Send, T

SHARE = 0.1  # of the time
BURST_SECONDS = 0.01  # of Redis's time, at once: an ordinary look, or the first of a long one
MOST_PAUSE_SECONDS = 0.1  # in one look: people wait for it
# In looks of these methods, which may read more than others, or are to be answered sooner.
MOST_PAUSE_SECONDS_OF = {"failures": 0.06, "tasks": 0.02, "why": 0.01}
LEAST_PAUSE_SECONDS = 0.001  # what an event loop waits at least


class LookBudget:
    """A bucket of Redis's time, which fills by SHARE. All looks of one scheduler, in whatever thread, share it.

    clock: seconds that pass, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = BURST_SECONDS  # of Redis's time; below zero: it was spent in advance
        self._filled_at = clock()
        self._lock = threading.Lock()

    def paced(self, name: str, effects: Effects[T]) -> Effects[T]:
        """Carry out a look, with pauses between its commands where there is no time left for it. name: its method's."""
        outcome, may_pause = None, MOST_PAUSE_SECONDS_OF.get(name, MOST_PAUSE_SECONDS)
        while True:
            try:
                effect = effects.send(outcome)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # StopIteration carries Any
            if not isinstance(effect, Send):
                outcome = yield effect
                continue
            pause = min(self._wanted_pause(), may_pause)
            if pause >= LEAST_PAUSE_SECONDS:
                may_pause -= pause
                yield Pause(pause)
            started = self._clock()
            outcome = yield effect
            self._spend(self._clock() - started)

    def _wanted_pause(self) -> float:
        """Seconds until what was spent in advance has come in."""
        with self._lock:
            self._fill()
            return max(0.0, -self._left / SHARE)

    def _spend(self, seconds: float) -> None:
        with self._lock:
            self._fill()
            # What a look could not wait for is forgiven, else the next one would wait for it.
            self._left = max(self._left - seconds, -SHARE * MOST_PAUSE_SECONDS)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(BURST_SECONDS, self._left + (now - self._filled_at) * SHARE)
        self._filled_at = now

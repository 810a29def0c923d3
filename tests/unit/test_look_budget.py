"""Looks that come one after the other are slowed down, a single one is not, and none for longer than is stated."""

from __future__ import annotations

from collections.abc import Iterator

from broker_sched.redis_backend.recovery import SendAgain
from broker_sched.scheduler.execution import Effects, Pause, Send
from broker_sched.scheduler.look_budget import (
    BURST_SECONDS,
    MOST_PAUSE_SECONDS,
    MOST_PAUSE_SECONDS_OF,
    SHARE,
    LookBudget,
)
from broker_sched.server.frequent_looks import ANSWERS_A_SECOND, ANSWERS_AT_ONCE, Spacing

PIECE_SECONDS = 0.0001


class Asker:
    """Carries looks out on a clock of its own: what Redis does takes PIECE_SECONDS, a pause as long as it says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.budget = LookBudget(lambda: self.now)

    def look(self, pieces: int, name: str = "overview") -> list[float]:
        """The pauses of one look."""
        pauses = []
        effects, outcome = self.budget.paced(name, self._commands(pieces)), None
        while True:
            try:
                effect = effects.send(outcome)
            except StopIteration as finished:
                assert finished.value == ["reply"] * pieces
                return pauses
            if isinstance(effect, Pause):
                pauses.append(effect.seconds)
                self.now += effect.seconds
                outcome = None
            elif isinstance(effect, Send):
                self.now += PIECE_SECONDS
                outcome = "reply"

    def _commands(self, pieces: int) -> Effects[list[str]]:
        replies = []
        for _ in range(pieces):
            replies.append((yield Send([("PING",)], True)))
        return replies


def test_a_look_now_and_then_is_not_slowed() -> None:
    asker = Asker()
    for _ in range(20):
        assert asker.look(int(BURST_SECONDS / PIECE_SECONDS)) == []
        asker.now += BURST_SECONDS / SHARE


def test_looks_without_a_pause_take_redis_no_more_than_their_share() -> None:
    asker, started = Asker(), 1000.0
    paused = sum(sum(asker.look(70)) for _ in range(100))
    spent = 100 * 70 * PIECE_SECONDS
    assert abs(asker.now - started - paused - spent) < 1e-6
    assert spent <= BURST_SECONDS + SHARE * (asker.now - started) + 0.001


def test_a_pause_comes_between_the_pieces_of_a_look_and_not_all_at_once() -> None:
    asker = Asker()
    asker.look(200)
    pauses = asker.look(70)
    assert len(pauses) > 30
    assert max(pauses[1:]) < 0.003


def test_a_long_look_is_not_kept_waiting_longer_than_stated() -> None:
    asker = Asker()
    for name, most in {"overview": MOST_PAUSE_SECONDS, **MOST_PAUSE_SECONDS_OF}.items():
        for _ in range(5):
            assert 0.9 * most <= sum(asker.look(2000, name)) <= most + 1e-9


def test_what_is_no_command_passes_as_it_is() -> None:
    def failing() -> Effects[str]:
        yield SendAgain(0.5)
        return "done"

    effects = LookBudget().paced("overview", failing())
    assert next(effects) == SendAgain(0.5)
    assert list(_rest(effects)) == ["done"]


def _rest(effects: Effects[str]) -> Iterator[str]:
    yield (yield from effects)


def test_few_answers_leave_at_once_and_many_one_after_the_other() -> None:
    spacing = Spacing()
    assert [spacing.delay(50.0) for _ in range(ANSWERS_AT_ONCE)] == [0.0] * ANSWERS_AT_ONCE
    delays = [spacing.delay(50.0) for _ in range(200)]
    assert delays == sorted(delays)
    assert abs(delays[-1] - 200 / ANSWERS_A_SECOND) < 1e-6
    assert spacing.delay(60.0) == 0.0

"""A fleet in trouble: whatever dies or is away for a while, nothing runs twice at a time, and all ends DONE.

`make faults` does each many times, at random moments; the tests do it once.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS, kill_redis
from tests.faults.fleet import Fleet, reconcile
from tests.nightly import by_night

ROUNDS = int(os.environ.get("FAULT_ROUNDS") or by_night(10, 1))
LATEST = 1.2  # seconds after a round has begun


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    yield made
    made.stop()


@pytest.mark.timeout(60 + 60 * ROUNDS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_whatever_goes_wrong_nothing_is_lost_and_nothing_runs_twice(
    fleet: Fleet, fault: Callable[[Fleet], None]
) -> None:
    for number in range(ROUNDS):
        go_wrong(fleet, fault, number, loses_a_second=False)


@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_with_everysec_at_most_the_last_second_is_lost(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, fsync="everysec")
    try:
        for number in range(ROUNDS):
            go_wrong(fleet, kill_redis, number, loses_a_second=True)
    finally:
        fleet.stop()


def go_wrong(fleet: Fleet, fault: Callable[[Fleet], None], number: int, loses_a_second: bool) -> None:
    chance = random.Random(f"{fault.__name__} {number}")
    round_ = fleet.begin_round()
    time.sleep(chance.uniform(0, LATEST))  # any moment will do
    since = time.time()
    fault(fleet)
    fleet.await_end(round_)
    reconcile(fleet, round_, since, loses_a_second)

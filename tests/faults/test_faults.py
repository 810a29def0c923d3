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

from broker_sched import submit
from tests.faults.faults import FAULTS, kill_redis
from tests.faults.fleet import Fleet, reconcile
from tests.moving_address import moving_address
from tests.nightly import by_night
from tests.servers import RunningRedis, any_server, until

ROUNDS = int(os.environ.get("FAULT_ROUNDS") or by_night(10, 1))
LATEST = 1.2  # seconds after a round has begun


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("fleet")
    made = Fleet(directory, RunningRedis(any_server(), directory / "redis", arguments=durable("always")))
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
    fleet = Fleet(tmp_path, RunningRedis(any_server(), tmp_path / "redis", arguments=durable("everysec")))
    try:
        for number in range(ROUNDS):
            go_wrong(fleet, kill_redis, number, loses_a_second=True)
    finally:
        fleet.stop()


@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_nothing_is_lost_when_an_address_moves_to_the_replica_and_the_old_primary_lives_on(tmp_path: Path) -> None:
    with moving_address(any_server(), tmp_path / "redis", durable("always")) as pair:

        def move_the_address(_: Fleet) -> None:
            pair.fail_over(follows=True)

        fleet = Fleet(tmp_path, pair.primary, pair.address.url)
        try:
            for number in range(ROUNDS):
                go_wrong(fleet, move_the_address, number, loses_a_second=False)
            who = pair.replica.client()
            until(lambda: len(who.client_list(_type="normal")) == 1, "all but who asks have left the old primary")
        finally:
            fleet.stop()


@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_after_all_was_deleted_the_fleet_goes_on_and_does_what_is_submitted_again(tmp_path: Path) -> None:
    """What ran then is not known any more: submitted again, it may run beside that. All else holds."""
    fleet = Fleet(tmp_path, RunningRedis(any_server(), tmp_path / "redis", arguments=durable("always")))
    try:
        for number in range(ROUNDS):
            round_ = fleet.begin_round()
            time.sleep(random.Random(number).uniform(0, LATEST))
            fleet.redis.client().flushall()
            submit(round_, scheduler=fleet.scheduler)
            fleet.await_end(round_)
            assert fleet.scheduler.verify() == []
        assert all(each.poll() is None for each in fleet.workers.values()) and fleet.server.process.poll() is None
    finally:
        fleet.stop()


def durable(fsync: str) -> tuple[str, ...]:
    """Redis's arguments for a file that it writes always, or everysec."""
    return ("--appendonly", "yes", "--appendfsync", fsync)


def go_wrong(fleet: Fleet, fault: Callable[[Fleet], None], number: int, loses_a_second: bool) -> None:
    chance = random.Random(f"{fault.__name__} {number}")
    round_ = fleet.begin_round()
    time.sleep(chance.uniform(0, LATEST))  # any moment will do
    since = time.time()
    fault(fleet)
    fleet.await_end(round_)
    reconcile(fleet, round_, since, loses_a_second)

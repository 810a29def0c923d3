"""Whoever fails to log in must wait, longer each time; nobody can lock out another by it."""

from __future__ import annotations

from broker_sched import Scheduler
from broker_sched.scheduler.failed_logins import note_failed_login, note_right_login, seconds_to_wait
from broker_sched.server.hosts import network_of
from tests.conftest import FakeClock


def wait(scheduler: Scheduler, account: str, address: str) -> float:
    return scheduler.drive(seconds_to_wait(scheduler.namespace, account, address))


def fail(scheduler: Scheduler, account: str, address: str, times: int = 1) -> None:
    for _ in range(times):
        scheduler.drive(note_failed_login(scheduler.namespace, account, address))


def test_an_address_may_fail_ten_times_and_then_waits_twice_as_long_each_time(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    fail(scheduler, "ann", "192.0.2.1", 9)
    assert wait(scheduler, "ann", "192.0.2.1") == 0
    waits = []
    for _ in range(12):
        fail(scheduler, "ann", "192.0.2.1")
        waits.append(wait(scheduler, "ann", "192.0.2.1"))
        clock.advance(waits[-1])
        assert wait(scheduler, "ann", "192.0.2.1") == 0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_who_tries_many_accounts_waits_as_well(scheduler: Scheduler) -> None:
    for number in range(11):
        fail(scheduler, f"user-{number}", "192.0.2.1")
    assert wait(scheduler, "somebody-else", "192.0.2.1") == 2


def test_an_account_that_is_tried_from_everywhere_lets_each_address_fail_less(scheduler: Scheduler) -> None:
    for number in range(20):
        fail(scheduler, "ann", f"192.0.2.{number}", 1)
    assert wait(scheduler, "ann", "198.51.100.1") == 0
    fail(scheduler, "ann", "198.51.100.1", 2)
    assert wait(scheduler, "ann", "198.51.100.1") == 1
    assert wait(scheduler, "bob", "198.51.100.1") == 0


def test_others_failures_do_not_keep_a_user_out(scheduler: Scheduler) -> None:
    for number in range(60):
        fail(scheduler, "ann", f"192.0.2.{number}", 3)
    assert wait(scheduler, "ann", "198.51.100.1") == 0


def test_who_has_logged_in_from_an_address_is_not_slowed_down_by_others_there(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    scheduler.drive(note_right_login(scheduler.namespace, "wes", "192.0.2.1"))
    fail(scheduler, "mallory", "192.0.2.1", 30)
    assert wait(scheduler, "mallory", "192.0.2.1") == 300
    assert wait(scheduler, "wil", "192.0.2.1") == 300
    assert wait(scheduler, "wes", "192.0.2.1") == 0
    fail(scheduler, "wes", "192.0.2.1", 11)  # whoever tries this very account there has no more tries than before
    assert wait(scheduler, "wes", "192.0.2.1") == 2
    clock.advance(2)
    scheduler.drive(note_right_login(scheduler.namespace, "wes", "192.0.2.1"))
    fail(scheduler, "wes", "192.0.2.1", 9)
    assert wait(scheduler, "wes", "192.0.2.1") == 0


def test_a_network_of_ipv6_counts_as_one_address() -> None:
    assert len({network_of(f"2001:db8:0:1::{number}") for number in range(10)}) == 1
    assert network_of("2001:db8:0:1:ffff::1") == network_of("2001:db8:0:1::") != network_of("2001:db8:0:2::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("") == ""

"""Lua has floating-point numbers only, and each kind writes them as text in its own way: none is changed by that."""

from __future__ import annotations

import pytest

from broker_sched import Scheduler
from tests.conftest import FakeClock

NUMBERS = [0, 1, -1, 0.1, -2.5, 1 / 3, 1e15, 2**53 - 1, 2**53, 5e-324, -1e-7, 12345678.123456]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_priority_comes_back_as_it_was_given(scheduler: Scheduler, number: float) -> None:
    scheduler.add_task(worker="w", task_id="a", priority=number)
    assert scheduler.task_list()["a"]["priority"] == number


def test_the_higher_priority_comes_first_however_close(scheduler: Scheduler) -> None:
    for number in sorted(NUMBERS):
        scheduler.add_task(worker="w", task_id=repr(number), priority=number)
    scheduler.add_task(worker="w", task_id="just above", priority=0.1 + 2**-56)
    handed_out = [scheduler.get_work(worker="w")["task_id"] for _ in range(len(NUMBERS) + 1)]
    in_order = [repr(number) for number in sorted(NUMBERS, reverse=True)]
    in_order.insert(in_order.index("0.1"), "just above")
    assert handed_out == in_order


@pytest.mark.parametrize("number", [number for number in NUMBERS if 0 < number <= 2**53])
def test_an_amount_is_in_use_exactly_and_nothing_of_it_is_left(scheduler: Scheduler, number: float) -> None:
    scheduler.update_resources(r=number)
    for task_id in "ab":
        scheduler.add_task(worker="w", task_id=task_id, resources={"r": number})
        assert scheduler.get_work(worker="w")["task_id"] == task_id
        assert scheduler.resource_list()[0]["num_used"] == number
        assert scheduler.get_running_task_resources(task_id=task_id)["resources"] == {"r": number}
        scheduler.add_task(worker="w", task_id=task_id, status="DONE")
    assert scheduler.resource_list()[0]["num_used"] == 0


@pytest.mark.parametrize("now", [0.0, 1.0, 1_700_000_000.123456, 4_102_444_800.999999])
def test_a_time_comes_back_to_the_microsecond(scheduler: Scheduler, clock: FakeClock, now: float) -> None:
    clock.now = now
    scheduler.add_task(worker="w", task_id="a")
    assert scheduler.task_list()["a"]["start_time"] == now

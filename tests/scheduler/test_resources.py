"""What is in use is exact, whatever the amounts: nothing is left when nobody holds anything."""

from __future__ import annotations

import random

import pytest

from broker_sched import Scheduler


@pytest.mark.parametrize("amount", [1, 0.1, 123456789012.123, 2**52 + 1, 5e-10, 1e-3])
def test_a_resource_is_free_again_when_its_task_is_done(scheduler: Scheduler, amount: float) -> None:
    scheduler.update_resources(mem=amount)
    for number in range(4):
        task_id = f"t{number}"
        scheduler.add_task(worker="w", task_id=task_id, resources={"mem": amount})
        assert scheduler.get_work(worker="w")["task_id"] == task_id
        scheduler.add_task(worker="w", task_id=task_id, status="DONE")
    assert scheduler.resource_list()[0]["num_used"] == 0


def test_overlapping_fractions_leave_nothing_behind(scheduler: Scheduler) -> None:
    chance = random.Random(7)
    scheduler.update_resources(mem=2**50)
    held: list[str] = []
    for number in range(120):
        scheduler.add_task(worker="w", task_id=f"t{number}", resources={"mem": round(chance.uniform(0, 1e7), 3)})
        held.append(scheduler.get_work(worker="w")["task_id"])
        if chance.random() < 0.6:
            scheduler.add_task(worker="w", task_id=held.pop(chance.randrange(len(held))), status="DONE")
    for task_id in held:
        scheduler.add_task(worker="w", task_id=task_id, status="DONE")
    assert scheduler.resource_list()[0]["num_used"] == pytest.approx(0, abs=1e-3)


def test_thousands_of_limits_are_set_at_once(scheduler: Scheduler) -> None:
    limits = {f"r{number}": number for number in range(4500)}
    scheduler.update_resources(**limits)
    assert {each["name"]: each["num_total"] for each in scheduler.resource_list()} == limits


def test_a_resource_may_have_any_name(scheduler: Scheduler) -> None:
    names = ["self", "a|b", 'quo"te', "{x}", "ü", "with space", "1:running"]
    scheduler.update_resources(**dict.fromkeys(names, 1))
    scheduler.add_task(worker="w", task_id="a", resources=dict.fromkeys(names, 1), priority=1)
    scheduler.add_task(worker="w", task_id="b", resources={"self": 1})
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    assert scheduler.get_work(worker="w")["task_id"] is None
    assert {each["name"]: each["num_used"] for each in scheduler.resource_list()} == dict.fromkeys(names, 1)

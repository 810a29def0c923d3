"""What is in use is exact, whatever the amounts: nothing is left when nobody holds anything.

A task may want amounts of named resources, of which the scheduler has limits. It is handed out when all that it wants
is free, and holds it until it has ended. Amounts are fractions of any size; they are added up exactly, so that ten
tenths fill a limit of one, and not a hair more.
"""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_sched import Scheduler
from tests.conftest import SchedulerFactory
from tests.nightly import by_night


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
    assert scheduler.resource_list()[0]["num_used"] == 0


AMOUNTS = st.one_of(
    st.sampled_from([2e12, 0.25, 2**53, 1, 0.1, 5e-324, 2**-1000]),
    st.integers(min_value=0, max_value=2**53),
    st.floats(min_value=0, max_value=2**53, allow_nan=False),
)
# What happens to a task: it is started with an amount, gives back some of it, ends.
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), AMOUNTS),
        st.tuples(st.just("give back"), AMOUNTS),
        st.tuples(st.just("end"), st.integers(min_value=0, max_value=30)),
    ),
    max_size=25,
)


@given(events=EVENTS)
@settings(
    max_examples=by_night(100, 15), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_what_is_in_use_is_the_exact_sum_of_what_is_held_whatever_the_amounts(
    scheduler_factory: SchedulerFactory, events: list[tuple[str, float]]
) -> None:
    scheduler = scheduler_factory(resources={"mem": 2**53})
    running: list[str] = []
    for number, (kind, value) in enumerate(events):
        if kind == "start":
            scheduler.add_task(worker=f"w{number}", task_id=f"t{number}", resources={"mem": value})
            if scheduler.get_work(worker=f"w{number}")["task_id"] is not None:
                running.append(f"{number}")
        elif running and kind == "give back":
            scheduler.decrease_running_task_resources(
                task_id=f"t{running[number % len(running)]}", decrease_resources={"mem": value}
            )
        elif running:
            ended = running.pop(int(value) % len(running))
            scheduler.add_task(worker=f"w{ended}", task_id=f"t{ended}", status="DONE")
        assert scheduler.verify() == []
        held = [scheduler.get_running_task_resources(task_id=f"t{each}")["resources"]["mem"] for each in running]
        assert scheduler.resource_list()[0]["num_used"] == float(sum(map(Fraction, held), Fraction()))
        # As many may be held as on paper: a rounded fraction may be too much by very little.
        assert sum(map(Fraction, held), Fraction()) <= 2**53 + Fraction(1, 2**10)
    for ended in running:
        scheduler.add_task(worker=f"w{ended}", task_id=f"t{ended}", status="DONE")
    assert not scheduler._client.exists(scheduler.namespace.key("used"))


@pytest.mark.parametrize(
    ("limit", "held", "more"),
    [
        (2e12, 2e12, 0.25),
        (2**53, 2**53, 1),
        (2**53, 2**53, 1.5),
        (2**53, 2**53, 0.25),
        (2**53, 2**53 - 1, 2),
        (1, 0.75, 0.2500000001),
    ],
)
def test_a_task_waits_when_it_exceeds_the_limit_by_however_little(
    scheduler: Scheduler, limit: float, held: float, more: float
) -> None:
    scheduler.update_resources(mem=limit)
    scheduler.add_task(worker="v", task_id="first", resources={"mem": held})
    assert scheduler.get_work(worker="v")["task_id"] == "first"
    scheduler.add_task(worker="w", task_id="second", resources={"mem": more})
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="v", task_id="first", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "second"


@pytest.mark.parametrize(("count", "amount", "limit"), [(10, 0.1, 1), (3, 0.1, 0.3), (100, 0.01, 1), (7, 0.7, 4.9)])
def test_decimal_fractions_fill_a_limit_as_they_do_on_paper(
    scheduler: Scheduler, count: int, amount: float, limit: float
) -> None:
    scheduler.update_resources(mem=limit)
    for number in range(count + 1):
        scheduler.add_task(worker="w", task_id=f"t{number:03}", resources={"mem": amount})
    handed = [scheduler.get_work(worker="w")["task_id"] for _ in range(count + 1)]
    assert handed == [f"t{number:03}" for number in range(count)] + [None]


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

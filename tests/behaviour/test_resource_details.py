"""`resource_details` says who holds a resource and who wants it, in the order in which they have their turn.

A page asks for it again and again: so it reads no task that it does not show, but for the running ones, of which it
looks at a thousand at the most.
"""

from __future__ import annotations

from broker_sched import Scheduler
from tests.conftest import FakeClock


def test_a_resource_tells_who_holds_it_since_when_and_who_has_the_next_turn(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    scheduler.update_resources(db=2)
    began = clock.now
    for number, priority in enumerate((9, 5, 1, 7)):
        scheduler.add_task(
            worker="w", task_id=f"t{number}", family="F", priority=priority, resources={"db": 1 + number % 2}
        )
    scheduler.add_task(worker="w", task_id="other", resources={"gpu": 1})
    scheduler.add_task(worker="w", task_id="later", deps=["t0"], resources={"db": 1})
    assert scheduler.get_work(worker="w")["task_id"] == "t0"
    clock.advance(3)
    seen = scheduler.resource_details("db")
    assert seen is not None
    assert (seen["name"], seen["limit"], seen["has_limit"], seen["used"]) == ("db", 2, True, 1)
    assert seen["holders"] == [{"task_id": "t0", "family": "F", "worker": "w", "since": began, "amount": 1}]
    assert [(each["task_id"], each["amount"], each["priority"]) for each in seen["waiters"]] == [
        *(("t3", 2, 7), ("t1", 2, 5), ("t2", 1, 1))
    ]
    assert {each["since"] for each in seen["waiters"]} == {began}
    assert (seen["n_holders"], seen["n_waiters"], seen["complete"]) == (1, 3, True)


def test_no_more_are_named_than_asked_for_but_all_are_counted(scheduler: Scheduler) -> None:
    scheduler.update_resources(db=4)
    for number in range(9):
        scheduler.add_task(worker="w", task_id=f"t{number}", resources={"db": 1})
    for _ in range(4):
        scheduler.get_work(worker="w")
    seen = scheduler.resource_details("db", limit=2)
    assert seen is not None
    assert [len(seen["holders"]), seen["n_holders"], len(seen["waiters"]), seen["n_waiters"]] == [2, 4, 2, 5]
    assert [each["task_id"] for each in seen["waiters"]] == ["t4", "t5"]


def test_one_that_gave_back_some_holds_the_rest_and_one_that_gave_back_all_nothing(scheduler: Scheduler) -> None:
    scheduler.update_resources(db=9)
    scheduler.add_task(worker="w", task_id="t", resources={"db": 3})
    scheduler.get_work(worker="w")
    for left in (1, 0):
        scheduler.decrease_running_task_resources("t", {"db": 2 if left else 1})
        seen = scheduler.resource_details("db")
        assert seen is not None and [each["amount"] for each in seen["holders"]] == [1] * left


def test_a_resource_without_a_limit_has_one_and_one_that_nobody_knows_is_none(scheduler: Scheduler) -> None:
    assert scheduler.resource_details("db") is None
    scheduler.add_task(worker="w", task_id="t", resources={"db": 1})
    seen = scheduler.resource_details("db")
    assert seen is not None and (seen["limit"], seen["has_limit"], seen["n_waiters"]) == (1, False, 1)
    scheduler.update_resources(idle=0)
    idle = scheduler.resource_details("idle")
    assert idle is not None and (idle["limit"], idle["has_limit"], idle["holders"]) == (0, True, [])


def test_tasks_of_paused_families_and_refused_ones_still_wait(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="w", task_id="refused", family="G", module="m", resources={"db": 1})
    scheduler.get_work(worker="w")
    scheduler.refuse_tasks("w", ["refused"], reason="no module m")
    scheduler.add_task(worker="w", task_id="paused", family="F", module="m", resources={"db": 1})
    scheduler.pause_family("F")
    seen = scheduler.resource_details("db")
    assert seen is not None
    assert {each["task_id"] for each in seen["waiters"]} == {"paused", "refused"}

"""A task waits until every task that it depends on is DONE.

Deps are named by id, before or after they are added themselves. What stands above a task in the graph shows in its
upstream status: a dep that has failed, or was disabled, or that nobody has added. Deps that are given again replace
the former ones, and a task that finds out while it runs that it needs more goes back to PENDING with these new deps.
"""

from __future__ import annotations

from broker_sched import Scheduler


def upstream(scheduler: Scheduler, status: str) -> set[str]:
    """The PENDING tasks with this upstream status."""
    return set(scheduler.task_list("PENDING", status))


def test_a_task_is_not_handed_out_before_its_deps_are_done(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="last", deps=["first"])
    scheduler.add_task(worker="w", task_id="first")
    assert scheduler.get_work(worker="w")["task_id"] == "first"
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="w", task_id="first", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "last"


def test_a_task_waits_for_all_of_its_deps(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="last", deps=["a", "b"])
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="w", task_id="b", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "last"


def test_a_dep_that_nobody_has_added_keeps_the_task_waiting_until_it_is_done(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", deps=["nobody's"])
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="w", task_id="nobody's", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_failed_dep_shows_in_the_upstream_status_of_all_below_it(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="b", deps=["a"])
    scheduler.add_task(worker="w", task_id="c", deps=["b"])
    scheduler.add_task(worker="w", task_id="a", status="FAILED")
    assert upstream(scheduler, "UPSTREAM_FAILED") == {"b", "c"}


def test_deps_that_are_given_again_replace_the_former_ones(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", deps=["former"])
    scheduler.add_task(worker="w", task_id="a", deps=["later"])
    scheduler.add_task(worker="w", task_id="later", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_running_task_that_finds_new_deps_waits_for_them(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    scheduler.add_task(worker="w", task_id="found", status="PENDING")
    scheduler.add_task(worker="w", task_id="a", status="PENDING", new_deps=["found"])
    assert scheduler.get_work(worker="w")["task_id"] == "found"
    scheduler.add_task(worker="w", task_id="found", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "a"

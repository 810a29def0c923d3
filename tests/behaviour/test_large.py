"""Long lists of deps and dependents are worked through in parts, with the same result as at once.

A script that touches 20,000 tasks would hold up everybody. So it does a part, and leaves the rest as deferred steps
to the calls that follow. What can be seen from outside is right at every moment in between.
"""

import pytest

from broker_sched.scheduler.operations import tasks as task_operations

MANY = 1200  # several parts, and more than a set that Redis scans whole


def names(prefix, count=MANY):
    return [f"{prefix}_{number}" for number in range(count)]


def test_all_dependents_of_a_task_become_ready_when_it_is_done(scheduler):
    scheduler.add_task(worker="w", task_id="hub")
    for name in names("leaf", 600):
        scheduler.add_task(worker="w", task_id=name, deps=["hub"])
    assert scheduler.get_work(worker="w")["task_id"] == "hub"
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="w", task_id="hub", status="DONE")
    handed = {scheduler.get_work(worker="w")["task_id"] for _ in range(600)}
    assert handed == set(names("leaf", 600))


def test_a_task_with_a_long_list_of_deps_waits_for_every_one(scheduler, clock):
    scheduler.add_task(worker="w", task_id="wrapper", family="W", deps=names("dep"), priority=3)
    assert len(scheduler.dep_graph("wrapper")) == MANY + 1
    for name in names("dep")[:-1]:
        scheduler.add_task(worker="w", task_id=name, status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] is None
    scheduler.add_task(worker="w", task_id=names("dep")[-1], status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "wrapper"


def test_a_long_list_of_deps_is_replaced_and_cleared(scheduler):
    scheduler.add_task(worker="w", task_id="wrapper", family="W", deps=names("old"))
    scheduler.add_task(worker="w", task_id="wrapper", family="W", deps=names("new"))
    assert set(scheduler.dep_graph("wrapper")) == {"wrapper", *names("new")}
    scheduler.add_task(worker="w", task_id="wrapper", family="W", deps=["one"])
    assert set(scheduler.dep_graph("wrapper")) == {"wrapper", "one"}
    scheduler.add_task(worker="w", task_id="wrapper", family="W", deps=[])
    assert scheduler.get_work(worker="w")["task_id"] == "wrapper"


def test_new_deps_add_to_a_long_list(scheduler):
    scheduler.add_task(worker="w", task_id="wrapper", family="W", deps=["one"])
    scheduler.add_task(worker="w", task_id="wrapper", family="W", new_deps=names("more"))
    assert set(scheduler.dep_graph("wrapper")) == {"wrapper", "one", *names("more")}


def test_placeholders_of_a_long_list_carry_the_priority_and_are_claimed(scheduler, clock):
    scheduler.add_task(worker="w", task_id="wrapper", family="W", deps=names("dep"), priority=7)
    shown = scheduler.task_list(status="UNKNOWN")
    assert len(shown) == MANY
    assert {task["priority"] for task in shown.values()} == {7}
    clock.advance(50)
    scheduler.ping(worker="w")
    clock.advance(50)
    scheduler.prune()
    clock.advance(700)
    scheduler.ping(worker="w")
    assert len(scheduler.task_list(status="UNKNOWN")) == MANY


def test_raising_a_priority_reaches_a_long_list_of_deps(scheduler):
    for name in names("dep", 700):
        scheduler.add_task(worker="w", task_id=name)
    scheduler.add_task(worker="w", task_id="wrapper", family="W", deps=names("dep", 700))
    scheduler.add_task(worker="w", task_id="wrapper", priority=9)
    assert {task["priority"] for task in scheduler.task_list(status="PENDING").values()} == {9}


def test_the_tasks_of_a_dead_worker_are_failed_retried_and_removed(scheduler, clock):
    for name in names("task", 500):
        scheduler.add_task(worker="owner", task_id=name)
    for _ in range(300):
        scheduler.get_work(worker="owner")
    clock.advance(61)
    scheduler.prune()
    assert len(scheduler.task_list(status="FAILED")) == 300
    clock.advance(601)
    scheduler.prune()
    assert scheduler.task_list() == {}
    assert scheduler.worker_list() == []


def test_what_a_dying_caller_leaves_behind_is_worked_off_by_others(scheduler, monkeypatch):
    scheduler.add_task(worker="w", task_id="hub")
    for name in names("leaf", 600):
        scheduler.add_task(worker="w", task_id=name, deps=["hub"])
    monkeypatch.setattr(task_operations, "MAX_DEFERRED_CALLS", 0)  # the caller dies right after its first script
    scheduler.add_task(worker="w", task_id="hub", status="DONE")
    left = scheduler._client.llen(scheduler.namespace.key("deferred_steps"))
    assert left > 0
    handed = set()
    while len(handed) < 600:
        task_id = scheduler.get_work(worker="w")["task_id"]
        assert task_id is not None
        handed.add(task_id)
    assert scheduler._client.llen(scheduler.namespace.key("deferred_steps")) == 0


def test_a_task_is_not_handed_out_while_news_of_its_undone_dep_is_on_the_way(scheduler, clock, monkeypatch):
    scheduler.add_task(worker="w", task_id="hub", status="DONE")
    for name in names("leaf", 600):
        scheduler.add_task(worker="w", task_id=name, deps=["hub"])
    clock.advance(11)
    monkeypatch.setattr(task_operations, "MAX_DEFERRED_CALLS", 0)
    scheduler.add_task(worker="w", task_id="hub", runnable=False)  # PENDING again; most leaves don't know yet
    assert scheduler.get_work(worker="w")["task_id"] == "hub"
    assert scheduler.get_work(worker="w")["task_id"] is None


@pytest.mark.parametrize("size", [200, 700])
def test_a_worker_with_many_runner_sets_leaves_them_all(scheduler, clock, size):
    for number in range(size):
        scheduler.add_task(worker=f"other_{number % 40}", task_id=f"task_{number}")
        scheduler.add_task(worker="shared", task_id=f"task_{number}")
    assert scheduler.count_pending(worker="shared")["n_pending_tasks"] == size
    scheduler.disable_worker("shared")
    counts = scheduler.count_pending(worker="other_0")
    assert counts["n_unique_pending"] == counts["n_pending_last_scheduled"] == counts["n_pending_tasks"]

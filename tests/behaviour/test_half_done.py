"""What a caller left half done when it died, and what others do in the meantime.

Deferred steps belong to nobody: when their caller is killed, the next call goes on with them. These tests stop a
caller at a chosen point, and let others act on the same tasks before the rest is done.
"""

import pytest

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check
from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.operations import OPERATIONS


def names(prefix, count):
    return [f"{prefix}_{number}" for number in range(count)]


def begin(scheduler, method, **arguments):
    """Carry out the method up to its main script, as a caller does that then dies. Returns that script's reply."""
    steps = OPERATIONS[method](scheduler.namespace, **check(METHODS[method], arguments))
    reply = None
    while True:
        step = steps.send(reply)
        reply = scheduler._run(step)
        if step.script == method:
            return reply


def run_deferred(scheduler):
    while scheduler._run(Call("run_deferred", budget="80")):
        pass


def deps_of(scheduler, task_id):
    return set(scheduler.dep_graph(task_id)) - {task_id}


def waiting(scheduler):
    return scheduler._client.lrange(scheduler.namespace.key("deferred_steps"), 0, -1)


def test_a_wide_task_and_its_deps_may_be_removed_together(scheduler, clock):
    deps = names("dep", 400)
    scheduler.add_task(worker="w", task_id="wide", family="W", deps=deps)
    for dep in deps:
        scheduler.add_task(worker="w", task_id=dep, status="DONE")
    for _ in range(3):
        clock.advance(2000)
        scheduler.prune()
    assert scheduler.task_list() == {}


def test_a_dep_of_a_removed_wide_task_may_change_before_the_edge_is_dropped(scheduler, clock):
    deps = names("dep", 400)
    scheduler.add_task(worker="dead", task_id="wide", family="W", deps=deps)
    for dep in deps:
        scheduler.add_task(worker="w", task_id=dep, status="DONE")
        scheduler.add_task(worker="w", task_id=f"above_{dep}", deps=[dep])
    for _ in range(2):
        clock.advance(2000)
        scheduler.ping(worker="w")
        scheduler._run(Call("prune", budget="100"))
        run_deferred_all_but_unlinking(scheduler)
    assert waiting(scheduler)[0].startswith("unlink"), "the test must come in between"
    for dep in deps[:5]:
        scheduler.add_task(worker="w", task_id=dep, status="PENDING", resources={"r": 1})
    run_deferred(scheduler)
    assert scheduler.count_pending(worker="w")["n_pending_tasks"] == 405


def run_deferred_all_but_unlinking(scheduler):
    while (deferred_steps := waiting(scheduler)) and not deferred_steps[0].startswith("unlink"):
        scheduler._run(Call("run_deferred", budget="10"))


@pytest.fixture
def busy(scheduler):
    """A scheduler with so much left to do that what comes now stays undone."""
    for prefix in "pq":
        for name in names(prefix, 400):
            scheduler.add_task(worker="w", task_id=name, deps=[f"{prefix}_hub"])
    for prefix in "pq":
        begin(scheduler, "add_task", worker="w", task_id=f"{prefix}_hub", status="DONE")
    return scheduler


def test_a_task_waits_for_its_staged_deps_whatever_else_it_is_given(busy):
    busy.add_task(worker="w", task_id="wide", family="W", deps=names("old", 150), priority=9)
    run_deferred(busy)
    busy.add_task(worker="w", task_id="done", status="DONE")
    for prefix in "rs":
        for name in names(prefix, 400):
            busy.add_task(worker="w", task_id=name, deps=[f"{prefix}_hub"])
    for prefix in "rs":
        begin(busy, "add_task", worker="w", task_id=f"{prefix}_hub", status="DONE")
    begin(busy, "add_task", worker="w", task_id="wide", family="W", deps=names("new", 200))
    assert any(deferred_step.startswith("link") for deferred_step in waiting(busy)), "the deps must not be read in yet"
    begin(busy, "add_task", worker="w", task_id="wide", family="W", new_deps=["done"])
    assert busy.get_work(worker="w")["task_id"] != "wide"
    run_deferred(busy)
    assert deps_of(busy, "wide") == {*names("new", 200), "done"}
    assert busy.task_list(status="PENDING", upstream_status="")["wide"]["status"] == "PENDING"


def test_new_staged_deps_come_on_top_of_those_not_read_in_yet(busy):
    begin(busy, "add_task", worker="w", task_id="wide", family="W", deps=names("first", 1000))
    begin(busy, "add_task", worker="w", task_id="wide", family="W", new_deps=names("second", 151))
    begin(busy, "add_task", worker="w", task_id="wide", family="W", new_deps=names("third", 152))
    run_deferred(busy)
    assert deps_of(busy, "wide") == {*names("first", 1000), *names("second", 151), *names("third", 152)}


def test_staged_deps_replace_those_not_read_in_yet(busy):
    begin(busy, "add_task", worker="w", task_id="wide", family="W", deps=names("first", 300))
    begin(busy, "add_task", worker="w", task_id="wide", family="W", new_deps=names("second", 151))
    begin(busy, "add_task", worker="w", task_id="wide", family="W", deps=names("third", 152))
    run_deferred(busy)
    assert deps_of(busy, "wide") == set(names("third", 152))


def test_a_task_removed_while_its_deps_are_staged_leaves_nothing(busy, clock):
    begin(busy, "add_task", worker="dead", task_id="wide", family="W", deps=names("first", 300))
    begin(busy, "add_task", worker="dead", task_id="wide", family="W", new_deps=names("second", 151))
    for _ in range(3):
        clock.advance(2000)
        busy.prune()
    assert list(busy._client.scan_iter(match=f"{busy.namespace.prefix}staged:*")) == []


def test_the_best_task_is_not_passed_over_when_those_before_it_turn_out_to_wait(scheduler):
    """In the starvation guard, which reads a ready queue in pages, while news of an undone dep is on the way."""
    contested = {"worker": "w", "resources": {"r": 1}}
    scheduler.add_task(worker="v", task_id="dep", status="DONE")
    for name in names("plain", 210):
        scheduler.add_task(worker="w", task_id=name, deps=["dep"])
    for name in names("waits", 21):
        scheduler.add_task(task_id=name, deps=["dep"], priority=9, **contested)
    for name, priority in (("first", 8), ("second", 7), ("third", 6)):
        scheduler.add_task(task_id=name, priority=priority, **contested)
    scheduler.add_task(worker="w", task_id="other", priority=1, resources={"r": 1, "s": 1})
    with_no_cooldown(scheduler)
    begin(scheduler, "add_task", worker="v", task_id="dep", status="PENDING")
    assert scheduler.get_work(worker="w")["task_id"] == "first"


def with_no_cooldown(scheduler):
    scheduler._client.hset(scheduler.namespace.key("config"), "stable_done_cooldown_secs", "0")


def test_a_task_with_many_deps_is_not_handed_out_before_it_is_told_that_one_is_to_be_run_again(scheduler, clock):
    for name in names("first", 400):
        scheduler.add_task(worker="w", task_id=name, deps=["hub"])
    deps = ["hub", *names("dep", 250)]
    scheduler.add_task(worker="w", task_id="wide", family="W", deps=deps, priority=9)
    for dep in deps:
        scheduler.add_task(worker="other", task_id=dep, status="DONE")
    clock.advance(1000)
    begin(scheduler, "add_task", worker="other", task_id="hub", status="PENDING")
    assert waiting(scheduler)[0].startswith("tell_dependents"), "the wide task must not be told yet"
    assert "wide" not in begin(scheduler, "get_work", worker="w")

"""With budgets of a step or two, and callers that never wait for their own, nearly everything is still to be done
when the next call comes. No task may run before its deps all the same, and in the end every index is right."""

import random

import pytest

from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.operations import tasks as task_operations
from tests.nightly import by_night
from tests.simulation.small_budgets import unmet_deps, use_small_budgets

TASKS = [f"T_{number}" for number in range(24)]
WORKERS = ["w0", "w1", "w2"]


@pytest.fixture
def hasty(scheduler_factory, monkeypatch):
    """A scheduler that leaves almost all of its deferred steps to later calls."""
    use_small_budgets(monkeypatch)
    monkeypatch.setattr(task_operations, "MAX_DEFERRED_CALLS", 0)
    return scheduler_factory(retry_delay=5, remove_delay=20, worker_disconnect_delay=30, stable_done_cooldown_secs=0)


def random_call(chance, scheduler, clock, running):
    """One random call; returns the worker, and what get_work handed out. Most tasks depend on a few hubs."""
    worker, number, kind = chance.choice(WORKERS), chance.randrange(len(TASKS)), chance.random()
    hub = chance.choice(TASKS[:3])
    if kind < 0.3:
        below = TASKS[:number]
        deps = {*chance.sample(below, min(len(below), chance.choice([0, 0, 1, 5]))), *TASKS[: min(number, 2)]}
        priority = chance.choice([0, 0, 5])
        scheduler.add_task(worker=worker, task_id=TASKS[number], family="T", deps=sorted(deps), priority=priority)
    elif kind < 0.45 and running:
        task_id, runner = running.popitem()
        scheduler.add_task(worker=runner, task_id=task_id, status=chance.choice(["DONE", "DONE", "FAILED"]))
    elif kind < 0.6:
        status = chance.choice(["DONE", "DONE", "DONE", "PENDING", "FAILED", "DISABLED"])
        scheduler.add_task(worker=worker, task_id=hub, family="T", status=status, runnable=False)
    elif kind < 0.63:
        clock.advance(chance.choice([1, 6, 12]))
        for _ in range(chance.choice([1, 2])):  # a prune that is broken off
            scheduler._run(Call("prune", budget="3"))
    else:
        return worker, scheduler.get_work(worker=worker, assistant=chance.random() < 0.2)["task_id"]
    return worker, None


@pytest.mark.parametrize("seed", range(by_night(100, 2)))
def test_no_task_runs_before_its_deps_whatever_is_still_to_be_done(hasty, clock, seed, monkeypatch):
    chance = random.Random(seed)
    running = {}
    backlogs = 0
    for _ in range(250):
        worker, handed = random_call(chance, hasty, clock, running)
        backlogs += hasty._client.exists(hasty.namespace.key("deferred_steps"))
        if handed:
            assert unmet_deps(hasty, handed) == {}, handed
            running[handed] = worker
    assert backlogs > 50, "the simulation left too little to later calls to prove anything"
    monkeypatch.setattr(task_operations, "MAX_DEFERRED_CALLS", 10_000)
    assert hasty.verify() == []

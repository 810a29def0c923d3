"""Callers take turns at every script, and each leaves nearly everything to later calls. No task may be handed out
before its deps are DONE, or while its family is paused, and in the end every index is right."""

import json
import random
import re

import pytest

from broker_sched.contract.scheduler_api import METHODS
from broker_sched.contract.validation import check
from broker_sched.errors import InvalidArgument, Superseded
from broker_sched.lua.loader import load, text_of
from broker_sched.redis_backend.commands import Call, Read
from broker_sched.scheduler.operations import OPERATIONS
from tests.nightly import by_night
from tests.simulation.small_budgets import (
    SMALL,
    script_with_small_budgets,
    text_with_small_budgets,
    unmet_deps,
    use_small_budgets,
)

WORKERS = ["a", "b", "c"]
CALLERS = 4
STATUSES = ["PENDING"] * 4 + ["DONE"] * 2 + ["FAILED", "RUNNING", "DISABLED"]


@pytest.fixture
def hasty(scheduler_factory, monkeypatch):
    use_small_budgets(monkeypatch)
    return scheduler_factory(
        remove_delay=30,
        retry_delay=20,
        worker_disconnect_delay=25,
        disable_persist=40,
        retry_count=3,
        stable_done_cooldown_secs=0,
    )


def report(chance, tasks):
    """A random add_task; deps only on tasks before it, so that there are no cycles."""
    number = chance.randrange(len(tasks))
    below, given = tasks[:number], {"task_id": tasks[number], "status": chance.choice(STATUSES)}
    optional = {
        "deps": (0.6, chance.sample(below, chance.randint(0, len(below)))),
        "new_deps": (0.2, chance.sample(below, chance.randint(0, len(below)))),
        "priority": (0.4, chance.randint(0, 4)),
        "resources": (0.3, {chance.choice("xy"): 1}),
        "assistant": (0.1, True),
        "runnable": (0.1, False),
        "owners": (0.2, ["team@x.test"]),
        "module": (0.4, chance.choice("mn")),
        "family": (0.4, chance.choice("FGH")),
    }
    given.update({name: value for name, (share, value) in optional.items() if chance.random() < share})
    if chance.random() < 0.2:
        given.update(family=chance.choice("FG"))
    elif chance.random() < 0.4:
        given.update(batchable=True, family="F", params={"p": str(number), "q": chance.choice("12"), **dated(chance)})
    return given


def refusal(chance, tasks):
    """Of some tasks, which the worker mostly does not run."""
    scope, seconds = chance.choice(["module", "family"]), chance.choice([0, 1, 30])
    return {"task_ids": chance.sample(tasks, min(len(tasks), 3)), "reason": "why", "scope": scope, "seconds": seconds}


def transfer(scheduler, chance):
    """Of a task that runs, or did so last, mostly from the worker that has it."""
    client, key = scheduler._client, scheduler.namespace.key
    task_id = chance.choice(sorted(running(scheduler)) or ["t0"])
    runner, attempt = client.hmget(key("task", task_id), "worker_running", "attempt")
    worker = chance.choice([runner or "a", runner or "b", chance.choice(WORKERS)])
    return {"task_id": task_id, "worker": worker, "to": chance.choice(WORKERS), "attempt": int(attempt or 1)}


def change(chance, tasks):
    """What people do with some tasks."""
    action = chance.choice(["retry", "forgive", "enable", "disable", "done", "stop", "remove"])
    return {"task_ids": chance.sample(tasks, min(len(tasks), 3)), "action": action, "dry_run": chance.random() < 0.1}


def dated(chance):
    """Parameters of which one may be a date; none of those that a batch combines."""
    return chance.choice([{}, {"date": "2024-03-01"}, {"from": "2024-02-29T05", "to": "2024-03"}])


def random_call(scheduler, chance, tasks):
    """A method and its arguments."""
    worker, task = {"worker": chance.choice(WORKERS)}, {"task_id": chance.choice(tasks)}
    amount = {"decrease_resources": {"x": 1}}
    calls = [
        (50, "add_task", worker | report(chance, tasks)),
        (25, "get_work", worker | chance.choice([{}, {}, {}, {"assistant": True}, {"current_tasks": []}])),
        (10, "prune", {}),
        (3, "add_task_batcher", worker | {"task_family": "F", "batched_args": ["p"], "max_batch_size": 3}),
        (1, "disable_worker", worker),
        (3, chance.choice(["forgive_failures", "mark_as_done", "re_enable_task"]), task),
        (2, "add_worker", worker | {"info": {"assistant": chance.random() < 0.5, "workers": 2}}),
        (2, "decrease_running_task_resources", task | amount),
        (4, "ping", worker),
        (4, "refuse_tasks", worker | refusal(chance, tasks)),
        (1, "add_worker", worker | {"info": {"allow_modules": chance.choice([[], ["m"], ["[!m]", ""]])}}),
        (5, "change_tasks", change(chance, tasks)),
        (3, chance.choice(["pause_family", "unpause_family", "unpause_family"]), {"family": chance.choice("FFG")}),
        (10, "transfer_task", {}),
        (1, "forget_worker", worker | {"force": chance.random() < 0.5}),
    ]
    _, method, arguments = chance.choices(calls, [share for share, *_ in calls])[0]
    return method, arguments if method != "transfer_task" else transfer(scheduler, chance)


class Caller:
    """One call on its way, carried out a script at a time."""

    def __init__(self, scheduler, method, arguments):
        self.scheduler = scheduler
        self.steps = OPERATIONS[method](scheduler.namespace, **check(METHODS[method], arguments))
        self.reply = None

    def advance(self):
        """The next script or read. False when the call is over."""
        try:
            step = self.steps.send(self.reply)
        except (StopIteration, InvalidArgument, Superseded):  # of a transfer
            return False
        self.reply = self.carry_out(step)
        return True

    def carry_out(self, step):
        if isinstance(step, Read):
            return self.scheduler._read(step.commands)
        if step.script != "get_work":
            return self.scheduler._run(step)
        before = running(self.scheduler)
        reply = self.scheduler._run(step)
        for task_id in running(self.scheduler) - before:
            assert unmet_deps(self.scheduler, task_id) == {}, f"{task_id} was handed out too early"
            assert not is_paused(self.scheduler, task_id), f"{task_id} was handed out, and its family is paused"
        return reply


def is_paused(scheduler, task_id):
    client, namespace = scheduler._client, scheduler.namespace
    paused = json.loads(client.hget(namespace.key("config"), "paused_families") or "{}")
    return client.hget(namespace.key("task", task_id), "family") in paused


def running(scheduler):
    client, namespace = scheduler._client, scheduler.namespace
    families = client.smembers(namespace.key("families"))
    listings = [namespace.key("tasks", state, each) for state in ("RUNNING", "BATCH_RUNNING") for each in families]
    return {client.hget(namespace.key("ids"), n) for listing in listings for n in client.zrange(listing, 0, -1)}


@pytest.mark.parametrize("seed", range(by_night(400, 5)))
def test_callers_that_take_turns_never_hand_out_a_task_too_early(hasty, clock, seed):
    chance = random.Random(seed)
    tasks = [f"t{number}" for number in range(chance.choice([6, 14]))]
    callers = []
    for _ in range(chance.choice([30, 80, 160])):
        if chance.random() < 0.12:
            clock.advance(chance.choice([1, 10, 31, 60]))
        if len(callers) < CALLERS and chance.random() < 0.6:
            callers.append(Caller(hasty, *random_call(hasty, chance, tasks)))
        if callers:
            caller = chance.choice(callers)
            if not caller.advance():
                callers.remove(caller)
    for caller in callers:
        while caller.advance():
            pass
    while hasty._run(Call("run_deferred", budget="50")):
        pass
    assert hasty.verify() == []


def test_every_budget_is_made_small():
    files = {origin.split(":")[0] for name in ("add_task", "get_work", "prune") for origin in load(name).origins}
    sources = "".join(map(text_of, files))
    assert [name for name, old, _ in SMALL if not has_constant(sources, name, old)] == []
    small = "".join(map(text_with_small_budgets, files))
    assert script_with_small_budgets("add_task").sha != load("add_task").sha
    assert [name for name, old, _ in SMALL if has_constant(small, name, old)] == []


def has_constant(source, name, value):
    return re.search(rf"^local {name} = {value}\b", source, re.MULTILINE) is not None

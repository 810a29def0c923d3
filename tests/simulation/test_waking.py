"""Workers that go to wait while tasks become ready: whoever may run something then is woken, however it interleaves."""

import random

import pytest

from broker_sched.redis_backend.commands import Await
from broker_sched.scheduler.operations.work import awaiting
from tests.nightly import by_night

WORKERS = ["own_a", "own_b", "own_c", "assistant"]
TASKS = [f"t{number}" for number in range(8)]


class SimulatedWorker:
    """Asks for work until there is none or its slots are full, then waits until it is woken. A call at a time."""

    def __init__(self, scheduler, name, slots):
        self.scheduler = scheduler
        self.name = name
        self.is_assistant = name.startswith("assistant")
        self.slots = slots
        self.running = []
        self.state = "asks"  # asks → goes to wait → waits → asks; full until a task ends

    def step(self):
        """Its next call."""
        if self.state == "asks":
            task_id = self.scheduler.get_work(worker=self.name, assistant=self.is_assistant)["task_id"]
            if task_id:
                self.running.append(task_id)
                self.state = "full" if len(self.running) >= self.slots else "asks"
            else:
                self.state = "goes to wait"
        elif self.state == "goes to wait":
            is_ready, _ = self.scheduler._run(awaiting(Await(self.name, self.is_assistant, 1000), self.name))
            self.state = "asks" if is_ready else "waits"

    def is_woken(self):
        """Look into its mailbox."""
        if self.state != "waits":
            return False
        key = self.scheduler.namespace.key("wake", self.name)
        if self.scheduler._client.lpop(key) is None:
            return False
        self.state = "asks"
        return True

    def misses(self):
        """What it would be given if it asked."""
        return self.scheduler.get_work(worker=self.name, assistant=self.is_assistant)["task_id"]

    def finish(self, chance):
        """One of its tasks ends."""
        if self.running:
            task_id = self.running.pop(chance.randrange(len(self.running)))
            status = chance.choice(["DONE", "DONE", "FAILED"])
            self.scheduler.add_task(worker=self.name, task_id=task_id, status=status)
            self.state = "asks" if self.state == "full" else self.state


def something_happens(chance, scheduler, clock):
    """What may make a task ready, or just look like it."""
    kind = chance.random()
    task, owner = chance.choice(TASKS), chance.choice(WORKERS[:3])
    if kind < 0.5:
        below = TASKS[: TASKS.index(task)]
        scheduler.add_task(
            worker=owner,
            task_id=task,
            deps=chance.sample(below, min(len(below), chance.choice([0, 0, 1, 2]))),
            priority=chance.choice([0, 0, 5]),
            resources=chance.choice([{}, {"x": 1}, {"x": 1}, {"x": 1, "y": 1}]),
            runnable=chance.random() < 0.9,
            family=chance.choice("FG"),
        )
    elif kind < 0.6:
        scheduler.add_task(worker=owner, task_id=task, status=chance.choice(["DONE", "DISABLED"]), runnable=False)
    elif kind < 0.7:
        scheduler.forgive_failures(task_id=task)
    elif kind < 0.75:
        scheduler.update_resource("x", chance.choice([0, 1, 2]))
    elif kind < 0.8:
        chance.choice([scheduler.pause, scheduler.unpause])()
    elif kind < 0.85:
        chance.choice([scheduler.pause_family, scheduler.unpause_family])(family=chance.choice("FG"))
    elif kind < 0.9:
        scheduler.change_tasks([task], chance.choice(["retry", "enable", "disable", "done", "remove"]))
    elif kind < 0.95:
        clock.advance(6)
        for worker in WORKERS:
            scheduler.ping(worker=worker)
        scheduler.prune()


def settle(workers):
    """Everybody goes on until all are full, or wait and nobody has woken them."""
    while any([worker.is_woken() or worker.state in ("asks", "goes to wait") for worker in workers]):
        for worker in workers:
            worker.step()


def simulate(scheduler, clock, seed):
    """Rounds of random calls, after each of which nobody may wait for what is there. Returns what is missed."""
    chance = random.Random(seed)
    workers = [SimulatedWorker(scheduler, name, chance.choice([1, 2])) for name in WORKERS]
    for _ in range(chance.choice([4, 12])):
        for _ in range(chance.choice([1, 3, 8])):
            act(chance, scheduler, clock, workers)
        settle(workers)
        if missed := [found for worker in workers if worker.state == "waits" and (found := worker.misses())]:
            return missed
    return []


def act(chance, scheduler, clock, workers):
    """One random call."""
    worker, kind = chance.choice(workers), chance.random()
    if kind < 0.4:
        something_happens(chance, scheduler, clock)
    elif kind < 0.6:
        worker.finish(chance)
    elif kind < 0.75:
        worker.is_woken()
    else:
        worker.step()


@pytest.mark.parametrize("first", range(0, by_night(10_000, 100), 50))
def test_no_wake_up_is_lost(redis_url, scheduler_factory, clock, first):
    step = 5 if redis_url.startswith("memory:") else 1  # fakeredis is slow, and the real ones see them all
    for seed in range(first, first + 50, step):
        scheduler = scheduler_factory(retry_delay=5, stable_done_cooldown_secs=0)
        assert simulate(scheduler, clock, seed) == [], f"seed {seed}"

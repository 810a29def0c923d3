"""Workers that may have only some modules, and refuse what they are handed out, however it interleaves: nobody is
handed out what it must not have, and nobody waits for what it may have."""

import random

import pytest

from tests.nightly import by_night
from tests.simulation.test_waking import SimulatedWorker, settle

MODULES, FAMILIES = ("m", "n", "o"), ("F", "G")
FOR_EVER = 3600.0  # the clock does not get that far


class PickyWorker(SimulatedWorker):
    """An assistant with a filter. Now and then it can't load what it gets."""

    def __init__(self, scheduler, name, chance):
        super().__init__(scheduler, name, chance.choice([1, 2]))
        self.is_assistant = True
        self.allowed = chance.choice([MODULES, MODULES, ("m",), ("n", "o")])
        self.refused = set()
        scheduler.add_worker(worker=name, info={"allow_modules": list(self.allowed)})

    def may_have(self, module, family):
        """Whether it may be handed out such a task."""
        return module in self.allowed and not {module, (module, family)} & self.refused

    def refuse(self, chance, tasks):
        """It could not load one that it was handed out just now."""
        if not self.running:
            return
        task_id, scope = self.running.pop(), chance.choice(["module", "family"])
        told = {"worker": self.name, "task_ids": [task_id], "reason": "why", "scope": scope, "seconds": FOR_EVER}
        assert self.scheduler.refuse_tasks(**told) == [task_id]
        module, family = tasks[task_id]
        self.refused.add(module if scope == "module" else (module, family))
        self.state = "asks" if self.state == "full" else self.state


def act(chance, scheduler, clock, workers, tasks):
    """One random call."""
    worker, kind = chance.choice(workers), chance.random()
    if kind < 0.4:
        task_id = f"t{len(tasks)}"
        tasks[task_id] = chance.choice(MODULES), chance.choice(FAMILIES)
        module, family = tasks[task_id]
        more = {"priority": chance.choice([0, 0, 5]), "resources": chance.choice([{}, {}, {"x": 1}])}
        scheduler.add_task(worker="owner", task_id=task_id, module=module, family=family, **more)
    elif kind < 0.5:
        worker.refuse(chance, tasks)
    elif kind < 0.65:
        worker.finish(chance)
    elif kind < 0.7:
        clock.advance(chance.choice([0.5, 3, 40]))
        for each in (*workers, None):
            scheduler.ping(worker=each.name if each else "owner")
        scheduler.prune()
    elif kind < 0.8:
        worker.is_woken()
    elif worker.state != "waits":
        worker.step()


def check(workers, tasks):
    """Nobody has what it must not have had, and nobody waits for what it would be given."""
    for worker in workers:
        for task_id in set(worker.running) - worker.seen:
            assert worker.may_have(*tasks[task_id]), (worker.name, task_id, tasks[task_id])
        worker.seen |= set(worker.running)


@pytest.mark.parametrize("first", range(0, by_night(1000, 50), 50))
def test_everybody_gets_all_that_it_may_have_and_nothing_else(redis_url, scheduler_factory, clock, first):
    step = 5 if redis_url.startswith("memory:") else 1  # fakeredis is slow
    for seed in range(first, first + 50, step):
        chance = random.Random(seed)
        scheduler, tasks = scheduler_factory(retry_delay=5, stable_done_cooldown_secs=0), {}
        scheduler.update_resources(x=2)
        workers = [PickyWorker(scheduler, f"assistant_{index}", chance) for index in range(4)]
        for worker in workers:
            worker.seen = set()
        for _ in range(chance.choice([4, 12])):
            for _ in range(chance.choice([1, 3, 8])):
                act(chance, scheduler, clock, workers, tasks)
                check(workers, tasks)
            settle(workers)
            check(workers, tasks)
            for worker in workers:
                assert worker.state != "waits" or not worker.misses(), f"seed {seed}: {worker.name}"
        assert scheduler.verify() == [], f"seed {seed}"

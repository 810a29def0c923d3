"""With as many slots as /scale says all of them run something, and one more would be given nothing."""

import random
from collections import Counter

import pytest

from broker_sched.scheduler.metrics_reading import read_scale
from tests.nightly import by_night

FAMILIES = ("F", "G", "B")  # of B there are batches
NEEDS = ({}, {}, {"db": 1}, {"db": 2}, {"gpu": 1}, {"db": 1, "gpu": 1}, {"io": 0.5}, {"io": 9}, {"db": 0.5, "io": 1})


class Situation:
    """A scheduler with tasks at random: deps, scarce resources, pauses, external tasks, some that run already."""

    def __init__(self, scheduler, seed):
        self.scheduler, self.chance = scheduler, random.Random(seed)
        chance = self.chance
        scheduler.update_resources(db=chance.randint(1, 6), gpu=chance.randint(1, 3), io=chance.choice([1, 2.5]))
        self.register("planner")
        has_batches = chance.random() < 0.4
        for number in range(chance.randint(5, 40)):
            self.add(number, has_batches)
        for number in range(chance.randint(0, 4)):
            scheduler.get_work(worker=f"early {number}", assistant=True)
        if chance.random() < 0.3:
            scheduler.pause_family(chance.choice(FAMILIES))
        if chance.random() < 0.1:
            scheduler.pause()

    def register(self, worker):
        """Let the worker take tasks of B in batches."""
        self.scheduler.add_task_batcher(worker=worker, task_family="B", batched_args=["x"], max_batch_size=3)

    def add(self, number, has_batches):
        chance = self.chance
        family = chance.choice(FAMILIES if has_batches else FAMILIES[:2])
        # What wants resources and may be batched is batched or not by what is free just then.
        needs = {} if family == "B" else chance.choice(NEEDS)
        self.scheduler.add_task(
            worker=chance.choice(["planner", "planner", "other"]) if family != "B" else "planner",
            task_id=f"t{number}",
            family=family,
            params={"x": str(number), "y": "12"[number % 2]},
            batchable=family == "B",
            resources=needs,
            priority=chance.choice([0, 0, 0, 5, -3]),
            deps=[f"t{chance.randrange(number)}"] if number and chance.random() < 0.2 else [],
            runnable=chance.random() < 0.9 or family == "B",
        )

    def demand(self, families=None):
        return self.scheduler.drive(read_scale(self.scheduler.namespace, families))


@pytest.mark.parametrize("first", range(0, by_night(2000, 60), 20))
def test_so_many_slots_run_something_and_one_more_would_not(scheduler_factory, first):
    for seed in range(first, first + 20):
        situation = Situation(scheduler_factory(), seed)
        demand, by_family = situation.demand(), {each: situation.demand([each]) for each in FAMILIES}
        assert demand.is_exact and sum(each.wanted for each in by_family.values()) == demand.wanted, seed
        given = Counter()
        for number in range(demand.runnable):
            situation.register(f"slot {number}")
            work = situation.scheduler.get_work(worker=f"slot {number}", assistant=True)
            assert work["task_id"] or work.get("batch_task_ids"), (seed, number, demand)
            given[work["task_family"]] += 1
        situation.register("one more")
        more = situation.scheduler.get_work(worker="one more", assistant=True)
        assert not more["task_id"] and not more.get("batch_task_ids"), (seed, demand, more)
        assert given == Counter({family: each.runnable for family, each in by_family.items() if each.runnable}), seed


def test_what_keeps_tasks_from_running_is_told_of_each_once(scheduler_factory):
    for seed in range(by_night(500, 10)):
        situation = Situation(scheduler_factory(), seed + 10_000)
        demand = situation.demand()
        statuses = Counter(task["status"] for task in situation.scheduler.task_list(limit=False).values())
        runnable_now = 0  # no worker has an idle slot but those who have asked, and each of those has one task
        blocked = sum(count for reason, count in demand.blocked.items() if reason != "failed")
        idle = situation.scheduler.overview()["workers"]
        runnable_now = max(0, int(idle["slots"]) - idle["slots_in_use"])
        assert blocked <= statuses["PENDING"] <= blocked + runnable_now, (seed, demand, statuses)

"""Refusals, attempts, batches, workers that are new under an old name, and what people do, all at once: after each call
every index is right."""

import contextlib
import random

import pytest

from broker_sched.errors import InvalidArgument, NameTaken, Superseded
from tests.nightly import by_night

WORKERS, TASKS = ("a", "b", "c"), [f"t{number}" for number in range(12)]


class Fleet:
    """Workers of one namespace: what each was handed out, and the id of its latest start."""

    def __init__(self, scheduler, chance):
        self.scheduler, self.chance, self.runs = scheduler, chance, []
        self.starts = dict.fromkeys(WORKERS, "first")
        for worker in WORKERS:
            allowed = chance.choice([[], ["m"], ["*"]])
            info = {"workers": chance.choice([1, 3]), "allow_modules": allowed}
            scheduler.add_worker(worker=worker, info=info, start_id="first")
            scheduler.add_task_batcher(worker=worker, task_family="F", batched_args=["p"])

    def schedule(self, worker):
        """A task that may be batched, depend on others, and want a resource."""
        chance, number = self.chance, self.chance.randrange(len(TASKS))
        more = {"priority": chance.choice([0, 0, 3]), "resources": chance.choice([{}, {}, {"x": 1}])}
        more["deps"] = [dep for dep in TASKS[:number] if chance.random() < 0.15]
        more["params"] = {"p": str(number), "q": chance.choice("12")}
        more["batchable"], more["module"] = chance.random() < 0.6, chance.choice("mn")
        self.scheduler.add_task(worker=worker, task_id=TASKS[number], family=chance.choice("FG"), **more)

    def ask(self, worker):
        """For work. Mostly a batch is begun."""
        chance = self.chance
        work = self.scheduler.get_work(worker=worker, assistant=chance.random() < 0.4, start_id=self.starts[worker])
        ids = work.get("batch_task_ids") or [work["task_id"]]
        if ids != [None]:
            self.runs.append((worker, ids, work["attempt"]))
        if work.get("batch_id") and chance.random() < 0.7:
            begun = {"task_id": f"all_{work['batch_id']}", "attempt": work["attempt"], "family": "F"}
            self.scheduler.add_task(worker=worker, status="RUNNING", batch_id=work["batch_id"], **begun)
            self.runs.append((worker, [begun["task_id"]], work["attempt"]))

    def report(self, _):
        """What became of a run, now and then for a second time."""
        if not self.runs:
            return
        chance, scheduler = self.chance, self.scheduler
        worker, ids, attempt = run = chance.choice(self.runs)
        if chance.random() < 0.8:
            self.runs.remove(run)
        what = chance.choice(["refuse", "refuse", "release", "decrease", "wait", "DONE", "FAILED", "RUNNING"])
        told = {"task_id": chance.choice(ids), "attempt": attempt}
        if what == "refuse":
            scope, seconds = chance.choice(["module", "family"]), chance.choice([0, 3, 30])
            told = {"reason": "why" * chance.choice([1, 40]), "scope": scope, "seconds": seconds, "attempt": attempt}
            scheduler.refuse_tasks(worker=worker, task_ids=ids, **told)
        elif what == "release":
            scheduler.release_task(worker=worker, **told)
        elif what == "decrease":
            scheduler.decrease_running_task_resources(decrease_resources={"x": 0.5}, **told)
        elif what == "wait":
            scheduler.add_task(worker=worker, status="PENDING", new_deps=[chance.choice(TASKS)], **told)
        else:
            scheduler.add_task(worker=worker, status=what, expl=chance.choice([None, '"why"']), **told)

    def transfer(self, to):
        """A run that goes on elsewhere, now and then one that has ended, or that went there already."""
        if self.runs:
            run = self.chance.choice(self.runs)
            worker, ids, attempt = run
            with contextlib.suppress(InvalidArgument):
                start_id = self.chance.choice([None, self.starts[to]])
                moved = {"task_id": ids[0], "attempt": attempt, "worker": worker, "to": to}
                self.scheduler.transfer_task(**moved, start_id=start_id)
                self.runs.append((to, ids, attempt))

    def start_anew(self, worker):
        """Another process of this name."""
        self.starts[worker] = f"start {self.chance.random()}"
        self.scheduler.add_worker(worker=worker, info={}, start_id=self.starts[worker])

    def operate(self, worker):
        """What people do: nothing that they pause may be handed out, and what they are told first is what is done."""
        chance, scheduler = self.chance, self.scheduler
        what = chance.choice(["pause", "unpause", "change", "change", "change", "forget"])
        if what == "forget":
            scheduler.forget_worker(worker, force=chance.random() < 0.5)
        elif what == "change":
            action = chance.choice(["retry", "forgive", "enable", "disable", "done", "stop", "remove"])
            asked = chance.sample(TASKS, 4), action
            assert scheduler.change_tasks(*asked, dry_run=True) == scheduler.change_tasks(*asked)
        else:
            chance.choice([scheduler.pause_family, scheduler.unpause_family])(chance.choice("FG"))


@pytest.mark.parametrize("first", range(0, by_night(400, 10), 10))
def test_every_index_is_right_whatever_meets(redis_url, scheduler_factory, clock, first):
    for seed in range(first, first + 10, 10 if redis_url.startswith("memory:") else 1):  # fakeredis is slow
        chance = random.Random(seed)
        options = {"retry_delay": 5, "worker_disconnect_delay": 20, "remove_delay": 15, "stable_done_cooldown_secs": 0}
        fleet = Fleet(scheduler_factory(retry_count=chance.choice([2, 9]), disable_persist=30, **options), chance)
        fleet.scheduler.update_resources(x=1)
        for step in range(80):
            acts = [fleet.schedule, fleet.ask, fleet.report, fleet.transfer, fleet.start_anew, fleet.operate]
            act = chance.choices(acts, [6, 5, 5, 2, 1, 2])[0]
            with contextlib.suppress(NameTaken, Superseded):
                act(chance.choice(WORKERS))
            if chance.random() < 0.1:
                clock.advance(chance.choice([0.3, 2, 6, 25]))
                fleet.scheduler.prune()
            assert fleet.scheduler.verify() == [], f"seed {seed}, step {step}"

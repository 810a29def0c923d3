"""What `why` names is what keeps a task back: when that is gone, the task runs, or `why` names something else.

A situation is made at random: deps, rings of deps, workers that refuse, are silent, disabled or busy, failures, limits,
batches, pauses, removed tasks, deferred steps that nobody has done. Then a task is picked, and what `why` names first
is removed, by what its sentence implies, again and again.
"""

import random

import pytest
import redis

from broker_sched import BrokerSchedError
from broker_sched.contract.why_replies import WHY_CODES
from tests.behaviour.test_half_done import begin, run_deferred
from tests.conftest import schedulers
from tests.nightly import by_night
from tests.simulation.small_budgets import use_small_budgets

OPTIONS = {"retry_delay": 50, "retry_count": 2, "disable_persist": 400, "stable_done_cooldown_secs": 0}
TASKS = [f"t{number}" for number in range(14)]
FAMILIES = ("F", "G", "B")  # of B there are batches
MOST_STEPS = 100
# What a worker that asks may be given all the same: nobody stops one from asking for more than it has slots.
MAY_BE_GIVEN = {"ready", "busy"}


class Situation:
    """A scheduler, and what has happened to it."""

    def __init__(self, scheduler, raw, clock, seed):
        self.scheduler, self.raw, self.clock, self.chance = scheduler, raw, clock, random.Random(seed)
        self.workers = {"w0": False, "w1": False, "a0": True}  # whether it asks as an assistant
        self.silent = set()
        self.codes = set()
        scheduler.update_resources(db=2, gpu=1)
        for worker, slots in (("w0", 1), ("w1", 2), ("a0", 1)):
            self.add_worker(worker, workers=slots)
        if self.chance.random() < 0.4:
            self.workers["picky"] = True
            self.add_worker("picky", workers=1, allow_modules=["m*"])

    def add_worker(self, worker, **info):
        """Make a worker known."""
        self.scheduler.add_worker(worker=worker, info={**info, "assistant": self.workers[worker]})
        if not self.workers[worker]:
            told = {"worker": worker, "task_family": "B", "batched_args": ["x"], "max_batch_size": 3}
            self.scheduler.add_task_batcher(**told)

    def some_worker(self):
        return self.chance.choice(sorted(self.workers))

    def described(self, task_id):
        """The same family, module and parameters whenever it is added."""
        number = int(task_id[1:]) if task_id in TASKS else 0
        family = FAMILIES[number % 3]
        return {"family": family, "module": "mn"[number % 2], "params": {"x": task_id}, "batchable": family == "B"}

    def add(self, task_id=None, **more):
        """Schedule a task with some deps."""
        chance = self.chance
        task_id = task_id or chance.choice(TASKS)
        deps = chance.sample([*TASKS, "nobody's"], chance.choice([0, 0, 1, 1, 2, 4]))
        if chance.random() < 0.85:  # mostly no ring
            deps = [dep for dep in deps if dep > task_id]
        needs = chance.choice([{}, {}, {"db": 1}, {"db": 2}, {"gpu": 1, "db": 0.5}, {"gpu": 3}])
        told = {
            **self.described(task_id),
            "worker": chance.choice(["w0", "w1", "w0", "owner"]),
            "task_id": task_id,
            "deps": deps,
            "resources": needs,
            "priority": chance.choice([0, 0, 0, 3, 7]),
            "runnable": chance.random() < 0.9,
        } | more
        deps = told["deps"]
        if chance.random() < 0.1:  # deps that it has no stake in are not made placeholders
            told["assistant"] = True
        if chance.random() < 0.15 or len(deps) > 5:
            begin(self.scheduler, "add_task", **told)  # its caller dies in between
        else:
            self.scheduler.add_task(**told)

    def add_batch(self):
        """Tasks that may go in one batch, and a worker that asks for it."""
        for task_id in TASKS[2::3]:
            told = {"worker": "w1", "task_id": task_id, "deps": [], **self.described(task_id)}
            self.scheduler.add_task(resources={}, priority=9, **told)
        self.ask("w1")

    def end_half_done(self):
        """Whoever did this died in between, and nobody has called since."""
        kind, running = self.chance.random(), sorted(self.running())
        if kind < 0.3:
            self.add(deps=self.chance.sample(TASKS, 6))  # read in later, where budgets are small
        elif kind < 0.6 and running:
            task_id = self.chance.choice(running)
            told = {"worker": self.running()[task_id], "task_id": task_id, "runnable": None}
            begin(self.scheduler, "add_task", status=self.chance.choice(["DONE", "FAILED"]), **told)
        elif kind < 0.9:
            for task_id in TASKS[1:9]:  # more than are told at once, where budgets are small
                self.add(task_id, deps=[TASKS[0]], status="PENDING")
            begin(self.scheduler, "add_task", worker="owner", task_id=TASKS[0], status="DONE")

    def ask(self, worker=None):
        """A worker asks for work, and begins it, or can't load it."""
        worker = worker or self.some_worker()
        if worker in self.silent:
            return
        work = self.scheduler.get_work(worker=worker, assistant=self.workers[worker], host="h")
        handed = work["batch_task_ids"] if "batch_id" in work else [work["task_id"]] if work["task_id"] else []
        if not handed:
            return
        if self.chance.random() < 0.3:
            scope = self.chance.choice(["module", "family"])
            self.scheduler.refuse_tasks(worker=worker, task_ids=handed, reason="No.", scope=scope, seconds=70)
        elif "batch_id" in work and self.chance.random() < 0.8:
            combined = {"task_id": f"all-{work['batch_id']}", "family": "B", "batch_id": work["batch_id"]}
            self.scheduler.add_task(worker=worker, status="RUNNING", **combined)

    def running(self):
        """Task → worker of all that runs."""
        found = {**self.scheduler.task_list(status="RUNNING"), **self.scheduler.task_list(status="BATCH_RUNNING")}
        return {task_id: shown["worker_running"] for task_id, shown in found.items()}

    def end(self, status, task_id=None):
        """A run ends."""
        running = self.running()
        if task_id is None and running:
            task_id = self.chance.choice(sorted(running))
        if task_id is not None:
            worker = running.get(task_id, "owner")
            self.scheduler.add_task(worker=worker, task_id=task_id, status=status, expl="why", runnable=None)

    def pass_time(self, seconds):
        """All that are not silent are heard of meanwhile, and what is due is done."""
        self.clock.advance(seconds)
        for worker in ("owner", *self.workers):
            if worker not in self.silent:
                self.scheduler.ping(worker=worker)
        self.scheduler.prune()

    def change_something(self):
        """One random event."""
        chance, kind = self.chance, self.chance.random()
        if kind < 0.4:
            self.add()
        elif kind < 0.6:
            self.ask()
        elif kind < 0.68:
            self.end(chance.choice(["DONE", "FAILED", "FAILED"]))
        elif kind < 0.74:
            self.add(status=chance.choice(["FAILED", "DISABLED", "DONE"]))
        elif kind < 0.76:
            self.scheduler.disable_worker(worker=self.some_worker())
        elif kind < 0.79:
            action = chance.choice(["disable", "disable", "remove", "retry", "forgive"])
            self.scheduler.change_tasks(task_ids=chance.sample(TASKS, 2), action=action, by="ann")
        elif kind < 0.82:
            self.silent.add(self.some_worker())
        elif kind < 0.9:
            self.pass_time(chance.choice([1, 3, 20, 65, 200]))
        elif kind < 0.92:
            self.scheduler.update_resources(db=chance.choice([0, 1, 2, 5]))
        elif kind < 0.925:
            self.scheduler.pause()
        elif kind < 0.93:
            self.scheduler.pause_family(family=chance.choice(FAMILIES))
        elif kind < 0.99:
            self.add_batch()
        else:
            for _ in range(2):  # who has no stakeholder but this one is removed
                self.silent.update({"w0", "w1"})
                self.pass_time(650)

    def check_that_nobody_is_given(self, reply):
        """Had `why` missed that a worker may have the task, one that asks would be given it.

        Not along with another one, in a batch: that may be a task for which the worker has not signed up.
        """
        runners = list(self.running().values())
        for worker, is_assistant in self.workers.items():
            if worker in self.silent or worker in runners:  # it is busy, or has a slot left at most
                continue
            before = self.snapshot()
            work = self.scheduler.get_work(worker=worker, assistant=is_assistant)
            self.restore(before)
            assert reply["task_id"] not in [work["task_id"], *work.get("batch_task_ids", [])[:1]], (worker, reply)

    def keys(self):
        """All keys of the namespace."""
        return list(self.raw.scan_iter(match=f"{self.scheduler.namespace.prefix}*", count=1000))

    def snapshot(self):
        """All that is in the namespace."""
        keys = self.keys()
        pipeline = self.raw.pipeline(transaction=False)
        for key in keys:
            pipeline.dump(key)
        return dict(zip(keys, pipeline.execute()))

    def restore(self, before):
        """Let the namespace be as it was."""
        pipeline = self.raw.pipeline(transaction=False)
        for key in self.keys():
            pipeline.delete(key)
        for key, value in before.items():
            pipeline.restore(key, 0, value)
        pipeline.execute()

    def remove(self, cause):
        """Do what ends this cause, as its sentence says."""
        REMEDIES[cause["code"]](self, cause)


def schedule(situation, cause):
    """Somebody does what nobody has done so far."""
    task_id = cause["task_id"]
    situation.scheduler.add_task(worker="fixer", task_id=task_id, status="DONE", **situation.described(task_id))


def end_run(situation, cause):
    """The run that the cause is about ends well."""
    situation.end("DONE", cause["task_id"])


def end_batch(situation, cause):
    """The batch ends, which has begun by then."""
    combined = cause["combined"] or f"all-{cause['batch_id']}"
    told = {"worker": cause["worker"], "task_id": combined, "family": "B", "batch_id": cause["batch_id"]}
    situation.scheduler.add_task(status="RUNNING", **told)
    situation.scheduler.add_task(status="DONE", **told)


def retry(situation, cause):
    """By time or by hand."""
    kind = situation.chance.random()
    if kind < 0.4:
        situation.pass_time(max(0, cause["until"] - situation.clock.now) + 0.1)
    elif kind < 0.7:
        situation.scheduler.forgive_failures(task_id=cause["task_id"])
    else:
        situation.scheduler.change_tasks(task_ids=[cause["task_id"]], action="retry")


def enable(situation, cause):
    """By hand, or by time; a disable by a worker ends when the task is done or added again."""
    if cause["by"] == "operator":
        assert cause["author"] == "ann"
        action = situation.chance.choice(["retry", "forgive", "enable", "done"])
        situation.scheduler.change_tasks(task_ids=[cause["task_id"]], action=action)
    elif cause["by"] == "worker":
        situation.scheduler.mark_as_done(task_id=cause["task_id"])
    elif situation.chance.random() < 0.5:
        situation.pass_time(max(0, cause["until"] - situation.clock.now) + 1)
    else:
        situation.scheduler.re_enable_task(task_id=cause["task_id"])


def break_ring(situation, cause):
    """One of the ring needs nothing any more."""
    situation.scheduler.add_task(worker="fixer", task_id=situation.chance.choice(cause["cycle"]), deps=[])


def raise_limit(situation, cause):
    situation.scheduler.update_resources(**{cause["resource"]: cause["wanted"]})


def free_resource(situation, cause):
    """All that hold it end, or the limit is raised."""
    if situation.chance.random() < 0.3:
        situation.scheduler.update_resources(**{cause["resource"]: cause["used"] + cause["wanted"]})
        return
    assert cause["holders"], cause
    assert cause["used"] == sum(each["amount"] for each in cause["holders"]), cause
    for holder in cause["holders"]:
        situation.end("DONE", holder["task_id"])


def add_assistant(situation, cause):
    """A new worker comes that takes what there is."""
    worker = f"new{len(situation.workers)}"
    situation.workers[worker] = True
    situation.add_worker(worker, workers=1)


def end_refusals(situation, cause):
    if situation.chance.random() < 0.5:
        add_assistant(situation, cause)
        return
    untils = [each["until"] for each in cause["workers"] if each["state"] == "refuses"]
    if untils:
        situation.pass_time(max(untils) - situation.clock.now + 0.1)
    else:
        add_assistant(situation, cause)


def free_slot(situation, cause):
    """What the first of them runs ends."""
    worker = cause["workers"][0]["worker"]
    for task_id, runner in situation.running().items():
        if runner == worker:
            situation.end("DONE", task_id)


def let_first_go(situation, cause):
    """The task that goes first is done."""
    assert cause["first"], cause
    situation.end("DONE", cause["first"])


def wait_until_due(situation, cause):
    situation.pass_time(max(0, cause["until"] - situation.clock.now) + 0.1)


def ask_as_told(situation, cause):
    """The worker that is named asks, and is given the task."""
    worker = cause["worker"]
    work = situation.scheduler.get_work(worker=worker, assistant=situation.workers.get(worker, False))
    assert cause["task_id"] in [work["task_id"], *work.get("batch_task_ids", [])], (cause, work)
    if "batch_id" in work:
        combined = {"task_id": f"all-{work['batch_id']}", "family": "B", "batch_id": work["batch_id"]}
        situation.scheduler.add_task(worker=worker, status="RUNNING", **combined)


REMEDIES = {
    "running": end_run,
    "in_batch": end_batch,
    "disabled": enable,
    "cycle": break_ring,
    "missing": schedule,
    "placeholder": schedule,
    "external": schedule,
    "over_limit": raise_limit,
    "failed": retry,
    "refused": end_refusals,
    "no_worker": add_assistant,
    "paused": lambda situation, cause: situation.scheduler.unpause(),
    "family_paused": lambda situation, cause: situation.scheduler.unpause_family(family=cause["family"]),
    "starvation_guard": let_first_go,
    "resource": free_resource,
    "busy": free_slot,
    "postponed": wait_until_due,
    "priority": let_first_go,
    "deferred": lambda situation, cause: run_deferred(situation.scheduler),
    "linking": lambda situation, cause: run_deferred(situation.scheduler),
    "ready": ask_as_told,
}


def identity(cause):
    """What makes a cause another one."""
    return cause["code"], cause["task_id"], cause.get("first"), cause.get("resource"), cause.get("dep")


def run_to_its_end(situation, task_id):
    """Remove what `why` names first, until the task runs or is DONE; or was removed. Returns the codes."""
    removed = None
    for _ in range(MOST_STEPS):
        reply = situation.scheduler.why(task_id)
        assert reply["looked_at"] <= 1000
        assert all(cause["code"] in WHY_CODES and cause["sentence"] for cause in reply["causes"])
        assert removed not in [identity(cause) for cause in reply["causes"]], reply
        if reply["code"] in ("running", "in_batch", "done", "unknown"):
            return reply
        cause = reply["causes"][0]
        situation.codes.add(cause["code"])
        if removed is None and reply["code"] not in MAY_BE_GIVEN:
            situation.check_that_nobody_is_given(reply)
        situation.remove(cause)
        removed = identity(cause)
    raise AssertionError(f"{task_id} does not run after {MOST_STEPS} steps: {reply}")


@pytest.fixture
def raw(real_redis_url):
    with redis.Redis.from_url(real_redis_url) as client:
        yield client


@pytest.fixture
def real_factory(real_redis_url, clock):
    yield from schedulers(real_redis_url, clock)


def play(scheduler, raw, clock, seed):
    """Make a situation, and follow `why` of one of its tasks. Returns the codes that it has given."""
    situation = Situation(scheduler, raw, clock, seed)
    for _ in range(situation.chance.choice([5, 15, 30, 60])):
        situation.change_something()
    situation.end_half_done()
    left = [task_id for task_id in TASKS if scheduler.why(task_id)["code"] not in ("done", "unknown", "running")]
    if left:
        run_to_its_end(situation, situation.chance.choice(left))
    run_deferred(scheduler)
    assert scheduler.verify() == []
    return situation.codes


@pytest.mark.parametrize("first", range(0, by_night(500, 5), 5))
@pytest.mark.parametrize("half", ["whole steps", "steps left to others"])
def test_the_task_runs_or_the_next_reason_is_named_when_what_is_named_is_removed(
    real_factory, raw, clock, monkeypatch, half, first
):
    if half == "steps left to others":
        use_small_budgets(monkeypatch)
    for seed in range(first, first + 5):
        try:
            play(real_factory(**OPTIONS), raw, clock, f"{half} {seed}")
        except (AssertionError, BrokerSchedError) as error:
            raise AssertionError(f"seed {seed}") from error

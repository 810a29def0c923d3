"""No call on the hot path looks at tasks: the same number of Redis commands at 100 pending tasks and at many more.

This is why the scheduler is fast with a large graph: handing out, reporting and counting read indexes that are kept
as statuses change. The test counts every command that Redis carries out for a call, those inside scripts included.
"""

import hashlib
import uuid
from contextlib import closing
from functools import cache

import pytest

from broker_sched import Scheduler
from broker_sched.lua.loader import load
from broker_sched.redis_backend import script_call
from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.operations import operators
from broker_sched.scheduler.operations import tasks as task_operations
from tests.nightly import by_night

MANY = by_night(3000, 1000)  # tasks
SLACK = 10  # a few more tasks run at the second count, and calls look at what runs; a scan would cost hundreds
COUNTED_OUT = {"evalsha", "info", "config|resetstat", "config"}


def commands_of(scheduler, call):
    """How many commands Redis executed for this call, inside scripts included."""
    client = scheduler._client
    client.config_resetstat()
    call()
    stats = client.info("commandstats")
    names = {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}
    return sum(count for name, count in names.items() if name not in COUNTED_OUT)


def flat(number):
    return {}


def layered(number):
    return {"deps": [f"T_{dep}" for dep in range(max(0, number - 13), max(0, number - 10))]}


def with_resources(number):
    return {"resources": {"db": 1}, "priority": number % 7}


def batchable(number):
    return {"batchable": True, "params": {"day": str(number), "kind": "x"}, "family": "B"}


def fill(scheduler, shape, start, stop):
    """Tasks of this shape; among them, assistants' and other workers' tasks, failed, disabled and blocked ones."""
    for number in range(start, stop):
        worker = "B" if number % 5 == 0 else "A"
        kwargs = {"family": "T", "params": {"n": str(number)}, **shape(number)}
        scheduler.add_task(worker=worker, task_id=f"T_{number}", **kwargs)
        if number % 11 == 1:
            scheduler.add_task(worker=worker, task_id=f"F_{number}", status="FAILED")
        if number % 11 == 2:
            scheduler.add_task(worker=worker, task_id=f"D_{number}", status="DISABLED")
            scheduler.add_task(worker=worker, task_id=f"U_{number}", deps=[f"D_{number}"])


def hot_calls(scheduler, tag):
    """The hot calls, each to be counted; what they hand out is reported, so that the next count starts alike."""

    def cycle(**kwargs):
        work = scheduler.get_work(**kwargs)
        assert work["task_id"] or "batch_id" in work
        return work

    return {
        "get_work": lambda: cycle(worker="A"),
        "get_work with current_tasks": lambda: cycle(worker="B", current_tasks=[f"gone_{tag}"]),
        "get_work as assistant": lambda: cycle(worker="H", assistant=True),
        "count_pending": lambda: scheduler.count_pending(worker="A"),
        "ping": lambda: scheduler.ping(worker="A"),
        "add_task": lambda: scheduler.add_task(worker="A", task_id=f"new_{tag}", family="T", deps=["D_2", "F_1"]),
        "add_task again": lambda: scheduler.add_task(worker="B", task_id=f"new_{tag}", family="T"),
        "add_task DONE": lambda: scheduler.add_task(worker="A", task_id=f"new_{tag}", status="DONE"),
    }


@pytest.mark.parametrize("shape", [flat, layered, with_resources, batchable], ids=lambda shape: shape.__name__)
def test_a_call_costs_the_same_at_100_and_at_many_pending_tasks(real_scheduler, shape):
    scheduler = real_scheduler
    scheduler.update_resources(db=10**6)
    scheduler.add_task_batcher(worker="A", task_family="B", batched_args=["day"], max_batch_size=3)
    counts = {}
    size = 0
    for tag, target in (("small", 100), ("large", MANY)):
        fill(scheduler, shape, size, target)
        size = target
        scheduler.get_work(worker="A")  # what a first call does, the later ones don't
        scheduler.get_work(worker="B")
        scheduler.get_work(worker="H", assistant=True)
        scheduler.prune()
        counts[tag] = {name: commands_of(scheduler, call) for name, call in hot_calls(scheduler, tag).items()}
    for name, small in counts["small"].items():
        assert counts["large"][name] <= small + SLACK, (name, counts)


def test_a_prune_with_nothing_due_costs_the_same_at_100_and_at_many_tasks(real_scheduler):
    scheduler = real_scheduler
    counts = []
    size = 0
    for target in (100, MANY):
        fill(scheduler, flat, size, target)
        size = target
        scheduler.prune()
        counts.append(commands_of(scheduler, scheduler.prune))
    assert counts[0] == counts[1]


def commands_of_each(scheduler, script, budget):
    """How many commands each script of a kind executes, until nothing is left to do."""
    found, replies = [], []
    while not replies or replies[-1] not in (0, [0]):
        found.append(commands_of(scheduler, lambda: replies.append(scheduler._run(Call(script, budget=str(budget))))))
    return found


@pytest.mark.parametrize("has_failed", ["all of them", "what all of them need"])
def test_a_script_of_a_prune_is_no_longer_than_what_others_do_on_their_way(own_redis, clock, monkeypatch, has_failed):
    """Of a dead worker that owned hundreds of tasks; what they need is disabled by its failure."""
    name = f"n{uuid.uuid4().hex}"
    with closing(Scheduler(own_redis.url, namespace=name, clock=clock, prune_interval_seconds=None)) as scheduler:
        hundreds = [{"task_id": f"t{number}", "family": f"F{number % 7}", "deps": ["hub"]} for number in range(600)]
        hub = {"task_id": "hub", "retry_policy_dict": {"retry_count": 1}}
        scheduler.add_tasks(worker="w", tasks=[hub, *hundreds])
        failed = ["hub"] if has_failed != "all of them" else [each["task_id"] for each in hundreds]
        scheduler.add_tasks(worker="w", tasks=[{"task_id": task_id, "status": "FAILED"} for task_id in failed])
        pruned = []
        for _ in ("it is missed", "disables and failures are over", "what was its alone is removed"):
            clock.advance(100_000)
            scheduler.ping(worker="v")
            pruned += commands_of_each(scheduler, "prune", operators.PRUNE_BUDGET)
        assert scheduler.task_list(status=None) == {}
        scheduler.add_tasks(worker="v", tasks=[hub, *hundreds])
        monkeypatch.setattr(task_operations, "MAX_DEFERRED_CALLS", 0)
        scheduler.add_task(worker="v", task_id="hub", status="FAILED")
        told = commands_of_each(scheduler, "run_deferred", task_operations.DEFERRED_BUDGET)
        scheduler.re_enable_task("hub")
        told += commands_of_each(scheduler, "run_deferred", task_operations.DEFERRED_BUDGET)
        assert max(pruned) <= 1.1 * max(told)  # it does a few things beside the deferred steps


def fill_in_bulk(scheduler, start, stop):
    """Layered tasks, every fifth of which wants what there is little of."""
    for first in range(start, stop, 1000):
        tasks = [
            {
                "task_id": f"L_{number}",
                "family": f"F{number % 7}",
                "deps": [f"L_{dep}" for dep in range(max(0, number - 13), max(0, number - 10))] if number % 3 else [],
                "resources": {"db": 1} if number % 5 == 0 else {},
                "priority": -1,
            }
            for number in range(first, min(first + 1000, stop))
        ]
        scheduler.add_tasks(worker="A", tasks=tasks)


@pytest.fixture
def large(own_redis):
    """A new scheduler on a Redis that goes with all that is in it."""
    name = f"n{uuid.uuid4().hex}"
    with closing(Scheduler(own_redis.url, namespace=name, prune_interval_seconds=None)) as scheduler:
        yield scheduler


def test_why_costs_the_same_at_1000_and_at_many_more_tasks(large):
    scheduler = large
    scheduler.update_resources(db=2, lock=1)
    scheduler.add_worker(worker="A", info={"workers": 4})
    for task_id, more in {
        "holder": {"resources": {"lock": 1}, "priority": 9},
        "wants lock": {"resources": {"lock": 1}},
        "waits": {"deps": ["failed", "holder", "wants lock", "nobody's"]},
        "failed": {"status": "FAILED"},
        "ready": {"resources": {"db": 1}, "priority": 1},
        "behind": {},
    }.items():
        scheduler.add_task(worker="A", task_id=task_id, **more)
    assert scheduler.get_work(worker="A")["task_id"] == "holder"
    asked = ["holder", "wants lock", "waits", "ready", "behind", "unknown"]
    size, counts = 0, []
    for target in (1000, by_night(100_000, 5000)):
        fill_in_bulk(scheduler, size, target)
        size = target
        counts.append({task_id: commands_of(scheduler, lambda each=task_id: scheduler.why(each)) for task_id in asked})
    assert counts[1].pop("unknown") <= counts[0].pop("unknown") + 12, "pages of events, of which there are 10,000"
    for task_id, small in counts[0].items():
        assert counts[1][task_id] <= small + SLACK, (task_id, counts)
    assert max(counts[1].values()) < 100, counts


def test_why_reads_each_of_so_many_workers_once(large):
    for number in range(400):
        large.add_worker(worker=f"assistant {number}", info={"assistant": True})
        large.disable_worker(worker=f"assistant {number}")
    for number in range(4):  # each wants something else, so each is looked at by itself
        large.add_task(worker=f"gone {number}", task_id=f"d{number}", resources={f"r{number}": 1})
        large.disable_worker(worker=f"gone {number}")
    large.add_task(worker="w", task_id="waits for them", deps=[f"d{number}" for number in range(4)])
    (cause,) = large.why("waits for them")["causes"]
    assert (cause["code"], cause["others"]) == ("no_worker", 3)
    assert commands_of(large, lambda: large.why("waits for them")) < 300 * 9


KEPT_FOR_LOOKING = ("tasks:", "families", "family:", "run_times:", "ended:", "attempts:", "failed_runs")


def kept_for_looking(scheduler, call):
    """The commands, as MONITOR has them, that this call sends to keys which are there for whoever looks."""
    client, prefix = scheduler._client, scheduler.namespace.prefix
    found = []
    with client.monitor() as monitor:
        call()
        client.echo("over")
        while not (command := monitor.next_command()["command"]).startswith("ECHO"):
            name, _, arguments = command.partition(" ")
            if arguments.startswith(tuple(prefix + kind for kind in KEPT_FOR_LOOKING)):
                found.append(name)
    return found


def test_what_is_kept_for_whoever_looks_costs_a_call_a_few_commands(real_scheduler):
    """The price of decision 0015: nobody may add to it unawares."""
    scheduler = real_scheduler
    for task_id, priority in (("first", 9), ("second", 8), ("third", 7), ("failed", 6)):
        scheduler.add_task(worker="w", task_id=task_id, family="F", priority=priority)

    def report(status, task_id):
        return kept_for_looking(
            scheduler, lambda: scheduler.add_task(worker="w", task_id=task_id, status=status, expl="no")
        )

    assert kept_for_looking(scheduler, lambda: scheduler.add_task(worker="w", task_id="t", family="F")) == [
        "ZADD",
        "SADD",
    ]
    for task_id in ("first", "second", "third", "failed"):
        assert kept_for_looking(scheduler, lambda: scheduler.get_work(worker="w")) == ["ZREM", "ZADD"], task_id
    report("DONE", "first")  # the first one in these 20 s sets when they are forgotten
    listing, counts, time = ["ZREM", "ZADD"], ["HINCRBY"] * 3, ["LPUSH"]
    assert sorted(report("DONE", "second")) == sorted(listing + counts + time)
    report("FAILED", "third")
    assert sorted(report("FAILED", "failed")) == sorted([*listing, *counts, "XADD", "HSET", "RPUSH"])


def test_a_usual_call_makes_nearly_all_that_it_comes_by_at_once(real_scheduler, monkeypatch):
    """Each thing that a script has to look up and make by itself takes 0.1 µs more: what @with names is to be right."""
    scheduler, made = real_scheduler, real_scheduler.namespace.key("made")
    looks_up = "__index = function(_, number)"

    @cache
    def counting(name):
        script = load(name)
        source = script.source.replace(looks_up, f"{looks_up} redis.call('INCR', '{made}')", 1)
        return script._replace(source=source, sha=hashlib.sha1(source.encode()).hexdigest())

    def made_one_by_one(call):
        scheduler._client.delete(made)
        call()
        return int(scheduler._client.getdel(made))

    report = {"worker": "w", "task_id": "t", "family": "F", "params": {"date": "2024-03-01"}}
    for task_id in ("first", "second", "third"):
        scheduler.add_task(**report | {"task_id": task_id})
    scheduler.get_work(worker="w")
    monkeypatch.setattr(script_call, "load", counting)
    counts = {
        "PENDING": made_one_by_one(lambda: scheduler.add_task(**report)),
        "get_work": made_one_by_one(lambda: scheduler.get_work(worker="w")),
        "DONE": made_one_by_one(lambda: scheduler.add_task(**report | {"task_id": "second", "status": "DONE"})),
    }
    assert max(counts.values()) <= 14, counts

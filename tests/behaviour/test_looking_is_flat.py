"""No method for looking looks at tasks that it does not show: as many Redis commands at 1,000 tasks and at 100,000.

A filter that no index serves looks at 1,000 tasks at the most. The large namespace is made by a script of the test's
own, which writes what those of the scheduler would.
"""

import uuid
from functools import partial

import pytest

from broker_sched import Scheduler
from broker_sched.contract.states import STATES
from broker_sched.scheduler.family_counts import FAMILIES_AT_ONCE, SCRIPTS
from tests.behaviour.runs import add
from tests.behaviour.test_flat_cost import commands_of

FAMILIES = 20
SLACK = 25  # what has not the same scores is read in other portions
INFLATE = """
local prefix, first, last, families = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for number = first, last do
  local n, family = string.format('%.0f', 3000000000 + number), 'F' .. number % families
  local state = number % 10 == 0 and 'FAILED' or number % 10 == 1 and 'DONE' or 'READY'
  local since = string.format('%.6f', 1700000000 + number / 7)
  redis.call('HSET', prefix .. 'ids', n, 'more' .. number)
  redis.call('HSET', prefix .. 'task:more' .. number, 'n', n, 'status', state == 'READY' and 'PENDING' or state,
    'priority', '0', 'created', since, 'updated', since, 'family', family, 'params', '{"n":"' .. number .. '"}')
  redis.call('ZADD', prefix .. 'tasks:' .. state .. ':' .. family, since, n)
  local month = number < 1500 and '2024-03' or '2024-04' -- the first has few tasks: many are looked for among all
  redis.call('SADD', prefix .. 'dated:' .. state .. ':' .. month .. '-01:' .. family, n)
  redis.call('HINCRBY', prefix .. 'months:' .. family, month, 1)
end
"""
LOOKS = {
    "overview": {},
    "families": {},
    "family_dates": {},
    "workers": {},
    "failures": {},
    "events": {},
    "critical_path": {"task_id": "t5"},
    "task_details": {"task_id": "t5"},
    "task_deps": {"task_id": "t5"},
    "worker_details": {"worker": "w"},
    "resource_details": {"resource": "db"},
    "submission_details": {"submission": "s"},
}
LISTINGS = [
    {},
    {"order": "oldest"},
    {"family": "F7"},
    {"status": "FAILED"},
    {"family": "F3", "status": "PENDING", "order": "oldest"},
    {"failed_since": 1.0},
    {"date": "2024-03-01"},
    {"params": {"n": "none has it"}},
    {"text": "none has it"},
    {"error": "none has it"},
    {"worker": "none"},
    {"limit": 1000},
]


@pytest.fixture
def scheduler(real_redis_url):
    made = Scheduler(real_redis_url, f"t-{uuid.uuid4().hex[:12]}", prune_interval_seconds=None)
    yield made
    keys = list(made._client.scan_iter(match=f"{made.namespace.prefix}*", count=10_000))
    for start in range(0, len(keys), 10_000):
        made._client.unlink(*keys[start : start + 10_000])
    made.close()


def inflate(scheduler, first, last):
    for start in range(first, last, 5_000):
        stop = min(start + 5_000, last) - 1
        scheduler._client.eval(INFLATE, 0, scheduler.namespace.prefix, start, stop, FAMILIES)


def counts(scheduler):
    calls = {name: partial(getattr(scheduler, name), **given) for name, given in LOOKS.items()}
    calls |= {f"tasks {given}": partial(scheduler.tasks, **given) for given in LISTINGS}
    return {name: commands_of(scheduler, call) for name, call in calls.items()}


def test_looking_costs_the_same_at_1000_and_at_100000_tasks(scheduler):
    for family in range(FAMILIES):
        add(scheduler, f"t{family}", family=f"F{family}")
        scheduler.get_work(worker="w")
    scheduler.add_task(worker="s", task_id="waits", family="F0", resources={"db": 2})
    scheduler.add_submission("s", ["waits"])
    for family in range(3):
        scheduler.add_task(worker="w", task_id=f"t{family}", status="FAILED", expl='"no"')
    inflate(scheduler, 0, 1_500)
    small = counts(scheduler)
    inflate(scheduler, 1_500, 100_000)
    large = counts(scheduler)
    assert scheduler.tasks()["of"] == 100_000 + FAMILIES + 1
    for name, count in small.items():
        assert large[name] <= count + SLACK, (name, count, large[name])
    assert max(large.values()) < 4_000, large


def test_ten_thousand_families_are_counted_by_some_hundred_scripts(scheduler):
    for start in range(0, 10_000, 500):
        names = [f"F{number}" for number in range(start, start + 500)]
        scheduler._client.sadd(scheduler.namespace.key("families"), *names)
    scheduler.add_task(worker="w", task_id="t", family="F0")
    scheduler.families()
    scheduler._client.config_resetstat()
    assert [each["family"] for each in scheduler.families()["families"]] == ["F0"]
    assert scheduler._client.info("commandstats")["cmdstat_evalsha"]["calls"] <= SCRIPTS + 5


def test_many_families_are_counted_by_one_script_for_each_few_of_them(scheduler):
    names = [f"F{number}" for number in range(250)]
    tasks = [{"task_id": f"t{name}{number}", "family": name} for name in names for number in range(2)]
    scheduler.add_tasks(worker="w", tasks=tasks)
    scheduler.get_work(worker="w")
    for call in (scheduler.overview, scheduler.families, scheduler.tasks):
        call()  # the first one may have to load its scripts
        scheduler._client.config_resetstat()
        call()
        calls = {name: each["calls"] for name, each in scheduler._client.info("commandstats").items()}
        assert calls["cmdstat_evalsha"] <= 250 // FAMILIES_AT_ONCE + 5, call
        assert calls["cmdstat_zcard"] <= 3 * 250, "a family's states are counted until all are found"
    assert scheduler.overview()["tasks"] == {**dict.fromkeys(STATES, 0), "READY": 499, "RUNNING": 1}
    found = scheduler.families(limit=1000)["families"]
    assert sorted(each["family"] for each in found) == sorted(names)
    assert all(sum(each["tasks"].values()) == 2 for each in found)


@pytest.mark.parametrize("method", ["overview", "workers"])
def test_of_each_worker_three_keys_are_read(scheduler, method):
    def ask_with(first, last):
        for number in range(first, last):
            scheduler.ping(worker=f"w{number}")
        return commands_of(scheduler, partial(getattr(scheduler, method)))

    few = ask_with(0, 10)
    assert ask_with(10, 60) - few <= 3 * 50 + 1, "and one more page of their ids"

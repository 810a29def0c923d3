"""Most add_tasks and get_works are plain, and have a short way of their own (lib/plain_task.lua, lib/plain_work.lua).
It must answer and write what the way for every case would (lib/adding.lua, lib/handing_out.lua), to the last key."""

import hashlib
import random

import pytest

from broker_sched.lua.loader import Script, load
from broker_sched.scheduler import script_call
from broker_sched.scheduler.snapshot import take
from broker_sched.steps import Call
from tests.simulation.test_interleaved import random_call

CHOICES = {
    "add_task": "is_plain_report() and add_plain_task() or add_any_task()",
    "get_work": "get_plain_work() or get_any_work()",
}
BOTH = CHOICES
ONLY_GENERAL = {"add_task": "add_any_task()", "get_work": "get_any_work()"}
ONLY_PLAIN = {
    "add_task": "is_plain_report() and add_plain_task() or error('not plain')",
    "get_work": "get_plain_work() or error('not plain')",
}


class SameWeights:
    """Workers get the same weights in every namespace."""

    @staticmethod
    def getrandbits(bits):
        return 12345678901


@pytest.fixture
def go(monkeypatch):
    """`go(ways)`: from here on the scripts choose like this."""
    monkeypatch.setattr(script_call, "_weights", SameWeights)

    def choose(ways):
        def patched(name):
            script = load(name)
            if name not in ways:
                return script
            assert CHOICES[name] in script.source
            source = script.source.replace(CHOICES[name], ways[name])
            return Script(name, source, hashlib.sha1(source.encode()).hexdigest(), script.origins)

        monkeypatch.setattr(script_call, "load", patched)

    return choose


def everything_in(scheduler):
    """All keys and what they hold; of the events all but their ids."""
    client, prefix = scheduler._client, scheduler._space.prefix
    names = client.scan_iter(match=f"{prefix}*", count=1000)
    content = take(prefix, iter(names), scheduler._read).content
    content["events"] = [fields for _, fields in client.xrange(f"{prefix}events")]
    return {name: found for name, found in content.items() if not name.startswith("reply:")}


BEFORE = {
    "done": [{"task_id": "dep"}, {"task_id": "dep", "status": "DONE"}],
    "pending": [{"task_id": "dep"}],
    "placeholder": [{"task_id": "parent", "deps": ["new"]}],
    "of the same kind": [{"task_id": "other", "resources": {"r": 1}}],
}
PLAIN = {
    "new": ([], {}),
    "two deps that are not there": ([], {"deps": ["x", "y", "x"]}),
    "a dep that is done": (BEFORE["done"], {"deps": ["dep"]}),
    "a dep that is to be run": (BEFORE["pending"], {"deps": ["dep", "dep", "x"]}),
    "so far a placeholder": (BEFORE["placeholder"], {"deps": ["x"]}),
    "with resources": (BEFORE["of the same kind"], {"resources": {"r": 1}, "priority": 3}),
    "negative priority, below what was": ([{"task_id": "low", "priority": -9}], {"priority": -3.5}),
    "everything": (
        BEFORE["placeholder"],
        {
            "family": "F",
            "module": "m",
            "params": {"long": "x" * 100},
            "accepts_messages": True,
            "retry_policy_dict": {"retry_count": 3, "disable_window": 60},
            "resources": {"r": 1},
        },
    ),
}
ODD = {
    "batchable": ([], {"batchable": True}),
    "hidden parameters": ([], {"params": {"a": "1"}, "param_visibilities": {"a": 1}}),
    "a tracking URL": ([], {"tracking_url": "http://t"}),
    "an explanation": ([], {"expl": "why"}),
    "not to be run by this worker": ([], {"runnable": False}),
    "as assistant": ([], {"assistant": True}),
    "new deps": ([], {"new_deps": ["x"]}),
    "itself as dep": ([], {"deps": ["new"]}),
    "lowest priority so far": ([], {"priority": -1}),
    "deps with less priority": (BEFORE["pending"], {"deps": ["dep"], "priority": 2}),
    "another worker's dep": ([{"task_id": "dep", "worker": "v"}], {"deps": ["dep"]}),
    "another worker's placeholder": ([{"task_id": "parent", "deps": ["new"], "worker": "v"}], {}),
    "a placeholder with more priority": ([{"task_id": "parent", "deps": ["new"], "priority": 4}], {}),
    "a disabled dep": ([*BEFORE["pending"], {"task_id": "dep", "status": "DISABLED"}], {"deps": ["dep"]}),
    "a dep that nobody can run": ([{"task_id": "dep", "runnable": False}], {"deps": ["dep"]}),
    "an id that was depended on": ([{"task_id": "up", "worker": "h", "assistant": True, "deps": ["new"]}], {}),
    "a dep that was depended on": (
        [{"task_id": "up", "worker": "h", "assistant": True, "deps": ["x"]}],
        {"deps": ["x"]},
    ),
    "there already": ([{"task_id": "new"}], {"priority": 1}),
    "just done": ([{"task_id": "new"}, {"task_id": "new", "status": "DONE"}], {}),
    "reported UNKNOWN with deps": ([{"task_id": "new", "status": "UNKNOWN", "deps": ["x"]}], {}),
}


def told(scheduler, before, report):
    """Add what was there before, then the new task. The worker `w` is known and has crowds of its own."""
    scheduler.add_task(worker="w", task_id="first", family="F")
    for each in before:
        scheduler.add_task(**{"worker": "w", **each})
    yield
    scheduler.add_task(worker="w", task_id="new", **report)


def after(scheduler, before, report, go=None, way=None):
    steps = told(scheduler, before, report)
    next(steps)
    if way:
        go(way)
    next(steps, None)
    return everything_in(scheduler)


@pytest.mark.parametrize("case", PLAIN)
def test_a_plain_report_is_written_the_short_way(scheduler_factory, go, case):
    go(ONLY_GENERAL)
    general = after(scheduler_factory(), *PLAIN[case])
    go(BOTH)
    assert after(scheduler_factory(), *PLAIN[case], go, ONLY_PLAIN) == general


@pytest.mark.parametrize("case", ODD)
def test_what_is_not_plain_is_left_to_the_way_for_every_case(scheduler_factory, go, case):
    go(ONLY_GENERAL)
    general = after(scheduler_factory(), *ODD[case])
    go(BOTH)
    assert after(scheduler_factory(), *ODD[case]) == general


def wait_for_work(scheduler):
    scheduler._run(Call("await_work", ("idle", "1", "mailbox", "30")))


def submit_another(scheduler):
    scheduler.add_task(worker="v", task_id="above")
    scheduler.add_submission(submission="v", tasks=["above"])


def leave_a_job(scheduler):
    scheduler._client.rpush(scheduler._space.key("jobs"), "unlink 1000000001")


@pytest.mark.parametrize("prepare", [wait_for_work, submit_another, leave_a_job])
@pytest.mark.parametrize("deps", [[], ["x"]])
def test_a_report_that_others_must_hear_of_is_not_plain(scheduler_factory, go, prepare, deps):
    def history(scheduler):
        scheduler.add_task(worker="w", task_id="first")
        prepare(scheduler)
        scheduler.add_task(worker="w", task_id="new", deps=deps)
        return everything_in(scheduler)

    go(ONLY_GENERAL)
    general = history(scheduler_factory())
    go(BOTH)
    assert history(scheduler_factory()) == general


READY = [{"task_id": "t"}]
PLAIN_WORK = {
    "nothing to do": ([], {}),
    "one task": (READY, {"host": "h"}),
    "it tells what it runs": ([*READY, {"task_id": "u", "status": "RUNNING"}], {"current_tasks": ["u"]}),
    "it does not tell what it runs": ([*READY, {"task_id": "u", "status": "RUNNING"}], {}),
    "the best of several": ([*READY, {"task_id": "u", "priority": 2, "module": "m", "params": {"p": "x" * 80}}], {}),
    "resources": ([{"task_id": "t", "resources": {"r": 1}}, {"task_id": "u", "resources": {"r": 1, "s": 1}}], {}),
    "resources that are in use": (
        [
            {"task_id": "u", "resources": {"r": 1}, "status": "RUNNING", "priority": 9},
            {"task_id": "v", "resources": {"r": 1, "s": 1}, "priority": 1},
            {"task_id": "t", "resources": {"s": 1}},
        ],
        {},
    ),
    "another worker's tasks": ([{"task_id": "t", "worker": "v"}], {}),
    "shared tasks": ([*READY, {"task_id": "t", "worker": "v"}], {}),
}
ODD_WORK = {
    "a task was lost": ([*READY, {"task_id": "u", "status": "RUNNING"}], {"current_tasks": []}),
    "an assistant": ([{"task_id": "t", "worker": "v"}], {"assistant": True}),
    "batchable": ([{"task_id": "t", "batchable": True}], {}),
    "a better task could run elsewhere": (
        [
            {"task_id": "u", "resources": {"r": 1}, "priority": 9, "worker": "v"},
            {"task_id": "t", "resources": {"r": 1}},
        ],
        {},
    ),
    "unknown": (READY, {"worker": "nobody"}),
}


def worked(scheduler, before, call, go, ways):
    """The reply of get_work and all that is there afterwards. The worker `v` has asked before, and has an idle slot."""
    go(ONLY_GENERAL)
    scheduler.add_task(worker="w", task_id="first", status="DONE")
    scheduler.get_work(worker="v")
    for each in before:
        scheduler.add_task(**{"worker": "w", "family": "F", **each})
    go(ways)
    reply = scheduler.get_work(**{"worker": "w", **call})
    return reply, everything_in(scheduler)


@pytest.mark.parametrize("case", PLAIN_WORK)
def test_plain_work_is_handed_out_the_short_way(scheduler_factory, go, case):
    plain = worked(scheduler_factory(), *PLAIN_WORK[case], go, ONLY_PLAIN)
    assert plain == worked(scheduler_factory(), *PLAIN_WORK[case], go, ONLY_GENERAL)


@pytest.mark.parametrize("case", ODD_WORK)
def test_work_that_is_not_plain_is_left_to_the_way_for_every_case(scheduler_factory, go, case):
    found = worked(scheduler_factory(), *ODD_WORK[case], go, BOTH)
    assert found == worked(scheduler_factory(), *ODD_WORK[case], go, ONLY_GENERAL)


@pytest.mark.parametrize("prepare", [wait_for_work, leave_a_job, lambda scheduler: scheduler.pause()])
def test_work_is_not_plain_while_a_worker_waits_a_job_does_or_all_is_paused(scheduler_factory, go, prepare):
    def found(ways):
        scheduler = scheduler_factory()
        scheduler.add_task(worker="w", task_id="t")
        prepare(scheduler)
        go(ways)
        return scheduler.get_work(worker="w"), everything_in(scheduler)

    assert found(BOTH) == found(ONLY_GENERAL)


@pytest.mark.parametrize("seed", range(25))
def test_random_histories_leave_the_same_behind(scheduler_factory, go, clock, seed):
    # No worker leaves: it is chance in which order its crowds are then looked at, and which of two equal ones is noted.
    options = {"remove_delay": 30, "retry_delay": 20, "worker_disconnect_delay": 1e6, "retry_count": 3}
    start = clock.now

    def history(scheduler):
        chance, clock.now, replies = random.Random(seed), start, []
        tasks = [f"t{number}" for number in range(14)]
        for _ in range(120):
            if chance.random() < 0.1:
                clock.advance(chance.choice([1, 10, 31, 60]))
            if chance.random() < 0.5:
                number = chance.randrange(14)
                deps = chance.sample(tasks[:number], min(number, chance.randint(0, 3)))
                scheduler.add_task(worker=chance.choice("ab"), task_id=tasks[number], deps=deps)
            else:
                method, arguments = random_call(chance, tasks)
                if method == "disable_worker":
                    continue
                replies.append(getattr(scheduler, method)(**arguments))
        return replies, everything_in(scheduler)

    go(ONLY_GENERAL)
    general = history(scheduler_factory(**options))
    go(BOTH)
    assert history(scheduler_factory(**options)) == general

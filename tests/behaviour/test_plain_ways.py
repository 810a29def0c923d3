"""Most add_tasks are plain, and have a short way of their own; so has what a hand-out writes.

lib/tasks/plain_task.lua must answer and write what the way for every case would (lib/tasks/adding.lua), and
lib/hand_out/one_task.lua what follows from the rules for any change of a status, to the last key.
"""

import random
import re
from functools import cache

import pytest

from broker_sched.errors import InvalidArgument, Superseded
from broker_sched.lua.loader import join, load, text_of
from broker_sched.redis_backend import script_call
from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.integrity.snapshot import take
from broker_sched.scheduler.operations import tasks as task_operations
from tests.nightly import by_night
from tests.simulation.test_interleaved import random_call

# What stands in a script, and what takes its place: by the name of the script.
BOTH: dict[str, tuple[tuple[str, str], ...]] = {}
CHOICE = "is_plain_report() and add_plain_task() or add_any_task()"
ONLY_PLAIN = {"add_task": ((CHOICE, "is_plain_report() and add_plain_task() or error('not plain')"),)}
# By the rules of statuses.lua, and by what placing.lua finds out.
HAND_OUT_BY_THE_RULES = """
local function hand_out_whole(whole, kind, status, attempt, worker)
  note_metric(kind, whole.family or '', whole.ready_since or whole.updated)
  set(whole, 'worker_running', worker.id)
  hold_needs(whole)
  set_status(whole, status)
  set(whole, 'time_running', NOW_TEXT)
  set(whole, 'attempt', attempt)
  finish_task(whole)
end

local function hand_out_whole_batch(batch, worker)
  local batch_id, latest = '~' .. call('HINCRBY', key('counters', ''), 'batch', 1), 0
  for _, task in ipairs(batch) do latest = math.max(latest, tonumber(load_task(task.id).attempt or 0)) end
  for _, task in ipairs(batch) do
    task.attempt = attempt_after(latest)
    local whole = load_task(task.id)
    set(whole, 'batch_id', batch_id)
    hand_out_whole(whole, 'W', 'BATCH_RUNNING', task.attempt, worker)
  end
  return batch_id
end

local function hand_out_work()
"""
BY_THE_RULES = (
    (" hand_out_batch(batch, worker)", " hand_out_whole_batch(batch, worker)"),
    (
        " hand_out(task, entry, worker)",
        " hand_out_whole(load_task(task.id), 'S', 'RUNNING', attempt_after(load_task(task.id).attempt), worker)",
    ),
    ("local function hand_out_work()\n", HAND_OUT_BY_THE_RULES),
)
ONLY_GENERAL = {"add_task": ((CHOICE, "add_any_task()"),), "get_work": BY_THE_RULES}
NEEDED_BY_THE_RULES = "".join(
    f"-- @rarely lib/tasks/{name}.lua\n" for name in ("statuses", "links", "attempts", "metric_notes")
)
MADE_TOGETHER = re.compile("^-- @with .*$", re.MULTILINE)


class SameWeights:
    """Workers get the same weights in every namespace."""

    @staticmethod
    def getrandbits(bits):
        return 12345678901


class SameToken:
    """Stands in for `uuid`."""

    @staticmethod
    def uuid4():
        return SameToken

    hex = "token"


@pytest.fixture
def go(monkeypatch):
    """`go(ways)`: from here on the scripts choose like this."""
    monkeypatch.setattr(script_call, "_weights", SameWeights)

    def choose(ways):
        monkeypatch.setattr(script_call, "load", lambda name: joined(name, ways[name]) if name in ways else load(name))

    return choose


@cache
def joined(name, way):
    """The script of this name with these texts in place of those, joined once for all tests."""
    assert all(old in text_of(f"{name}.lua") for old, _ in way)

    def text_with(file_name):
        text = text_of(file_name)
        if file_name != f"{name}.lua":
            return text
        for old, new in way:
            text = text.replace(old, new)
        return NEEDED_BY_THE_RULES + MADE_TOGETHER.sub("", text) if way == BY_THE_RULES else text

    return join(name, text_with)


def everything_in(scheduler):
    """All keys and what they hold; of the events all but their ids."""
    client, prefix = scheduler._client, scheduler.namespace.prefix
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
    "a dep that waits for another": ([{"task_id": "dep", "deps": ["x"]}], {"deps": ["dep"]}),
    "an empty module": ([], {"module": ""}),
    "a date": ([], {"family": "F", "params": {"date": "2024-03-01", "x": "1"}, "deps": ["x"]}),
    "a date among long parameters": (
        BEFORE["placeholder"],
        {"params": {"a": "2024-03-01T05", "b": "2024-04", "long": "x" * 100}},
    ),
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
    "a hidden date": ([], {"params": {"a": "2024-03-01"}, "param_visibilities": {"a": 1}}),
    "a date that an earlier call hides": (
        [{"task_id": "new", "status": "UNKNOWN", "runnable": False, "param_visibilities": {"date": 2}}],
        {"params": {"date": "2024-03-01", "x": "2024-03-02"}},
    ),
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
    """Add what was there before, then the new task. The worker `w` is known and has worker sets of its own."""
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


def add(worker="w", **task):
    return ("add_task", {"worker": worker, **task})


def ask(worker="w", **call):
    return ("get_work", {"worker": worker, **call})


def batchable(task_id, params, **task):
    return add(task_id=task_id, family="F", batchable=True, params=params, **task)


FIRST = add(task_id="first", family="F")
BATCHER = ("add_task_batcher", {"worker": "w", "task_family": "F", "batched_args": ["p"], "max_batch_size": 5})
BURY_V = [("advance", 61), ("ping", {"worker": "w"}), ("prune", {}), ("prune", {})]
HISTORIES = {
    "an assistant waits for work": [FIRST, ask(), ("wait", ("idle", "1")), add(task_id="new")],
    "the worker itself waits": [
        FIRST,
        ask(),
        ("wait", ("w", "0")),
        add(task_id="new", deps=["x"]),
        add(task_id="ready"),
    ],
    "another waits while resources are contested": [
        ("add_worker", {"worker": "w1", "info": {"workers": 3}}),
        ("update_resources", {"r": 2}),
        add("w1", task_id="better", resources={"r": 2}, priority=9),
        add("w1", task_id="first", priority=20),
        ask("w1"),
        add("w2", task_id="shared", resources={"r": 1}),
        add("w3", task_id="shared", resources={"r": 1}),
        add("w3", task_id="own", priority=10),
        ("wait", ("w2", "0")),
        ask("w3"),
    ],
    "a submission has a stake in the placeholder": [
        FIRST,
        add("v", task_id="above", deps=["new"]),
        add(task_id="mine", deps=["new"]),
        ("add_submission", {"submission": "v", "tasks": ["above"]}),
        add(task_id="new", deps=["z"]),
    ],
    "a deferred step waits": [
        FIRST,
        ("deferred_step", "unlink 1000000001"),
        add(task_id="new"),
        ("deferred_step", "unlink 1000000001"),
        ask(),
    ],
    "all is paused": [FIRST, ("pause", {}), ask()],
    "members of a batch that never started": [
        BATCHER,
        *[batchable(f"b{n}", {"p": str(n)}) for n in range(3)],
        ask(),
        ask(current_tasks=[]),
        ask(),
    ],
    "a batch with dates and resources, whose members became ready in turn": [
        BATCHER,
        ("update_resources", {"r": 1}),
        add(task_id="dep"),
        *[batchable(f"b{n}", {"p": str(n), "date": "2024-03-01"}, resources={"r": 1}) for n in range(2)],
        batchable("late", {"p": "9", "date": "2024-03-01"}, resources={"r": 1}, deps=["dep"]),
        batchable("other", {"p": "9", "date": "2024-03-02"}, resources={"r": 1}),
        ("advance", 5),
        add(task_id="dep", status="DONE"),
        ("advance", 5),
        ask(),
        ask(),
    ],
    "an assistant takes a batch of tasks of several workers, and of none": [
        BATCHER,
        *[batchable(f"b{n}", {"p": str(n)}, worker=worker) for n, worker in enumerate("wvwv")],
        batchable("nobody's", {"p": "5"}, runnable=False),
        ("add_task_batcher", {"worker": "h", "task_family": "F", "batched_args": ["p"], "max_batch_size": 9}),
        ask("h", assistant=True),
        ("prune", {}),
        ask("v"),
    ],
    "more could join a batch than it may have, of two runner sets": [
        BATCHER,
        *[batchable(f"b{n}", {"p": str(n)}) for n in range(7)],
        batchable("b1", {"p": "1"}, worker="v"),
        ask(),
        ask(),
    ],
    "a batch of tasks in which its worker has no stake": [
        BATCHER,
        *[batchable(f"b{n}", {"p": str(n)}, assistant=True) for n in range(2)],
        ask(),
        ("prune", {}),
        ask(),
    ],
    "a member that has run before, wanted more deps, and the clock goes back": [
        BATCHER,
        batchable("b0", {"p": "0"}),
        ask(),
        ("advance", -5),
        add(task_id="below", status="DONE"),
        batchable("b0", {"p": "0"}, status="PENDING", new_deps=["below"]),
        batchable("b1", {"p": "1"}, priority=2),
        ask(),
        ask(current_tasks=[]),
        ask(),
    ],
    "a member that was refused, and one whose deps have changed": [
        BATCHER,
        *[batchable(f"b{n}", {"p": str(n)}, priority=9 - n) for n in range(4)],
        add("v", task_id="b0", family="F", batchable=True, params={"p": "0"}, priority=9),
        add(task_id="dep"),
        batchable("b2", {"p": "2"}, deps=["dep"]),
        add(task_id="dep", status="DONE"),
        ask("v"),
        ("refuse_tasks", {"worker": "v", "task_ids": ["b0"], "reason": "no module"}),
        ("deferred_step", "unlink 1000000001"),
        ask(),
        ask(),
    ],
    "another waits for what the members of a batch need": [
        BATCHER,
        ("update_resources", {"r": 1}),
        FIRST,
        ask(),
        ("add_worker", {"worker": "w", "info": {"workers": 2}}),
        *[batchable(f"b{n}", {"p": str(n)}, resources={"r": 1}, priority=3) for n in range(3)],
        add("v", task_id="wants it", resources={"r": 1}),
        ("wait", ("v", "0")),
        ask(),
    ],
    "two lists of batched parameters": [
        BATCHER,
        ("add_task_batcher", {"worker": "v", "task_family": "F", "batched_args": ["q"], "max_batch_size": 5}),
        *[batchable(f"b{n}", {"p": str(n), "q": str(n % 2)}, worker=worker) for n in range(4) for worker in "wv"],
        ask(),
        ask("v"),
    ],
    "a batch id": [
        FIRST,
        add(task_id="new", batch_id="B"),
        add(task_id="p", deps=["q"]),
        add(task_id="q", batch_id="B"),
    ],
    "deps that are staged": [
        FIRST,
        add(task_id="new", deps=list("abcdef")),
        add(task_id="up", deps=["new", "q"]),
        add(task_id="q", deps=list("ghijkl")),
    ],
    "a task that is done, not runnable": [
        FIRST,
        add(task_id="new", runnable=False, status="DONE"),
        ("advance", 1000),
        add(task_id="new"),
    ],
    "UNKNOWN with a family": [
        FIRST,
        add(task_id="new", runnable=False, status="UNKNOWN", family="old", module="o"),
        add(task_id="new", family="F", module="m"),
    ],
    "UNKNOWN without a stakeholder": [
        FIRST,
        add("h", assistant=True, runnable=False, task_id="new", status="UNKNOWN", family="F"),
        add(task_id="new"),
    ],
    "UNKNOWN with deps": [
        FIRST,
        add(task_id="new", runnable=False, status="UNKNOWN", deps=["x", "y"]),
        add(task_id="new", deps=["y"]),
    ],
    "UNKNOWN with long parameters": [
        FIRST,
        add(task_id="parent", deps=["new"]),
        add("h", assistant=True, runnable=False, task_id="new", status="UNKNOWN", params={"p": "x" * 80}),
        add(task_id="new", params={"p": "other"}),
        ask(),
        ask(),
    ],
    "a placeholder with a tracking URL": [
        FIRST,
        add(task_id="parent", deps=["new"]),
        add(task_id="new", runnable=False, status="UNKNOWN", tracking_url="u"),
        add(task_id="new"),
    ],
    "a placeholder with less priority": [FIRST, add(task_id="parent", deps=["new"]), add(task_id="new", priority=3)],
    "a placeholder that is about to be removed": [
        FIRST,
        add("v", task_id="q", deps=["new"]),
        *BURY_V,
        add(task_id="q2", deps=["new"]),
        add(task_id="new"),
    ],
    "a dep that blocks": [
        FIRST,
        add(task_id="low"),
        add(task_id="low", status="DISABLED"),
        add(task_id="middle", deps=["low"]),
        add(task_id="new", deps=["middle"]),
    ],
    "a dep without a stakeholder": [FIRST, add("h", assistant=True, task_id="dep"), add(task_id="new", deps=["dep"])],
    "a task without a stakeholder": [
        FIRST,
        ask(),
        add(assistant=True, task_id="orphaned_run"),
        ask(),
        ("prune", {}),
        ask(),
    ],
    "contact": [
        FIRST,
        ("advance", 50),
        add(task_id="new"),
        ("advance", 50),
        ask(),
        ("advance", 50),
        ("prune", {}),
        add(task_id="newer"),
    ],
    "an empty module": [FIRST, add(task_id="new", module=""), add(task_id="new", module="m"), ask(), ask()],
    "a batchable task without others to go with": [
        FIRST,
        BATCHER,
        batchable("new", {"p": "1"}, priority=2),
        ask(),
        ask(),
    ],
    "a deferred step makes ready what is handed out": [
        add(task_id="dep", family="F"),
        add(task_id="new", family="F", deps=["dep"], priority=5),
        ask(),
        ("set_deps_aside", "new"),
        ask(),
    ],
    "deferred steps change it before and after it is handed out": [
        FIRST,
        add("v", task_id="other"),
        add(task_id="dep", priority=5),
        add(task_id="new", deps=["dep"], priority=5),
        add(task_id="above", deps=["new"], priority=5),
        ask(),
        ("set_deps_aside", "new"),
        *[("deferred_step", "unlink 1000000001")] * 60,
        ("deferred_step", "extend_stake 1000000005 2 0"),
        ask(),
    ],
    "a family is paused while others are handed out": [
        FIRST,
        add(task_id="new", family="G", priority=3),
        add(task_id="other", family="G", priority=2),
        ("pause_family", {"family": "G"}),
        ask(),
        ("unpause_family", {"family": "G"}),
        ask(),
        ask(),
    ],
    "what a worker refused stands apart": [
        FIRST,
        add(task_id="new", family="G", module="m", priority=3),
        add("v", task_id="new", family="G", module="m"),
        ask(),
        ("refuse_tasks", {"worker": "w", "task_ids": ["new"], "reason": "no module"}),
        ask(),
        ask("v"),
    ],
}


def carry_out(scheduler, clock, steps):
    """The replies to these steps, and all that is there in the end."""
    replies = []
    for method, given in steps:
        if method == "advance":
            clock.advance(given)
        elif method == "wait":
            worker, assistant = given
            waiting = Call("await_work", worker=worker, assistant=assistant, mailbox="mailbox", seconds="30")
            replies.append(scheduler._run(waiting))
            assert replies[-1][0] == 0, "there was work at once"
        elif method == "set_deps_aside":  # as when another list of deps takes the place of a long one
            keys = scheduler.namespace.key
            n = scheduler._client.hget(keys("task", given), "n")
            n = n.decode() if isinstance(n, bytes) else n
            scheduler._client.rename(keys("deps", n), keys("unlink", n))
            scheduler._client.rpush(keys("deferred_steps"), f"unlink {n}")
        elif method == "deferred_step":
            scheduler._client.rpush(scheduler.namespace.key("deferred_steps"), given)
        else:
            replies.append(getattr(scheduler, method)(**given))
    return replies, everything_in(scheduler)


@pytest.mark.parametrize("case", HISTORIES)
def test_a_history_that_is_not_all_plain_is_answered_and_written_alike(scheduler_factory, go, clock, monkeypatch, case):
    monkeypatch.setattr(task_operations, "MAX_DEPS_AT_ONCE", 3)
    monkeypatch.setattr(task_operations, "uuid", SameToken)
    start = clock.now
    found = []
    for ways in (BOTH, ONLY_GENERAL):
        clock.now = start
        go(ways)
        found.append(carry_out(scheduler_factory(), clock, HISTORIES[case]))
    assert found[0] == found[1]


@pytest.mark.parametrize("weights", [lambda number: 10**9 - 7919 * number, lambda number: 2**48 - 7919])
def test_workers_whose_weights_collide_are_told_apart(scheduler_factory, go, monkeypatch, weights):
    """A worker set is found by the sum of its workers' weights."""
    calls = iter(range(1000))

    class Colliding:
        @staticmethod
        def getrandbits(bits):
            return weights(next(calls))

    def found(ways):
        go(ways)
        monkeypatch.setattr(script_call, "_weights", SameWeights)
        scheduler = scheduler_factory()
        monkeypatch.setattr(script_call, "_weights", Colliding)
        nonlocal calls
        calls = iter([1, 2, *[2] * 1000])
        for worker, task in (("v", "a"), ("w", "a"), ("w", "b"), ("w", "c"), ("v", "d")):
            scheduler.add_task(worker=worker, task_id=task, deps=["below"] if task > "b" else [])
        return [scheduler.get_work(worker=worker)["task_id"] for worker in "vwvw"], everything_in(scheduler)

    assert found(BOTH) == found(ONLY_GENERAL)


READY = [{"task_id": "t"}]
WORK = {
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
    "a date": ([{"task_id": "t", "params": {"date": "2024-03-01"}}], {}),
    "ready later than it was added": ([{"task_id": "t", "deps": ["d"]}, {"task_id": "d", "status": "DONE"}], {}),
    "a task was lost": ([*READY, {"task_id": "u", "status": "RUNNING"}], {"current_tasks": []}),
    "an assistant": ([{"task_id": "t", "worker": "v"}], {"assistant": True}),
    "batchable": ([{"task_id": "t", "batchable": True}], {}),
    "batchable, with a stake of none": ([{"task_id": "t", "worker": "v", "batchable": True}], {"assistant": True}),
    "a better task could run elsewhere": (
        [
            {"task_id": "u", "resources": {"r": 1}, "priority": 9, "worker": "v"},
            {"task_id": "t", "resources": {"r": 1}},
        ],
        {},
    ),
    "unknown": (READY, {"worker": "nobody"}),
    "unknown, an assistant": (READY, {"worker": "nobody", "assistant": True}),
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


@pytest.mark.parametrize("case", WORK)
def test_a_hand_out_writes_what_follows_from_the_rules(scheduler_factory, go, case):
    found = worked(scheduler_factory(), *WORK[case], go, BOTH)
    assert found == worked(scheduler_factory(), *WORK[case], go, ONLY_GENERAL)


@pytest.mark.parametrize("seed", range(by_night(250, 8)))
def test_random_histories_leave_the_same_behind(scheduler_factory, go, clock, seed):
    # No worker leaves: in which order its worker sets are looked at then, and which of two equal ones is noted, is
    # chance.
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
                method, arguments = random_call(scheduler, chance, tasks)
                if method in ("disable_worker", "forget_worker"):
                    continue
                try:
                    replies.append(getattr(scheduler, method)(**arguments))
                except (InvalidArgument, Superseded) as error:  # of a transfer
                    replies.append(str(error))
        return replies, everything_in(scheduler)

    go(ONLY_GENERAL)
    general = history(scheduler_factory(**options))
    go(BOTH)
    clock.now = start
    assert history(scheduler_factory(**options)) == general

"""What a worker can't load goes back without a failure, and this worker is not given the like for a while.

In a fleet not every worker has every module. Who can't import a task's module refuses it: the task goes to others,
and the worker is not offered this module, or this family of it, for the time it names. A worker can also say by
patterns which modules it takes at all.
"""

import json
import random
from fnmatch import fnmatchcase

import pytest

from broker_sched.errors import InvalidArgument
from tests.behaviour.test_waking import wait, woken


def add(scheduler, *task_ids, worker="owner", module="m", family="F", **more):
    for task_id in task_ids:
        scheduler.add_task(worker=worker, task_id=task_id, module=module, family=family, **more)


def ask(scheduler, worker, **more):
    """The id of what an assistant is handed out."""
    return scheduler.get_work(worker=worker, assistant=True, host=f"{worker}-host", **more)["task_id"]


def refuse(scheduler, worker, *task_ids, scope="module", seconds=30, reason="No module named m."):
    return scheduler.refuse_tasks(worker=worker, task_ids=list(task_ids), reason=reason, scope=scope, seconds=seconds)


def drained(scheduler, worker):
    """All that an assistant is handed out, in order; each is done at once."""
    order = []
    while (task_id := ask(scheduler, worker)) is not None:
        order.append(task_id)
        scheduler.add_task(worker=worker, task_id=task_id, status="DONE", runnable=None)
    return order


def test_a_refused_task_is_pending_with_no_failure_and_says_who_could_not_load_it(scheduler_factory):
    scheduler = scheduler_factory(retry_count=1)
    add(scheduler, "a")
    assert ask(scheduler, "h") == "a"
    assert refuse(scheduler, "h", "a") == ["a"]
    assert scheduler.task_list(status="PENDING").keys() == {"a"}
    error = json.loads(scheduler.fetch_error("a")["error"])
    assert error == "Worker h (host h-host) can't load it: No module named m."
    assert scheduler.task_statuses(task_ids=["a", "b"]) == {
        "a": {"status": "PENDING", "worker_running": None, "refusal": error}
    }


@pytest.mark.parametrize("reason", ['"quoted" \\ and\ntwo lines', "null", "caf\udce9", "é " * 2000], ids=range(4))
def test_the_reason_of_a_refusal_is_told_as_that_of_a_failure_is(scheduler, reason):
    add(scheduler, "a")
    ask(scheduler, "h")
    refuse(scheduler, "h", "a", reason=reason)
    told = f"Worker h (host h-host) can't load it: {reason}"
    assert json.loads(scheduler.fetch_error("a")["error"]) == told
    assert scheduler.task_statuses(task_ids=["a"])["a"]["refusal"] == told


def test_a_refused_module_goes_to_others_and_comes_again_when_the_time_is_over(scheduler, clock):
    add(scheduler, "a", "b", family="F")
    add(scheduler, "c", family="G")
    add(scheduler, "x", module="n")
    assert ask(scheduler, "h") == "a"
    refuse(scheduler, "h", "a", scope="module", seconds=30)
    assert drained(scheduler, "h") == ["x"]
    assert ask(scheduler, "other") == "a"
    clock.advance(31)
    assert ask(scheduler, "h") == "b"


def test_a_refused_family_leaves_the_rest_of_its_module(scheduler):
    add(scheduler, "a", "b", family="F")
    add(scheduler, "c", family="G")
    assert ask(scheduler, "h") == "a"
    refuse(scheduler, "h", "a", scope="family")
    assert drained(scheduler, "h") == ["c"]


def test_only_its_runner_can_refuse_it(scheduler):
    add(scheduler, "a", "b")
    assert ask(scheduler, "h") == "a"
    assert refuse(scheduler, "other", "a", "b", "unknown") == []
    assert refuse(scheduler, "h", "b") == []
    assert scheduler.task_list(status="RUNNING").keys() == {"a"}
    assert ask(scheduler, "h") == "b", "what it could not refuse it is handed out"


def test_a_refusal_that_arrives_twice_takes_the_task_from_nobody(scheduler):
    add(scheduler, "a")
    ask(scheduler, "h")
    assert refuse(scheduler, "h", "a") == ["a"]
    assert ask(scheduler, "other") == "a"
    assert refuse(scheduler, "h", "a") == []
    assert scheduler.task_list(status="RUNNING")["a"]["worker_running"] == "other"


def test_a_task_that_everybody_refuses_does_not_keep_the_others_of_its_family(scheduler, clock):
    add(scheduler, "broken", priority=9)
    add(scheduler, *(f"t{number}" for number in range(5)))
    assert ask(scheduler, "h") == "broken"
    refuse(scheduler, "h", "broken", scope="family", seconds=1)
    assert ask(scheduler, "h") is None
    clock.advance(0.5)
    assert ask(scheduler, "k") == "t0", "it goes behind what nobody refused"
    clock.advance(0.6)
    assert drained(scheduler, "h") == ["t1", "t2", "t3", "t4", "broken"]


def test_a_refused_task_has_its_rank_again_after_a_while_and_at_once_when_it_is_added_again(scheduler, clock):
    add(scheduler, "a", "b", "c")
    assert ask(scheduler, "h") == "a"
    refuse(scheduler, "h", "a", scope="family", seconds=0)
    clock.advance(1.1)
    scheduler.prune()
    assert ask(scheduler, "h") == "a"
    refuse(scheduler, "h", "a", scope="family", seconds=0)
    assert ask(scheduler, "h") == "b"
    add(scheduler, "a")
    assert scheduler.fetch_error("a")["error"] is None
    assert ask(scheduler, "h") == "a"


def test_a_task_that_is_done_after_a_refusal_has_no_error(scheduler):
    add(scheduler, "a")
    ask(scheduler, "h")
    refuse(scheduler, "h", "a", reason="x" * 1000)
    assert drained(scheduler, "k") == ["a"]
    assert scheduler.fetch_error("a")["error"] is None


def test_a_task_whose_next_worker_dies_is_no_refused_one_any_more(scheduler, clock):
    add(scheduler, "a", batchable=True)
    ask(scheduler, "h")
    refuse(scheduler, "h", "a", scope="module")
    assert ask(scheduler, "k") == "a"
    clock.advance(100)
    scheduler.ping(worker="owner")
    scheduler.prune()
    why = scheduler.fetch_error("a")["error"]
    assert "Worker k (host k-host) was silent" in why
    scheduler.forgive_failures(task_id="a")
    assert scheduler.task_statuses(task_ids=["a"])["a"]["refusal"] is None
    assert scheduler.verify() == []
    add(scheduler, "a")
    assert scheduler.fetch_error("a")["error"] == why, "that it is added again takes no failure's explanation away"


def test_its_own_worker_runs_what_others_refused(scheduler):
    add(scheduler, "a", "b")
    for scope in ("module", "family"):
        task_id = ask(scheduler, "h")
        refuse(scheduler, "h", task_id, scope=scope, seconds=0)
    assert {scheduler.get_work(worker="owner")["task_id"] for _ in "ab"} == {"a", "b"}


def test_a_worker_is_not_asked_again_for_what_it_signed_up_for_and_can_load_no_more(scheduler):
    """The same name in an earlier process: it is among the task's workers."""
    add(scheduler, "a", "b", worker="h")
    add(scheduler, "own", worker="h", family="G")
    assert scheduler.get_work(worker="h")["task_id"] == "a"
    refuse(scheduler, "h", "a", scope="family")
    assert scheduler.get_work(worker="h")["task_id"] == "own"
    assert scheduler.get_work(worker="h")["task_id"] is None


@pytest.fixture
def batches(scheduler):
    scheduler.add_task_batcher(worker="h", task_family="F", batched_args=["day"])
    for day in range(4):
        scheduler.add_task(
            worker="owner", task_id=f"a{day}", module="m", family="F", params={"day": str(day)}, batchable=True
        )
    return scheduler


def test_of_a_refused_batch_each_task_goes_back_and_comes_alone(batches):
    work = batches.get_work(worker="h", assistant=True)
    assert work["batch_task_ids"] == ["a0", "a1", "a2", "a3"]
    assert refuse(batches, "h", *work["batch_task_ids"], scope="family", seconds=0) == work["batch_task_ids"]
    assert set(batches.task_list(status="PENDING")) == {"a0", "a1", "a2", "a3"}
    assert ask(batches, "h") == "a0", "one of them may be broken, the others are not"
    assert batches.verify() == []


def test_a_batch_has_no_task_that_its_worker_must_not_have(batches):
    batches.add_task(worker="owner", task_id="n", module="n", family="F", params={"day": "9"}, batchable=True)
    batches.add_worker(worker="h", info={"allow_modules": ["m"]})
    work = batches.get_work(worker="h", assistant=True)
    assert work["batch_task_ids"] == ["a0", "a1", "a2", "a3"]


def test_a_filter_lets_through_what_fnmatch_does(scheduler):
    pieces = [
        "a",
        "b",
        "ab",
        ".",
        "*",
        "?",
        "**",
        "[ab]",
        "[!a]",
        "[",
        "]",
        "[a-c]",
        "[]]",
        "[!]a]",
        "-",
        "%",
        "^",
        "ü",
    ]
    texts = ["", "a", "b", "ab", "ba", "a.b", "aa.bb.ab", "]", "[", "-", "a-b", "^", "%", "ü", "aüb", "[ab]", "a.b*"]
    rng = random.Random(3)
    patterns = sorted({"".join(rng.choices(pieces, k=rng.randint(0, 5))) for _ in range(60)})
    for module in texts:
        add(scheduler, f"t-{module}", module=module, family=module or "none")
    for index, pattern in enumerate(patterns):
        worker = f"w{index}"
        scheduler.add_worker(worker=worker, info={"allow_modules": [pattern]})
        handed_out = set()
        while (task_id := ask(scheduler, worker)) is not None:
            handed_out.add(task_id)
        assert handed_out == {f"t-{module}" for module in texts if fnmatchcase(module, pattern)}, pattern
        for task_id in handed_out:
            scheduler.release_task(task_id=task_id, worker=worker)


@pytest.mark.parametrize("wrong", ["etl.*", [1], ["x" * 201], ["x"] * 101, ["[ä]"], {"a": 1}, None])
def test_a_filter_that_is_none_is_refused_by_name(scheduler, wrong):
    with pytest.raises(InvalidArgument, match="allow_modules"):
        scheduler.add_worker(worker="w", info={"allow_modules": wrong})
    assert scheduler.worker_list() == []


def test_a_pattern_of_many_stars_costs_no_time(scheduler):
    add(scheduler, "a", module="a" * 2000 + "b")
    scheduler.add_worker(worker="w", info={"allow_modules": ["*a" * 99 + "*c"]})
    assert ask(scheduler, "w") is None


def test_two_fleets_get_each_their_own_whatever_the_order(scheduler, clock):
    names = [f"{kind}{number}" for number in range(60) for kind in ("etl", "ml")]
    random.Random(1).shuffle(names)
    for name in names:
        add(scheduler, name, module=f"{name[:-1].rstrip('0123456789')}.x", priority=len(name) % 2)
    for kind in ("etl", "ml"):
        scheduler.add_worker(worker=kind, info={"allow_modules": [f"{kind}.*"]})
    ranked = scheduler.task_list()
    found = {kind: drained(scheduler, kind) for kind in ("ml", "etl")}
    for kind, order in found.items():
        own = [name for name in names if name.startswith(kind)]
        assert order == sorted(own, key=lambda name: (-ranked[name]["priority"], names.index(name)))


def test_the_filter_of_a_worker_ends_when_its_name_comes_without_one(scheduler):
    add(scheduler, "a")
    scheduler.add_worker(worker="h", info={"allow_modules": ["other"]})
    assert ask(scheduler, "h") is None
    scheduler.add_worker(worker="h", info={"allow_modules": []})
    assert ask(scheduler, "h") == "a"
    refuse(scheduler, "h", "a")
    assert ask(scheduler, "h") is None
    scheduler.add_worker(worker="h", info={"allow_modules": []})
    assert ask(scheduler, "h") == "a", "a new process of that name may load what the earlier one could not"


def test_a_refusing_worker_that_is_pruned_leaves_nothing(scheduler, clock):
    add(scheduler, "a")
    ask(scheduler, "h")
    refuse(scheduler, "h", "a")
    clock.advance(61)
    scheduler.prune()
    assert not scheduler._client.exists(scheduler.namespace.key("refusals", "h"))


# Waiting


def test_whoever_refuses_is_not_woken_for_it_and_keeps_nobody_from_being_woken(scheduler, clock):
    add(scheduler, "a")
    assert ask(scheduler, "h") == "a"
    assert not wait(scheduler, "k", assistant=True)
    refuse(scheduler, "h", "a")
    assert woken(scheduler, "k") == ["k"]
    assert not wait(scheduler, "h", assistant=True, seconds=2000)
    for number in range(3):
        add(scheduler, f"n{number}", module="n")
        assert woken(scheduler, "h") == ["h"]
        assert drained(scheduler, "h") == [f"n{number}"]
        assert not wait(scheduler, "h", assistant=True, seconds=2000)
    assert ask(scheduler, "k") == "a"
    clock.advance(1)
    assert not wait(scheduler, "k", assistant=True)
    refuse(scheduler, "k", "a")
    assert woken(scheduler, "h", "k") == []


def test_a_task_added_while_only_refusers_and_one_other_wait_reaches_the_other(scheduler):
    for number in range(5):
        worker = f"r{number}"
        scheduler.add_worker(worker=worker, info={"allow_modules": ["other"]})
        ask(scheduler, worker)
        assert not wait(scheduler, worker, assistant=True, seconds=2000 + number)
    ask(scheduler, "k")
    assert not wait(scheduler, "k", assistant=True, seconds=10)
    add(scheduler, "a")
    (first,) = woken(scheduler, "r0", "r1", "r2", "r3", "r4", "k")
    assert first == "r4", "nobody knows yet of what module it is"
    assert ask(scheduler, first) is None
    assert woken(scheduler, "r0", "r1", "r2", "r3", "k") == ["k"]
    assert ask(scheduler, "k") == "a"


# Resources


def test_what_a_worker_refuses_takes_none_of_its_slots_in_the_starvation_guard(scheduler):
    scheduler.update_resources(db=1)
    add(scheduler, "a", module="m", resources={"db": 1}, priority=5, worker="submitter")
    add(scheduler, "b", module="n", resources={"db": 1}, worker="submitter")
    assert ask(scheduler, "h") == "a"
    refuse(scheduler, "h", "a")
    assert ask(scheduler, "h") == "b"


@pytest.mark.parametrize("scope", ["module", "family"])
def test_a_worker_that_refuses_what_it_signed_up_for_gets_what_wants_the_same_resource(scheduler, scope):
    scheduler.update_resources(db=1)
    add(scheduler, "a", module="m", resources={"db": 1}, priority=5, worker="h")
    add(scheduler, "b", module="n", family="G", resources={"db": 1}, worker="h")
    assert scheduler.get_work(worker="h")["task_id"] == "a"
    refuse(scheduler, "h", "a", scope=scope)
    assert scheduler.get_work(worker="h")["task_id"] == "b"
    assert scheduler.verify() == []


def test_a_task_that_all_its_workers_refuse_keeps_no_resource_from_others(scheduler):
    scheduler.update_resources(db=1)
    for worker in ("h", "k"):
        add(scheduler, "a", module="m", resources={"db": 1}, priority=5, worker=worker)
    for worker in ("h", "k"):
        assert scheduler.get_work(worker=worker)["task_id"] == "a"
        refuse(scheduler, worker, "a")
    add(scheduler, "b", module="n", resources={"db": 1}, worker="other")
    assert scheduler.get_work(worker="other")["task_id"] == "b"


def test_a_task_that_was_refused_just_now_waits_also_for_others_that_want_the_same_resource(scheduler):
    scheduler.update_resources(db=1)
    add(scheduler, "broken", module="m", family="F", resources={"db": 1}, priority=5)
    add(scheduler, "b", module="n", family="G", resources={"db": 1})
    assert ask(scheduler, "h") == "broken"
    refuse(scheduler, "h", "broken", scope="family")
    assert drained(scheduler, "k") == ["b", "broken"]


# Costs


def scripts_of(monkeypatch, scheduler):
    """What scripts are run from here on."""
    run, found = scheduler._execution.call, []

    def counted(call, *request):
        found.append(call)
        return run(call, *request)

    monkeypatch.setattr(scheduler._execution, "call", counted)
    return found


def test_many_tasks_that_a_worker_must_not_have_are_passed_over_once(scheduler, monkeypatch):
    for number in range(300):
        add(scheduler, f"a{number}", module="m")
    add(scheduler, "x", module="n")
    scheduler.add_worker(worker="h", info={"allow_modules": ["n"]})
    calls = scripts_of(monkeypatch, scheduler)
    assert ask(scheduler, "h") == "x"
    assert 300 / 40 <= len(calls) <= 300 / 40 + 3, "few at once, so that no script is long"
    calls.clear()
    assert ask(scheduler, "h") is None
    assert len(calls) == 1
    assert [len(drained(scheduler, "k")), scheduler.verify()] == [300, []]


def test_a_worker_waits_only_when_it_has_seen_all_that_it_must_not_have(scheduler):
    for number in range(50):
        add(scheduler, f"a{number}", module="m")
    scheduler.add_worker(worker="h", info={"allow_modules": ["n"]})
    assert wait(scheduler, "h", assistant=True), "there may be more: it asks at once"
    assert not wait(scheduler, "h", assistant=True)


def test_names_of_any_kind_are_refused_and_come_back(scheduler, clock):
    for index, (module, family) in enumerate([("a|b", "c@d"), ("a:b", "c!"), ("%7C", "!|"), ("", ""), ("ü\n", "x y")]):
        add(scheduler, f"t{index}", module=module, family=family, resources={"a!|b": 1})
        for scope in ("module", "family"):
            assert ask(scheduler, "h") == f"t{index}"
            refuse(scheduler, "h", f"t{index}", scope=scope)
            assert ask(scheduler, "h") is None
            assert scheduler.verify() == []
            clock.advance(31)
            scheduler.prune()
        assert drained(scheduler, "h") == [f"t{index}"]


def test_a_superseded_run_refuses_nothing(scheduler):
    add(scheduler, "a")
    first = scheduler.get_work(worker="h", assistant=True, current_tasks=[])
    again = scheduler.get_work(worker="h", assistant=True, current_tasks=[])  # the reply was lost
    told = {"worker": "h", "task_ids": ["a"], "reason": "no", "scope": "module"}
    assert scheduler.refuse_tasks(**told, attempt=first["attempt"]) == []
    assert scheduler.refuse_tasks(**told, attempt=again["attempt"]) == ["a"]

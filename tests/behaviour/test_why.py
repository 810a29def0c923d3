"""`why` says why a task does not run, in a sentence and as data, to the root cause.

A code of a closed list says what kind of reason it is. Of a task that waits for others, the causes are the tasks at the
root: those that run, have to be mended, or are ready and wait for something themselves. Each cause has its sentence,
and what the sentence is made of. When what it names is gone, the task runs, or `why` names the next reason;
tests/simulation/test_why.py tries that at random.
"""

from pathlib import Path

import pytest

from broker_sched.contract.why_replies import WHY_CODES
from broker_sched.redis_backend.commands import Call
from broker_sched.scheduler.execution import one
from broker_sched.scheduler.operations import OPERATIONS
from tests.behaviour.test_half_done import begin, names, run_deferred


def cause_of(scheduler, task_id, code):
    """The one cause of this code; the task itself, or the one at the root."""
    reply = scheduler.why(task_id)
    found = [cause for cause in reply["causes"] if cause["code"] == code]
    assert len(found) == 1, reply
    assert found[0]["sentence"] in reply["sentence"]
    assert reply["code"] in (code, "deps")
    return found[0]


def run(scheduler, task_id, worker="w", **more):
    scheduler.add_task(worker=worker, task_id=task_id, **more)
    assert scheduler.get_work(worker=worker)["task_id"] == task_id


def is_at(seconds):
    return f"1970-01-12 {13 + (46 * 60 + 40 + seconds) // 3600:02}:{(46 + (40 + seconds) // 60) % 60:02}"


# How it stands


def test_a_ready_task_is_said_to_go_to_the_worker_that_asks_next(scheduler):
    scheduler.add_task(worker="w", task_id="a")
    cause = cause_of(scheduler, "a", "ready")
    assert cause["worker"] == "w"
    assert cause["sentence"].startswith("Nothing keeps a back: w gets it when it asks for work")
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_running_task_says_where_since_when_and_what_is_usual(scheduler, clock):
    namespace = scheduler.namespace
    run(scheduler, "a", family="F")
    scheduler._client.delete(namespace.key("run_times", "F"))
    scheduler._client.rpush(namespace.key("run_times", "F"), *range(1, 101))
    clock.advance(8)
    cause = cause_of(scheduler, "a", "running")
    assert (cause["worker"], cause["since"]) == ("w", clock.now - 8)
    assert (cause["mean_seconds"], cause["p95_seconds"]) == (50.5, 95.0)
    scheduler._client.delete(namespace.key("run_times", "F"))
    clock.advance(20)
    assert "w was heard of last 28 s ago" in cause_of(scheduler, "a", "running")["sentence"]
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    run(scheduler, "b", family="F")
    assert cause_of(scheduler, "b", "running")["mean_seconds"] == 28.0


def test_a_done_task_says_since_when(scheduler, clock):
    run(scheduler, "a")
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    cause = cause_of(scheduler, "a", "done")
    assert (cause["since"], cause["worker"]) == (clock.now, "w")


def test_a_task_that_is_not_there_was_removed_or_is_unknown(scheduler, clock):
    assert cause_of(scheduler, "a", "unknown")["removed"] is None
    scheduler.add_task(worker="gone", task_id="a", status="DONE")
    for _ in range(3):
        clock.advance(2000)
        scheduler.prune()
    assert cause_of(scheduler, "a", "unknown")["removed"] == clock.now - 2000
    assert scheduler.why("a")["status"] is None


def test_a_member_of_a_batch_says_in_which_and_as_what_that_runs(scheduler):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["x"], max_batch_size=9)
    for number in range(3):
        params = {"x": str(number)}
        scheduler.add_task(worker="w", task_id=f"f{number}", family="F", params=params, batchable=True)
    work = scheduler.get_work(worker="w")
    cause = cause_of(scheduler, "f1", "in_batch")
    assert (cause["batch_id"], cause["batch_size"], cause["combined"]) == (work["batch_id"], 3, None)
    assert "which it has not begun yet" in cause["sentence"]
    scheduler.add_task(worker="w", task_id="all", family="F", status="RUNNING", batch_id=work["batch_id"])
    assert cause_of(scheduler, "f1", "in_batch")["combined"] == "all"


# Waiting for others


def test_a_task_that_waits_names_the_tasks_at_the_root_and_how_many_more_there_are(scheduler, clock):
    scheduler.add_task(worker="w", task_id="last", deps=["middle", "other"])
    scheduler.add_task(worker="w", task_id="middle", deps=names("bad", 5))
    for name in names("bad", 5):
        scheduler.add_task(worker="w", task_id=name, family="Bad", status="FAILED", expl="Traceback …\nValueError: 7")
    run(scheduler, "other")
    reply = scheduler.why("last")
    assert (reply["code"], reply["unmet"], reply["complete"], reply["looked_at"]) == ("deps", 2, True, 8)
    failed, running = reply["causes"]
    assert (failed["code"], failed["others"], failed["error"]) == ("failed", 4, "ValueError: 7")
    assert (running["code"], running["task_id"]) == ("running", "other")
    assert "last waits for 2 deps. bad_" in reply["sentence"]
    assert "And 4 others for the same reason." in reply["sentence"]


def test_failures_of_different_reasons_are_different_causes(scheduler):
    scheduler.add_task(worker="w", task_id="last", deps=["a", "b"])
    scheduler.add_task(worker="w", task_id="a", family="A", status="FAILED", expl="one")
    scheduler.add_task(worker="w", task_id="b", family="B", status="FAILED", expl="two")
    assert sorted(cause["error"] for cause in scheduler.why("last")["causes"]) == ["one", "two"]


def test_a_failed_task_says_its_error_which_failure_that_was_and_when_it_is_retried(scheduler_factory, clock):
    scheduler = scheduler_factory(retry_delay=300, retry_count=4)
    run(scheduler, "a")
    scheduler.add_task(worker="w", task_id="a", status="FAILED", expl="long\n" * 100 + "KeyError: 'x'\n\n")
    cause = cause_of(scheduler, "a", "failed")
    assert (cause["error"], cause["until"], cause["worker"]) == ("KeyError: 'x'", clock.now + 300, "w")
    assert (cause["failures"], cause["failures_allowed"]) == (1, 4)
    assert [(each["outcome"], each["worker"], each["error"]) for each in cause["runs"]] == [
        ("FAILED", "w", "KeyError: 'x'")
    ]
    assert f"It is retried at {is_at(300)}" in cause["sentence"]
    clock.advance(301)
    assert "The next prune retries it" in cause_of(scheduler, "a", "failed")["sentence"]
    scheduler.ping(worker="w")
    scheduler.prune()
    assert cause_of(scheduler, "a", "ready")


def test_a_failed_task_that_is_never_retried_says_so(scheduler_factory):
    scheduler = scheduler_factory(retry_delay=-1)
    scheduler.add_task(worker="w", task_id="a", status="FAILED", expl="boom")
    cause = cause_of(scheduler, "a", "failed")
    assert cause["until"] is None
    assert cause["failures_allowed"] is None
    assert "It is not retried by itself" in cause["sentence"]


def test_a_disabled_task_says_by_whom_and_until_when(scheduler_factory, clock):
    scheduler = scheduler_factory(retry_count=1, disable_persist=500)
    scheduler.add_task(worker="w", task_id="last", deps=["a", "b"])
    run(scheduler, "a", family="A")
    scheduler.add_task(worker="w", task_id="a", status="FAILED", expl="boom")
    scheduler.add_task(worker="w", task_id="b", family="B", status="DISABLED")
    by = {cause["by"]: cause for cause in scheduler.why("last")["causes"]}
    assert (by["scheduler"]["task_id"], by["scheduler"]["until"]) == ("a", clock.now + 500)
    assert (by["scheduler"]["failures"], by["scheduler"]["error"]) == (1, "boom")
    assert (by["worker"]["task_id"], by["worker"]["until"]) == ("b", None)
    scheduler.change_tasks(["a"], "disable", by="ann@host")
    by = {cause["by"]: cause for cause in scheduler.why("last")["causes"]}
    assert (by["operator"]["task_id"], by["operator"]["until"], by["operator"]["author"]) == ("a", None, "ann@host")
    assert "was disabled by ann@host" in by["operator"]["sentence"]


def test_a_dep_that_nobody_has_scheduled_is_named(scheduler, clock):
    scheduler.add_task(worker="w", task_id="last", deps=["nobody's"])
    cause = cause_of(scheduler, "last", "placeholder")
    assert (cause["task_id"], cause["since"], cause["dependents"]) == ("nobody's", clock.now, 1)


def test_a_dep_that_was_removed_is_named_with_the_time(scheduler, clock):
    scheduler.add_task(worker="gone", task_id="dep", status="DONE")
    clock.advance(100)
    scheduler.prune()
    clock.advance(500)
    scheduler.add_task(worker="w", task_id="last")
    scheduler.add_task(worker="w", task_id="last", deps=["dep", "never"], assistant=True)
    clock.advance(100)
    scheduler.ping(worker="w")
    scheduler.prune()
    cause = cause_of(scheduler, "last", "missing")
    removed = {"dep": clock.now, "never": None}
    assert cause["removed"] == removed[cause["task_id"]]
    assert cause["others"] == 1
    unknown = cause_of(scheduler, "dep", "unknown")
    assert (unknown["removed"], unknown["dependents"]) == (clock.now, 1)


def test_a_ring_of_deps_is_named_in_its_order(scheduler):
    scheduler.add_task(worker="w", task_id="above", deps=["a", "z"])
    scheduler.add_task(worker="w", task_id="z", deps=["z"])
    for task_id, dep in (("a", "b"), ("b", "c"), ("c", "b")):
        scheduler.add_task(worker="w", task_id=task_id, deps=[dep])
    rings = {tuple(cause["cycle"]): cause["sentence"] for cause in scheduler.why("above")["causes"]}
    assert rings.keys() == {("b", "c"), ("z",)}
    assert rings["b", "c"].startswith("b → c → b: each needs the next")
    assert scheduler.why("b")["code"] == "deps", "also of a task in the ring"


def test_news_that_have_not_reached_a_task_yet_are_named(scheduler):
    scheduler.add_task(worker="w", task_id="hub")
    for name in names("leaf", 400):
        scheduler.add_task(worker="w", task_id=name, deps=["hub"])
    begin(scheduler, "add_task", worker="w", task_id="hub", status="DONE")
    late = [name for name in names("leaf", 400) if scheduler.why(name)["code"] == "deps"]
    assert late
    cause = cause_of(scheduler, late[0], "deferred")
    assert (cause["dep"], cause["steps"]) == ("hub", 1)
    run_deferred(scheduler)
    assert scheduler.why(late[0])["code"] in ("ready", "priority")


def test_a_long_list_of_deps_that_is_being_read_in_is_named(scheduler):
    for name in names("leaf", 600):
        scheduler.add_task(worker="w", task_id=name, deps=["hub"])
    begin(scheduler, "add_task", worker="w", task_id="hub", status="DONE")
    begin(scheduler, "add_task", worker="w", task_id="wide", family="W", deps=names("dep", 200))
    assert cause_of(scheduler, "wide", "linking")["steps"] == 2
    run_deferred(scheduler)
    assert cause_of(scheduler, "wide", "placeholder")["others"] == 199


def test_a_task_that_looks_ready_while_news_are_on_the_way_waits_for_its_dep(scheduler, clock):
    scheduler.add_task(worker="other", task_id="hub", status="DONE")
    for name in names("leaf", 400):
        scheduler.add_task(worker="w", task_id=name, deps=["hub"])
    clock.advance(50)
    scheduler.ping(worker="w")
    begin(scheduler, "add_task", worker="other", task_id="hub", status="PENDING")
    late = next(
        name for name in names("leaf", 400) if scheduler._client.hget(scheduler.namespace.key("task", name), "ready")
    )
    assert [cause["task_id"] for cause in scheduler.why(late)["causes"]] == ["hub"]
    run_deferred(scheduler)


# Ready, and not handed out


def test_a_pause_is_named(scheduler):
    scheduler.add_task(worker="w", task_id="a")
    scheduler.pause()
    assert cause_of(scheduler, "a", "paused")
    scheduler.unpause()
    assert cause_of(scheduler, "a", "ready")


def test_the_pause_of_its_family_is_named(scheduler, clock):
    for family in "FG":
        scheduler.add_task(worker="w", task_id=f"a{family}", family=family)
    scheduler.pause_family(family="F")
    clock.advance(2)
    assert cause_of(scheduler, "aF", "family_paused")["since"] == clock.now - 2
    assert cause_of(scheduler, "aG", "ready"), "it is in nobody's way"
    scheduler.unpause_family(family="F")
    assert cause_of(scheduler, "aF", "ready")


def test_a_task_that_wants_more_than_there_is_can_never_run(scheduler):
    scheduler.update_resources(db=2)
    scheduler.add_task(worker="w", task_id="a", resources={"db": 3, "unlimited": 0})
    cause = cause_of(scheduler, "a", "over_limit")
    assert (cause["resource"], cause["wanted"], cause["limit"]) == ("db", 3, 2)
    scheduler.update_resources(db=3)
    assert scheduler.get_work(worker="w")["task_id"] == "a"


def test_a_resource_in_use_is_named_with_who_holds_it(scheduler, clock):
    scheduler.update_resources(db=3)
    run(scheduler, "one", worker="v", resources={"db": 1})
    clock.advance(1)
    run(scheduler, "two", worker="u", resources={"db": 2})
    scheduler.add_task(worker="w", task_id="a", resources={"db": 0.5, "free": 1})
    cause = cause_of(scheduler, "a", "resource")
    assert (cause["resource"], cause["wanted"], cause["limit"], cause["used"]) == ("db", 0.5, 3, 3)
    assert cause["holders"] == [
        {"task_id": "two", "worker": "u", "since": clock.now, "amount": 2},
        {"task_id": "one", "worker": "v", "since": clock.now - 1, "amount": 1},
    ]
    assert f"two holds 2 on u since {is_at(1)}" in cause["sentence"]


def test_a_task_that_nobody_has_signed_up_for_is_external(scheduler):
    scheduler.add_task(worker="w", task_id="last", deps=["input"])
    scheduler.add_task(worker="w", task_id="input", runnable=False)
    assert cause_of(scheduler, "last", "external")["task_id"] == "input"


def test_workers_that_are_disabled_silent_or_gone_are_named(scheduler, clock):
    scheduler.add_task(worker="dead", task_id="a")
    heard = clock.now
    clock.advance(50)
    for worker in ("off", "still", "alive"):
        scheduler.add_task(worker=worker, task_id="a")
    clock.advance(15)
    scheduler.ping(worker="alive")
    scheduler.prune()  # which removes the dead one
    for worker in ("off", "alive"):
        scheduler.ping(worker=worker)
        scheduler.disable_worker(worker=worker)
    cause = cause_of(scheduler, "a", "no_worker")
    assert {each["worker"]: each["state"] for each in cause["workers"]} == {
        "off": "disabled",
        "still": "silent",
        "alive": "disabled",
        "dead": "gone",
    }
    assert next(each for each in cause["workers"] if each["worker"] == "dead")["last_contact"] == heard
    assert "still is silent, was heard of last at" in cause["sentence"]
    scheduler.add_worker(worker="new", info={"assistant": True})
    assert cause_of(scheduler, "a", "ready")["worker"] == "new"


def test_a_module_that_no_worker_can_load_is_named_with_the_reason(scheduler, clock):
    scheduler.add_task(worker="owner", task_id="a", module="etl", family="F")
    scheduler.disable_worker(worker="owner")
    for worker in ("h", "k"):
        scheduler.add_worker(worker=worker, info={"assistant": True})
        assert scheduler.get_work(worker=worker, assistant=True, host=f"{worker}-host")["task_id"] == "a"
        scheduler.refuse_tasks(
            worker=worker, task_ids=["a"], reason="Traceback\nNo module named etl.", scope="module", seconds=30
        )
    scheduler.add_worker(worker="picky", info={"assistant": True, "allow_modules": ["report.*", "[a-d]?"]})
    cause = cause_of(scheduler, "a", "refused")
    told = {each["worker"]: (each["state"], each.get("refuses"), each.get("until")) for each in cause["workers"]}
    assert told == {
        "h": ("refuses", "etl", clock.now + 30),
        "k": ("refuses", "etl", clock.now + 30),
        "picky": ("filtered", "etl", None),
        "owner": ("disabled", None, None),
    }
    assert cause["refusal"] == "Worker k (host k-host) can't load it: Traceback\nNo module named etl."
    assert "refuses etl until 1970-01-12 13:47:10 UTC (No module named etl.)" in cause["sentence"]
    assert "No module named etl." in cause["sentence"]
    clock.advance(31)
    for worker in ("h", "k"):
        scheduler.ping(worker=worker)
    assert cause_of(scheduler, "a", "ready")


def test_workers_whose_slots_are_all_in_use_are_named(scheduler):
    scheduler.add_worker(worker="w", info={"workers": 2})
    for task_id in ("one", "two"):
        run(scheduler, task_id)
    scheduler.add_task(worker="w", task_id="before", priority=1)
    scheduler.add_task(worker="w", task_id="a")
    cause = cause_of(scheduler, "a", "busy")
    assert [(each["worker"], each["running"], each["slots"]) for each in cause["workers"]] == [("w", 2, 2.0)]
    assert cause["ahead"] == 1
    assert "1 task of its kind ranks before it" in cause["sentence"]


def test_a_task_that_goes_first_is_named(scheduler):
    scheduler.add_task(worker="w", task_id="a")
    scheduler.add_task(worker="w", task_id="urgent", priority=5)
    cause = cause_of(scheduler, "a", "priority")
    assert (cause["first"], cause["ahead"], cause["worker"]) == ("urgent", 1, "w")
    assert cause["sentence"] == "a is ready, but urgent goes first on w."


def test_a_task_that_may_go_in_a_batch_with_the_one_that_goes_first_says_so(scheduler):
    for task_id, priority in (("a", 0), ("urgent", 5)):
        scheduler.add_task(worker="w", task_id=task_id, family="F", batchable=True, priority=priority)
    cause = cause_of(scheduler, "a", "priority")
    assert cause["may_be_batched"]
    assert "a is ready, but urgent goes first on w, unless both go in one batch." in cause["sentence"]


def test_a_task_that_another_worker_would_be_given_is_not_kept_by_the_first_ones_better_task(scheduler):
    for worker in ("v", "w"):
        scheduler.add_task(worker=worker, task_id="a")
    scheduler.add_task(worker="w", task_id="urgent", priority=5)
    assert cause_of(scheduler, "a", "ready")["worker"] == "v"


def test_the_task_for_which_the_starvation_guard_keeps_a_resource_is_named(scheduler):
    scheduler.update_resources(db=2)
    run(scheduler, "holder", worker="v", resources={"db": 1})
    scheduler.add_task(worker="u", task_id="large", priority=9, resources={"db": 2})
    scheduler.add_task(worker="w", task_id="a", resources={"db": 1})
    assert scheduler.get_work(worker="w")["task_id"] == "a", "nothing better could run beside what has begun"
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    scheduler.add_task(worker="v", task_id="holder", status="DONE")
    scheduler.get_work(worker="u", current_tasks=[])
    scheduler.add_task(worker="u", task_id="large", status="DONE")
    scheduler.update_resources(db=4, other=0)
    scheduler.add_worker(worker="u", info={"workers": 3})
    run(scheduler, "low", worker="v", resources={"db": 3}, priority=-5)
    scheduler.add_task(worker="u", task_id="huge", priority=9, resources={"db": 4})
    scheduler.add_task(worker="w", task_id="b", resources={"db": 1})
    assert scheduler.get_work(worker="w")["task_id"] is None
    cause = cause_of(scheduler, "b", "starvation_guard")
    assert (cause["first"], cause["worker"]) == ("huge", "w")
    scheduler.add_task(worker="u", task_id="huge", status="DONE")
    assert scheduler.get_work(worker="w")["task_id"] == "b"


def test_a_task_that_was_refused_a_moment_ago_waits_for_all_others(scheduler, clock):
    for task_id in ("broken", "fine"):
        scheduler.add_task(worker="owner", task_id=task_id, module="m", family="F")
    scheduler.disable_worker(worker="owner")
    scheduler.add_worker(worker="h", info={"assistant": True})
    assert scheduler.get_work(worker="h", assistant=True)["task_id"] == "broken"
    scheduler.refuse_tasks(worker="h", task_ids=["broken"], reason="why", scope="family", seconds=0)
    scheduler.add_worker(worker="k", info={"assistant": True})
    cause = cause_of(scheduler, "broken", "postponed")
    assert (cause["first"], cause["until"]) == ("fine", clock.now + 1)
    clock.advance(1.1)
    scheduler.prune()
    assert cause_of(scheduler, "broken", "ready")


# At any size


def test_a_root_below_thousands_of_waiting_deps_is_found_and_what_was_not_looked_at_is_told(scheduler):
    deps = names("middle", 1500)
    scheduler.add_task(worker="w", task_id="wide", family="W", deps=deps)
    tasks = [{"task_id": name, "family": "M", "deps": ["root"]} for name in deps]
    scheduler.add_tasks(worker="w", tasks=tasks[:1000])
    scheduler.add_tasks(worker="w", tasks=tasks[1000:])
    scheduler.add_task(worker="w", task_id="root", status="FAILED", expl="boom")
    reply = scheduler.why("wide")
    assert [(cause["code"], cause["task_id"]) for cause in reply["causes"]] == [("failed", "root")]
    assert (reply["unmet"], reply["complete"], reply["looked_at"]) == (1500, False, 600)


def test_the_one_failed_dep_of_thousands_is_found(scheduler):
    deps = names("dep", 2500)
    scheduler.add_task(worker="w", task_id="wide", family="W", deps=deps)
    scheduler.add_tasks(worker="w", tasks=[{"task_id": name, "family": "D"} for name in deps[:1000]])
    scheduler.add_task(worker="w", task_id="dep_1987", family="D", status="FAILED", expl="boom")
    scheduler.add_task(worker="w", task_id="dep_2013", family="D", status="DISABLED")
    found = {cause["code"]: cause["task_id"] for cause in scheduler.why("wide")["causes"]}
    assert (found["failed"], found["disabled"]) == ("dep_1987", "dep_2013")


def test_the_root_of_a_long_line_is_asked_for_in_parts(scheduler):
    tasks = [{"task_id": f"t{number}", "deps": [f"t{number + 1}"]} for number in range(900)]
    scheduler.add_tasks(worker="w", tasks=tasks)
    scheduler.add_task(worker="w", task_id="t900", status="FAILED")
    first = scheduler.why("t0")
    assert [(cause["code"], cause["task_id"]) for cause in first["causes"]] == [("deps", "t599")]
    assert scheduler.why("t599")["causes"][0]["task_id"] == "t900"


def test_every_code_of_the_list_has_a_test_here():
    here = Path(__file__).read_text(encoding="utf-8")
    assert [code for code in WHY_CODES if f'"{code}"' not in here] == []


# While things change


def looked_at_while(scheduler, task_id, change, step):
    """What why answers when a change is made before its command of this number, and how many commands it takes."""

    def commands():
        inner, reply, number = OPERATIONS["why"](scheduler.namespace, task_id=task_id), None, 0
        while True:
            try:
                command = inner.send(reply)
            except StopIteration as stopped:
                return stopped.value, number
            if number == step:
                change(scheduler)
            reply = yield command
            number += 1

    return scheduler.drive(commands())


CHANGES = {
    "it is handed out": lambda scheduler: scheduler.get_work(worker="w"),
    "it is done": lambda scheduler: scheduler.add_task(worker="w", task_id="a", status="DONE"),
    "it has failed": lambda scheduler: scheduler.add_task(worker="w", task_id="a", status="FAILED"),
    "it has a new dep": lambda scheduler: scheduler.add_task(worker="w", task_id="a", deps=["b"]),
    "all is paused": lambda scheduler: scheduler.pause(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_task_that_changes_while_it_is_looked_at_is_told_of_as_before_or_as_after(scheduler_factory, change):
    step, count = 0, 1
    while step < count:
        scheduler = scheduler_factory()
        scheduler.add_task(worker="w", task_id="a")
        scheduler.add_task(worker="w", task_id="above", deps=["a"])
        before = scheduler.why("above")
        reply, count = looked_at_while(scheduler, "above", change, step)
        codes = [each["causes"][0]["code"] for each in (before, reply, scheduler.why("above"))]
        assert codes[1] in (codes[0], codes[2]), (step, reply)
        assert reply["code"] == "deps" or codes[1] == "ready"
        step += 1
    assert count > 4


def test_no_script_of_it_reads_very_many_deps_and_all_are_read_in_the_end(scheduler):
    leaves, middle = [f"leaf{n}" for n in range(450)], [f"mid{n}" for n in range(8)]
    tasks = [{"task_id": each, "family": "Leaf"} for each in leaves]
    tasks += [{"task_id": each, "family": "Mid", "deps": leaves} for each in middle]
    scheduler.add_tasks(worker="w", tasks=[*tasks, {"task_id": "top", "deps": middle}])
    first = Call("walk_unmet", task_id="top", most="50", fresh_count="0", numbers=[])
    named = [len(unmet) for _, _, _, unmet, *_ in scheduler.drive(one(first))[3:]]
    assert named == [8, 450, 450, 450, 450], "with the fourth it had named as many as it may"
    told = scheduler.why("top")
    assert (told["looked_at"], told["complete"]) == (1 + 8 + 450, True)
    assert [(each["family"], each["others"]) for each in told["causes"]] == [("Leaf", 449)]


def test_a_time_beyond_the_calendar_is_told_in_seconds(scheduler_factory):
    scheduler = scheduler_factory(retry_delay=1e17)
    scheduler.add_task(worker="w", task_id="t", status="FAILED", expl='"no"')
    assert "It is retried at 1e+17 s after 1970" in scheduler.why("t")["sentence"]

"""People change tasks in bulk: retry, forgive, enable, disable, done, stop, remove.

Each task is changed wholly or not at all, and what was not changed is named with the reason. A dry run says the same
and changes nothing. What people disable stays so, whoever adds it again, until people lift it.
"""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from broker_sched import Scheduler
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Await
from broker_sched.scheduler.operations.work import awaiting
from tests.behaviour.test_first_steps import status
from tests.behaviour.test_flat_cost import commands_of
from tests.behaviour.test_once import losing
from tests.behaviour.test_plain_ways import everything_in
from tests.conftest import FakeClock, SchedulerFactory
from tests.nightly import by_night

# What a task is before, and what it is after each action; None: it is not changed.
AFTER: dict[str, dict[str, str | None]] = {
    "retry": {"failed": "PENDING", "by scheduler": "PENDING", "by worker": "PENDING", "by people": "PENDING"},
    "forgive": {
        "failed": "PENDING",
        "by scheduler": "PENDING",
        "by worker": "PENDING",
        "by people": "PENDING",
        "failed before": "PENDING",
    },
    "enable": {"by scheduler": "FAILED", "by worker": "FAILED", "by people": "FAILED"},
    "disable": dict.fromkeys(
        ("pending", "failed before", "done", "failed", "by scheduler", "by worker", "placeholder"), "DISABLED"
    ),
    "done": dict.fromkeys(
        (
            "pending",
            "failed before",
            "failed",
            "by scheduler",
            "by worker",
            "by people",
            "placeholder",
            "running",
            "of Luigi's worker",
        ),
        "DONE",
    ),
    "stop": {"running": "RUNNING"},
    "remove": dict.fromkeys(
        ("pending", "failed before", "done", "failed", "by scheduler", "by worker", "by people"), "gone"
    ),
}
BEFORE = {
    "pending": "PENDING",
    "failed before": "PENDING",
    "running": "RUNNING",
    "of Luigi's worker": "RUNNING",
    "in a batch": "BATCH_RUNNING",
    "done": "DONE",
    "failed": "FAILED",
    "by scheduler": "DISABLED",
    "by worker": "DISABLED",
    "by people": "DISABLED",
    "placeholder": "UNKNOWN",
    "unknown": "gone",
}


def with_every_kind(scheduler: Scheduler, clock: FakeClock) -> None:
    """A task of each kind, named by it."""
    scheduler.add_worker(worker="ours", info={"workers": 9}, start_id="s")
    scheduler.add_task_batcher(worker="ours", task_family="B", batched_args=["p"])
    for number, name in enumerate(("in a batch", "in it, too")):
        scheduler.add_task(worker="ours", task_id=name, family="B", params={"p": str(number)}, batchable=True)
    assert scheduler.get_work(worker="ours")["batch_id"]
    for name in ("running", "failed before"):
        scheduler.add_task(worker="ours", task_id=name)
        assert scheduler.get_work(worker="ours")["task_id"] == name
    scheduler.add_task(worker="luigis", task_id="of Luigi's worker")
    assert scheduler.get_work(worker="luigis")["task_id"] == "of Luigi's worker"
    scheduler.add_task(worker="ours", task_id="failed before", status="FAILED")
    scheduler.forgive_failures("failed before")
    scheduler.add_task(worker="ours", task_id="by scheduler", retry_policy_dict={"retry_count": 1})
    for name, reported in (
        ("pending", "PENDING"),
        ("done", "DONE"),
        ("failed", "FAILED"),
        ("by scheduler", "FAILED"),
        ("by worker", "DISABLED"),
        ("by people", "PENDING"),
    ):
        scheduler.add_task(worker="ours", task_id=name, status=reported)
    scheduler.change_tasks(["by people"], "disable", by="ann@host")
    scheduler.add_task(worker="ours", task_id="needs it", deps=["placeholder"], status="DONE")


def statuses(scheduler: Scheduler) -> dict[str, str]:
    found = scheduler.task_statuses(list(BEFORE))
    return {name: found[name]["status"] if name in found else "gone" for name in BEFORE}


@pytest.mark.parametrize("action", AFTER)
def test_an_action_changes_what_it_is_for_and_a_dry_run_says_so(
    scheduler: Scheduler, clock: FakeClock, action: str
) -> None:
    with_every_kind(scheduler, clock)
    expected = AFTER[action] if action != "remove" else {**AFTER[action], "placeholder": "gone"}
    assert statuses(scheduler) == BEFORE
    content = everything_in(scheduler)
    told = scheduler.change_tasks(list(BEFORE), action, dry_run=True)
    assert everything_in(scheduler) == content, "a dry run changes nothing"
    assert scheduler.change_tasks(list(BEFORE), action, by="bob@host") == told
    assert told["changed"] == [name for name in BEFORE if name in expected]
    assert statuses(scheduler) == {**BEFORE, **expected}
    assert {each["task_id"]: each["status"] or "gone" for each in told["unchanged"]} == {
        name: before for name, before in BEFORE.items() if name not in expected
    }
    assert all(each["reason"].endswith(".") for each in told["unchanged"])


def test_what_is_retried_is_handed_out_at_once_and_its_failures_count_on(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(retry_count=2)
    for name in ("retried", "forgiven"):
        scheduler.add_task(worker="w", task_id=name)
        scheduler.add_task(worker="w", task_id=name, status="FAILED")
    scheduler.change_tasks(["retried"], "retry")
    scheduler.change_tasks(["forgiven"], "forgive")
    for name, after in (("retried", "DISABLED"), ("forgiven", "FAILED")):
        assert scheduler.get_work(worker="w")["task_id"] == name
        scheduler.add_task(worker="w", task_id=name, status="FAILED")
        assert status(scheduler, name) == after
    for lift in ("retry", "enable"):
        assert scheduler.change_tasks(["retried"], lift)["changed"] == ["retried"]
        scheduler.add_task(worker="w", task_id="retried", status="FAILED")
        assert status(scheduler, "retried") == "FAILED", "a disable is lifted with the failures that led to it"
        scheduler.add_task(worker="w", task_id="retried", status="FAILED")
        assert status(scheduler, "retried") == "DISABLED"


def test_a_running_task_is_forgiven_too(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(retry_count=2)
    scheduler.add_task(worker="w", task_id="a")
    for _ in range(2):
        scheduler.get_work(worker="w")
        scheduler.change_tasks(["a"], "forgive")
        scheduler.add_task(worker="w", task_id="a", status="FAILED")
        scheduler.change_tasks(["a"], "retry")
    assert status(scheduler, "a") == "PENDING"


@pytest.mark.parametrize("reported", ["PENDING", "RUNNING", "FAILED", "DISABLED", "UNKNOWN", "SUSPENDED"])
def test_what_people_disabled_stays_so_whatever_a_client_reports(
    scheduler: Scheduler, clock: FakeClock, reported: str
) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.change_tasks(["a"], "disable", by="ann@host")
    scheduler.add_task(worker="w", task_id="a", status=reported)
    scheduler.add_task(worker="v", task_id="a")
    scheduler.forgive_failures("a")
    clock.advance(10**7)
    for _ in range(3):
        scheduler.ping(worker="w")
        scheduler.prune()
    assert status(scheduler, "a") == "DISABLED"
    assert scheduler.get_work(worker="w")["task_id"] is None
    (refusal,) = scheduler.change_tasks(["a"], "disable")["unchanged"]
    assert refusal["reason"] == "It is DISABLED already, by ann@host."


def test_a_client_of_luigis_sees_a_task_that_the_scheduler_has_disabled(scheduler_factory: SchedulerFactory) -> None:
    told = []
    for by in ("scheduler", "people"):
        scheduler = scheduler_factory()
        for worker in ("w", "v"):
            scheduler.add_task(worker=worker, task_id="a", family="F", retry_policy_dict={"retry_count": 1})
        scheduler.add_task(worker="w", task_id="above", deps=["a"])
        if by == "scheduler":
            scheduler.add_task(worker="w", task_id="a", family="F", status="FAILED", runnable=False)
        else:
            scheduler.change_tasks(["a"], "disable")
        answers: list[object] = []
        for reported in ("PENDING", "RUNNING", "FAILED", "UNKNOWN", "PENDING"):
            scheduler.add_task(worker="w", task_id="a", family="F", status=reported)
            answers += [scheduler.get_work(worker="w"), scheduler.count_pending(worker="v")]
            answers += [scheduler.task_list("DISABLED", ""), scheduler.task_list("PENDING", "UPSTREAM_DISABLED")]
            answers += [scheduler.dep_graph("above"), scheduler.forgive_failures("a"), scheduler.fetch_error("a")]
        answers += [bool(scheduler.re_enable_task("a")), status(scheduler, "a"), scheduler.mark_as_done("a")]
        told.append(answers)
    assert told[0] == told[1]


@pytest.mark.parametrize("before", ["FAILED", "DISABLED"])
def test_people_may_hold_what_is_disabled_already(
    scheduler_factory: SchedulerFactory, clock: FakeClock, before: str
) -> None:
    scheduler = scheduler_factory(retry_count=1, disable_persist=100)
    scheduler.add_task(worker="w", task_id="a", status=before)
    assert status(scheduler, "a") == "DISABLED"
    scheduler.change_tasks(["a"], "disable")
    clock.advance(101)
    scheduler.add_task(worker="w", task_id="a")
    scheduler.prune()
    assert status(scheduler, "a") == "DISABLED"


def test_it_stays_disabled_though_nobody_has_a_stake_in_it_any_more(scheduler: Scheduler, clock: FakeClock) -> None:
    for name in ("held", "other"):
        scheduler.add_task(worker="w", task_id=name)
    scheduler.change_tasks(["held"], "disable")
    for _ in range(4):
        clock.advance(5000)
        scheduler.prune()
        assert scheduler.verify() == []
    assert list(scheduler.task_list("", "")) == ["held"]
    scheduler.add_task(worker="tomorrow", task_id="held")
    assert scheduler.get_work(worker="tomorrow")["task_id"] is None


def test_what_is_enabled_when_nobody_has_a_stake_in_it_is_removed_in_time(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    scheduler.add_task(worker="w", task_id="a")
    scheduler.change_tasks(["a"], "disable")
    clock.advance(100)
    scheduler.prune()
    scheduler.change_tasks(["a"], "enable")
    assert scheduler.verify() == []
    for _ in range(3):
        scheduler.prune()
        clock.advance(700)
    assert scheduler.task_list("", "") == {}


def test_a_task_that_was_to_be_removed_is_kept_when_people_disable_it(scheduler: Scheduler, clock: FakeClock) -> None:
    scheduler.add_task(worker="w", task_id="a")
    clock.advance(100)
    scheduler.prune()
    scheduler.change_tasks(["a"], "disable")
    clock.advance(10_000)
    scheduler.prune()
    assert status(scheduler, "a") == "DISABLED"


def test_the_page_of_luigi_can_enable_it_and_a_worker_may_find_it_complete(scheduler: Scheduler) -> None:
    for name in ("a", "b"):
        scheduler.add_task(worker="w", task_id=name)
    scheduler.change_tasks(["a", "b"], "disable")
    assert scheduler.task_list("DISABLED", "")["a"]["re_enable_able"] is True
    scheduler.re_enable_task("a")
    scheduler.add_task(worker="w", task_id="b", status="DONE")
    assert [status(scheduler, name) for name in "ab"] == ["FAILED", "DONE"]
    scheduler.add_task(worker="w", task_id="b", status="DISABLED")
    scheduler.add_task(worker="w", task_id="b")
    assert status(scheduler, "b") == "PENDING", "it is people's no more"


def test_stopping_leaves_its_worker_the_message_and_says_who_cannot(scheduler: Scheduler, clock: FakeClock) -> None:
    with_every_kind(scheduler, clock)
    told = scheduler.change_tasks(list(BEFORE), "stop")
    message = {"name": "stop_task", "kwargs": {"task_id": "running", "disable": False}}
    assert scheduler.ping(worker="ours", start_id="s")["rpc_messages"] == [message]
    reasons = {each["task_id"]: each["reason"] for each in told["unchanged"]}
    assert "worker of Luigi's own" in reasons["of Luigi's worker"]
    assert "batch" in reasons["in a batch"]


def test_a_worker_that_waits_for_work_is_woken_to_stop_what_it_runs(scheduler: Scheduler) -> None:
    scheduler.add_worker(worker="w", info={"workers": 2}, start_id="s")
    scheduler.add_task(worker="w", task_id="a")
    scheduler.get_work(worker="w")
    assert scheduler._run(awaiting(Await("w", False, 1000), "w"))[0] == 0
    scheduler.change_tasks(["a"], "stop")
    assert scheduler._client.lpop(scheduler.namespace.key("wake", "w")) == "w"


def test_a_task_that_another_one_needs_is_not_removed_and_the_reason_names_it(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="top", deps=["dep"])
    scheduler.add_task(worker="w", task_id="dep", status="DONE")
    scheduler.add_task(worker="w", task_id="over", deps=["spare"], status="DONE")
    told = scheduler.change_tasks(["dep", "spare"], "remove")
    assert told["changed"] == ["spare"]
    assert told["unchanged"] == [
        {"task_id": "dep", "status": "DONE", "reason": "It is needed by top, which is PENDING."}
    ]
    assert set(scheduler.task_list("", "")) == {"top", "dep", "over"}


@pytest.mark.parametrize("seed", range(4))
def test_a_graph_is_removed_by_one_call_in_whatever_order_it_is_named(scheduler: Scheduler, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"t{number}" for number in range(70)]
    deps = {name: chance.sample(names[:number], min(number, chance.randint(0, 3))) for number, name in enumerate(names)}
    scheduler.add_tasks(worker="w", tasks=[{"task_id": name, "deps": deps[name]} for name in names])
    scheduler.add_task(worker="w", task_id="other", deps=["t60"])
    needed: set[str] = set()
    wanted = {"t60"}
    while wanted:
        needed |= wanted
        wanted = {dep for name in wanted for dep in deps[name]} - needed
    chance.shuffle(names)
    told = scheduler.change_tasks(names, "remove", dry_run=True)
    assert scheduler.change_tasks(names, "remove") == told
    assert set(told["changed"]) == set(names) - needed
    assert set(scheduler.task_list("", "")) == {*needed, "other"}


def test_a_task_that_needs_itself_is_removed(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a", deps=["a"])
    assert scheduler.change_tasks(["a"], "remove")["changed"] == ["a"]
    assert scheduler.task_list("", "") == {}


@pytest.mark.parametrize("first", ["deps", "dependents"])
def test_a_long_chain_is_removed_whichever_end_is_named_first(scheduler: Scheduler, first: str) -> None:
    names = [f"t{number}" for number in range(130)]
    tasks = [{"task_id": name, "deps": [before]} for before, name in pairwise(names)]
    scheduler.add_tasks(worker="w", tasks=tasks)
    asked = names if first == "deps" else names[::-1]
    assert scheduler.change_tasks(asked, "remove", dry_run=True)["changed"] == asked
    assert scheduler.change_tasks(asked, "remove")["changed"] == asked


def test_no_script_is_long_however_much_hangs_on_the_tasks(real_scheduler: Scheduler) -> None:
    names = [f"t{number}" for number in range(20)]
    tasks = [{"task_id": name, "deps": [f"{name} {dep}" for dep in range(90)]} for name in names]
    real_scheduler.add_tasks(worker="w", tasks=tasks)
    real_scheduler._client.config_resetstat()
    assert real_scheduler.change_tasks(names, "remove")["changed"] == names
    stats = real_scheduler._client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] > 4


def test_a_task_with_too_many_dependents_to_look_at_is_not_removed(scheduler: Scheduler) -> None:
    tasks = [{"task_id": f"t{number}", "deps": ["dep"], "status": "DONE"} for number in range(1001)]
    for start in (0, 1000):
        scheduler.add_tasks(worker="w", tasks=tasks[start : start + 1000])
    (refusal,) = scheduler.change_tasks(["dep"], "remove")["unchanged"]
    assert "More than 1000 tasks depend on it" in refusal["reason"]
    scheduler.change_tasks(["t0"], "remove")
    assert scheduler.change_tasks(["dep"], "remove")["changed"] == ["dep"]


def test_dependents_are_told_of_what_is_done_or_disabled(scheduler: Scheduler) -> None:
    for name in ("done", "disabled"):
        scheduler.add_task(worker="w", task_id=name)
        scheduler.add_task(worker="w", task_id=f"after {name}", deps=[name])
    scheduler.change_tasks(["done"], "done")
    scheduler.change_tasks(["disabled"], "disable")
    assert scheduler.get_work(worker="w")["task_id"] == "after done"
    assert list(scheduler.task_list("PENDING", "UPSTREAM_DISABLED")) == ["after disabled"]
    scheduler.change_tasks(["disabled"], "enable")
    assert scheduler.task_list("PENDING", "UPSTREAM_DISABLED") == {}


def test_the_events_say_who_did_it(scheduler: Scheduler) -> None:
    scheduler.add_worker(worker="w", info={}, start_id="s")
    for name in ("a", "b"):
        scheduler.add_task(worker="w", task_id=name)
    scheduler.get_work(worker="w")
    last = scheduler.events()["last"]
    for action in ("stop", "done"):
        scheduler.change_tasks(["a"], action, by="ann@host")
    scheduler.add_task(worker="w", task_id="b", status="FAILED")
    scheduler.forgive_failures("b")
    for action in ("forgive", "remove"):
        scheduler.change_tasks(["b"], action)
    events = scheduler.events(after=last)["events"]
    told = [(e["task_id"], e["from"], e["to"], e["asked"], e["by"]) for e in events if e["by"] is not None]
    assert told == [
        ("a", "RUNNING", "RUNNING", "stop", "ann@host"),
        ("a", "RUNNING", "DONE", None, "ann@host"),
        ("b", "PENDING", "PENDING", "forgive", ""),
        ("b", "PENDING", "REMOVED", None, ""),
    ]


def test_a_call_that_is_sent_twice_is_answered_alike(scheduler: Scheduler) -> None:
    names = [f"t{number}" for number in range(120)]
    scheduler.add_tasks(worker="w", tasks=[{"task_id": name, "status": "FAILED"} for name in names])
    told = losing(scheduler, replies=3).change_tasks([*names, "nobody's", names[0]], "retry")
    assert told["changed"] == names
    assert [each["task_id"] for each in told["unchanged"]] == ["nobody's"]


def test_a_wrong_call_changes_nothing(scheduler: Scheduler) -> None:
    scheduler.add_task(worker="w", task_id="a")
    for wrong, field in (
        ({"action": "restart"}, "action"),
        ({"action": "done", "by": "x" * 201}, "by"),
        ({"action": "done", "task_ids": ["a"] * 1001}, "task_ids"),
        ({"action": "done", "task_ids": [""]}, "task_ids"),
    ):
        with pytest.raises(InvalidArgument) as error:
            scheduler.change_tasks(**{"task_ids": ["a"], **wrong})
        assert error.value.field.startswith(field)
    assert status(scheduler, "a") == "PENDING"


def test_a_task_costs_the_same_among_100_and_among_1000(real_scheduler: Scheduler) -> None:
    counts = []
    for start, stop in ((0, 100), (100, 1000)):
        tasks = [{"task_id": f"t{number}", "status": "FAILED"} for number in range(start, stop)]
        real_scheduler.add_tasks(worker="w", tasks=tasks)
        names = [f"t{number}" for number in range(start, start + 50)]
        costs = [
            commands_of(real_scheduler, lambda action=action, names=names: real_scheduler.change_tasks(names, action))
            for action in ("retry", "disable", "enable", "done", "remove")
        ]
        counts.append(costs)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("first", range(0, by_night(300, 20), 10))
def test_a_dry_run_foretells_whatever_there_is(
    scheduler_factory: SchedulerFactory, clock: FakeClock, first: int
) -> None:
    for seed in range(first, first + 10):
        chance = random.Random(seed)
        scheduler = scheduler_factory(retry_count=chance.choice([1, 3]), stable_done_cooldown_secs=0)
        names = [f"t{number}" for number in range(12)]
        scheduler.add_worker(worker="w", info={"workers": 3}, start_id="s")
        for _ in range(30):
            number = chance.randrange(len(names))
            deps = chance.sample(names[:number], min(number, chance.choice([0, 0, 1, 2])))
            reported = chance.choice(["PENDING", "PENDING", "DONE", "FAILED", "DISABLED"])
            scheduler.add_task(worker="w", task_id=names[number], status=reported, deps=deps)
            if chance.random() < 0.3:
                scheduler.get_work(worker="w")
            if chance.random() < 0.5:
                asked = chance.sample(names, chance.randint(1, len(names)))
                action = chance.choice(list(AFTER))
                told = scheduler.change_tasks(asked, action, dry_run=True)
                assert scheduler.change_tasks(asked, action) == told, f"seed {seed}"
                assert scheduler.verify() == [], f"seed {seed}"
            if chance.random() < 0.1:
                clock.advance(chance.choice([10, 100, 1000]))
                scheduler.prune()

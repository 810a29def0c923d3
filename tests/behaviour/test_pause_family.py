"""People can pause a family: none of its tasks is handed out until it is unpaused, and nothing else is changed.

What runs goes on. Its ready tasks count as pending, but keep neither resources nor slots from others, and wake nobody.
They stand in ready queues of their own, which whoever asks for work passes over by the name: so a pause costs a
get_work the same however many tasks it holds.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from broker_sched import Scheduler
from broker_sched.errors import InvalidArgument
from broker_sched.redis_backend.commands import Await, Call
from broker_sched.scheduler.operations.work import awaiting
from tests.behaviour.test_first_steps import status
from tests.behaviour.test_flat_cost import commands_of
from tests.conftest import SchedulerFactory


def add(scheduler: Scheduler, *names: str, family: str = "F", worker: str = "w", **more: Any) -> None:
    for name in names:
        scheduler.add_task(worker=worker, task_id=name, family=family, module="m", **more)


def work(scheduler: Scheduler, worker: str = "w", **more: Any) -> str | None:
    found = scheduler.get_work(worker=worker, **more)
    return found["task_id"] or ",".join(found.get("batch_task_ids", [])) or None


def waits(scheduler: Scheduler, worker: str, assistant: bool = False) -> bool:
    """Whether the worker has to wait; from then on it does."""
    is_ready, _ = scheduler._run(awaiting(Await(worker, assistant, 1000), worker))
    return not is_ready


def is_woken(scheduler: Scheduler, worker: str) -> bool:
    return bool(scheduler._client.lpop(scheduler.namespace.key("wake", worker)))


@pytest.mark.parametrize("assistant", [False, True])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_tasks_of_a_paused_family_are_not_handed_out(scheduler: Scheduler, moment: str, assistant: bool) -> None:
    scheduler.add_worker(worker="h", info={"assistant": True})
    asks = "h" if assistant else "w"
    if moment == "before":
        assert scheduler.pause_family("F")["changed"]
    add(scheduler, "a", "b")
    add(scheduler, "c", family="G")
    if moment == "after":
        assert scheduler.pause_family("F")["changed"]
    assert scheduler.verify() == []
    assert work(scheduler, asks, assistant=assistant) == "c"
    assert work(scheduler, asks, assistant=assistant) is None
    add(scheduler, "late", priority=9)
    assert work(scheduler, asks, assistant=assistant) is None
    assert scheduler.count_pending(worker="w")["n_pending_tasks"] == 3
    assert scheduler.verify() == []
    assert scheduler.unpause_family("F")["changed"]
    assert [work(scheduler, asks, assistant=assistant) for _ in range(4)] == ["late", "a", "b", None]


@pytest.mark.parametrize("assistant", [False, True])
def test_none_is_handed_out_while_very_many_are_still_to_be_set_apart(scheduler: Scheduler, assistant: bool) -> None:
    names = [f"t{number}" for number in range(500)]
    scheduler.add_tasks(worker="w", tasks=[{"task_id": name, "family": "F"} for name in names])
    add(scheduler, "last", family="G")
    scheduler._run(Call("pause_family", family="F", paused="1"))  # whoever paused it has died
    assert scheduler._client.exists(scheduler.namespace.key("deferred_steps"))
    assert work(scheduler, "h" if assistant else "w", assistant=assistant) == "last"
    assert scheduler.verify() == []


def test_the_self_check_finds_a_paused_task_that_stands_among_others(scheduler: Scheduler) -> None:
    add(scheduler, "a")
    client, key = scheduler._client, scheduler.namespace.key
    task, among_others = key("task", "a"), client.hget(key("task", "a"), "ready")
    scheduler.pause_family("F")
    apart = client.hget(task, "ready")
    assert among_others != apart
    client.hset(task, "ready", among_others)
    client.rename(key("ready", apart), key("ready", among_others))
    for index in ("ready_queues", f"ready_queues:{among_others.partition('|')[0]}"):
        client.srem(key(index), apart)
        client.sadd(key(index), among_others)
    assert {each.key for each in scheduler.verify()} >= {"task:a#ready", f"ready:{among_others}"}
    scheduler.verify(repair=True)
    assert client.hget(task, "ready") == apart
    assert scheduler.verify() == []
    assert work(scheduler) is None


def test_what_runs_goes_on_and_is_told_again_when_its_hand_out_was_lost(scheduler: Scheduler) -> None:
    add(scheduler, "a", "b")
    add(scheduler, "next", deps=["a"], family="G")
    assert work(scheduler) == "a"
    scheduler.pause_family("F")
    assert work(scheduler, current_tasks=[]) == "a"
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    assert work(scheduler) == "next"
    assert work(scheduler) is None


def test_a_task_that_becomes_ready_or_fails_meanwhile_waits_too(scheduler: Scheduler) -> None:
    add(scheduler, "dep", family="G")
    add(scheduler, "after", deps=["dep"])
    add(scheduler, "failed")
    assert work(scheduler, current_tasks=None) == "dep"
    assert work(scheduler) == "failed"
    scheduler.pause_family("F")
    scheduler.add_task(worker="w", task_id="failed", status="FAILED")
    scheduler.forgive_failures("failed")
    scheduler.add_task(worker="w", task_id="dep", status="DONE")
    assert work(scheduler) is None
    assert [status(scheduler, name) for name in ("after", "failed")] == ["PENDING", "PENDING"]
    scheduler.unpause_family("F")
    assert {work(scheduler), work(scheduler)} == {"after", "failed"}


def test_the_family_may_be_one_that_is_yet_to_come_and_have_any_name(scheduler: Scheduler) -> None:
    for family in ("F", 'a:b|c!@d%"é\n\\', "1|x"):
        assert scheduler.pause_family(family)["paused"]
        add(scheduler, f"of {family}", family=family)
        add(scheduler, f"of {family}, odd module", family=family, priority=3)
    assert work(scheduler) is None
    assert scheduler.verify() == []
    for family in ("F", 'a:b|c!@d%"é\n\\', "1|x"):
        scheduler.unpause_family(family)
        assert work(scheduler) == f"of {family}, odd module"
        assert work(scheduler) == f"of {family}"
        assert work(scheduler) is None


def test_the_same_family_of_each_module_is_paused_and_no_other_one(scheduler: Scheduler) -> None:
    for module in ("m", "n", ""):
        scheduler.add_task(worker="w", task_id=f"F of {module}", family="F", module=module or None)
        scheduler.add_task(worker="w", task_id=f"FF of {module}", family="FF", module=module or None)
    scheduler.pause_family("F")
    assert [work(scheduler) for _ in range(4)] == ["FF of m", "FF of n", "FF of ", None]


def test_a_paused_task_keeps_no_resource_from_a_worse_one(scheduler: Scheduler) -> None:
    scheduler.add_worker(worker="w", info={"workers": 2})
    scheduler.add_worker(worker="v", info={"workers": 2})
    work(scheduler, "v")  # it lives, and has idle slots
    add(scheduler, "better", worker="v", priority=9, resources={"db": 1})
    add(scheduler, "worse", family="G", resources={"db": 1})
    assert work(scheduler) is None, "the starvation guard keeps it for the better one"
    scheduler.pause_family("F")
    assert work(scheduler) == "worse"
    scheduler.release_task("worse", "w")
    scheduler.unpause_family("F")
    assert work(scheduler, "v") == "better"


def test_a_paused_task_takes_no_slot_that_a_worse_one_would_have(scheduler: Scheduler) -> None:
    for worker in ("v", "w"):
        scheduler.add_worker(worker=worker, info={"workers": 1})
        work(scheduler, worker)
    add(scheduler, "paused", worker="v", priority=9, resources={"x": 1, "y": 1})
    add(scheduler, "worse", worker="v", family="G", priority=5, resources={"x": 1})
    add(scheduler, "last", worker="w", family="G", resources={"x": 1})
    scheduler.pause_family("F")
    assert work(scheduler, "w") is None, "x is kept for v's `worse`, which has v's slot"
    assert work(scheduler, "v") == "worse"


def test_no_batch_has_a_task_of_a_paused_family(scheduler: Scheduler) -> None:
    for family in "FG":
        scheduler.add_task_batcher(worker="w", task_family=family, batched_args=["p"])
        for number in range(2):
            name = f"{family}{number}"
            add(scheduler, name, family=family, params={"p": str(number)}, batchable=True, priority="GF".index(family))
    scheduler.pause_family("F")
    assert work(scheduler) == "G0,G1"
    assert work(scheduler) is None
    scheduler.unpause_family("F")
    assert work(scheduler) == "F0,F1"


def test_nobody_is_woken_for_it_until_it_is_unpaused(scheduler: Scheduler) -> None:
    scheduler.pause_family("F")
    add(scheduler, "known", family="G")
    work(scheduler)
    for worker, assistant in (("w", False), ("h", True)):
        assert waits(scheduler, worker, assistant)
    add(scheduler, "a", "b")
    assert not is_woken(scheduler, "w")
    assert not is_woken(scheduler, "h")
    scheduler.unpause_family("F")
    assert is_woken(scheduler, "w")
    assert is_woken(scheduler, "h")


def test_a_pause_wakes_who_may_have_now_what_was_kept_for_others(scheduler: Scheduler) -> None:
    for worker in ("v", "w"):
        scheduler.add_worker(worker=worker, info={"workers": 1})
        work(scheduler, worker)
    add(scheduler, "better", worker="v", priority=9, resources={"db": 1})
    add(scheduler, "worse", worker="w", family="G", resources={"db": 1})
    for _ in range(2):  # the second time `better` stands apart from the beginning
        assert waits(scheduler, "w")
        scheduler.pause_family("F")
        assert is_woken(scheduler, "w")
        scheduler.unpause_family("F")


def test_a_worker_stays_for_what_is_paused(scheduler: Scheduler) -> None:
    add(scheduler, "a")
    scheduler.pause_family("F")
    found = scheduler.get_work(worker="w")
    assert (found["n_pending_tasks"], found["n_unique_pending"], found["n_pending_last_scheduled"]) == (1, 1, 1)


def test_pausing_twice_is_said(scheduler: Scheduler) -> None:
    assert scheduler.unpause_family("F") == {"family": "F", "paused": False, "changed": False, "tasks": 0}
    assert [scheduler.pause_family("F")["changed"] for _ in range(2)] == [True, False]
    assert scheduler.unpause_family("F")["changed"]
    assert scheduler._client.hexists(scheduler.namespace.key("config"), "paused_families") == 0


def test_where_pause_has_no_effect_that_of_a_family_has_none(scheduler_factory: SchedulerFactory) -> None:
    scheduler = scheduler_factory(pause_enabled=False)
    assert scheduler.pause_family("F") == {"family": "F", "paused": False, "changed": False, "tasks": 0}
    add(scheduler, "a")
    assert work(scheduler) == "a"
    scheduler.add_task(worker="w", task_id="b", family="G")
    for enabled in (True, False):
        scheduler.update_options({"pause_enabled": enabled})
        scheduler.pause_family("G")
    assert work(scheduler) is None
    assert scheduler.unpause_family("G")["changed"], "what was paused before does not stay so"
    assert work(scheduler) == "b"


def test_the_reply_says_how_many_tasks_the_family_has(scheduler: Scheduler) -> None:
    add(scheduler, "a", "b", "dep")
    add(scheduler, "waits", deps=["dep"])
    add(scheduler, "done", status="DONE")
    add(scheduler, "other", family="G")
    assert scheduler.pause_family("F")["tasks"] == 5
    assert scheduler.pause_family("f")["tasks"] == 0, "it may come, or it is misspelt"
    assert scheduler.unpause_family("F")["tasks"] == 5


def test_work_costs_the_same_whether_a_hundred_or_a_thousand_tasks_are_paused(real_scheduler: Scheduler) -> None:
    scheduler = real_scheduler
    scheduler.add_worker(worker="h", info={"assistant": True})
    counts = []
    for start, stop in ((0, 100), (100, 1000)):
        tasks = [{"task_id": f"t{number}", "family": "F", "priority": 9} for number in range(start, stop)]
        scheduler.add_tasks(worker="w", tasks=tasks)
        scheduler.pause_family("F")
        add(scheduler, *(f"{start} {number}" for number in range(6)), family="G")
        for assistant in (False, True):
            assert work(scheduler, "h" if assistant else "w", assistant=assistant)
        costs = []
        for worker, assistant in (("w", False), ("h", True)):
            call = partial(work, scheduler, worker, assistant=assistant)
            costs.append(commands_of(scheduler, call))
        counts.append(costs)
    assert counts[0] == counts[1]


def test_two_hundred_families_can_be_paused_and_no_more(scheduler: Scheduler) -> None:
    for number in range(200):
        scheduler.pause_family(f"F{number}")
    with pytest.raises(InvalidArgument, match="pause all with pause"):
        scheduler.pause_family("one more")
    assert scheduler.pause_family("F7")["paused"]
    with pytest.raises(InvalidArgument, match="is empty"):
        scheduler.pause_family("")


def test_a_second_server_sees_it_at_once(scheduler: Scheduler, another: Scheduler) -> None:
    add(scheduler, "a")
    another.pause_family("F")
    assert work(scheduler) is None
    scheduler.unpause_family("F")
    assert work(another) == "a"

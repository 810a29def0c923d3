"""A worker that is new under an old name: what the former one ran is lost, unless that is alive.

Containers and services start again under the same name. A start id tells the new process from the former one. What
the former one ran has failed at once, without waiting until it is missed; while the former one lives, the new one is
refused.
"""

import json

import pytest

from broker_sched.errors import NameTaken, Superseded

OPTIONS = {"retry_delay": 1, "worker_disconnect_delay": 60, "stable_done_cooldown_secs": 0}


@pytest.fixture
def scheduler(scheduler_factory):
    made = scheduler_factory(retry_count=3, **OPTIONS)
    start(made, "first")
    return made


def start(scheduler, start_id):
    scheduler.add_worker(worker="w", info=[("host", "h"), ("pid", 7), ("workers", 2)], start_id=start_id)


def run(scheduler, start_id, task_id="t"):
    scheduler.add_task(worker="w", task_id=task_id)
    work = scheduler.get_work(worker="w", start_id=start_id, host="h")
    assert work["task_id"] == task_id
    return work["attempt"]


def status(scheduler, task_id="t"):
    return scheduler.task_list()[task_id]["status"]


def test_what_the_former_worker_ran_has_failed_when_a_new_one_of_its_name_begins(scheduler, clock):
    attempt = run(scheduler, "first")
    clock.advance(6)
    start(scheduler, "second")
    assert status(scheduler) == "FAILED"
    why = json.loads(scheduler.fetch_error("t")["error"])
    assert why.startswith("Worker w (host h, pid 7) ended while it ran this task")
    with pytest.raises(Superseded):
        scheduler.add_task(worker="w", task_id="t", status="FAILED", attempt=attempt)
    clock.advance(2)
    scheduler.prune()
    assert scheduler.get_work(worker="w", start_id="second")["task_id"] == "t"


def test_a_task_that_kills_its_worker_each_time_is_disabled_after_retry_count_starts(scheduler, clock):
    for number, name in enumerate(("first", "second", "third"), start=1):
        start(scheduler, name)
        run(scheduler, name)
        clock.advance(6)
        start(scheduler, f"after {name}")
        assert status(scheduler) == ("FAILED" if number < 3 else "DISABLED")
        clock.advance(2)
        scheduler.prune()
        start(scheduler, name)


def test_a_worker_that_introduces_itself_again_loses_nothing(scheduler, clock):
    run(scheduler, "first")
    clock.advance(30)
    start(scheduler, "first")
    assert status(scheduler) == "RUNNING"


def test_a_worker_whose_tasks_have_ended_leaves_its_name_at_once(scheduler):
    run(scheduler, "first")
    scheduler.add_task(worker="w", task_id="t", status="DONE")
    start(scheduler, "second")
    assert scheduler.get_work(worker="w", start_id="second")["task_id"] is None


def test_a_second_worker_of_a_name_is_refused_while_the_first_lives_and_runs_tasks(scheduler, clock):
    run(scheduler, "first")
    for _ in range(5):
        clock.advance(4)
        scheduler.ping(worker="w", start_id="first")
        with pytest.raises(NameTaken, match=r"Worker w \(host h, pid 7\) has this name, runs tasks"):
            start(scheduler, "second")
        with pytest.raises(NameTaken):
            scheduler.ping(worker="w", start_id="second")
        with pytest.raises(NameTaken):
            scheduler.get_work(worker="w", start_id="second")
    assert status(scheduler) == "RUNNING"


def test_a_worker_that_pings_seldom_is_not_taken_for_dead_between_two_pings(scheduler, clock):
    scheduler.add_worker(worker="w", info={"ping_interval": 10.0}, start_id="first")
    run(scheduler, "first")
    for _ in range(3):
        clock.advance(10)
        with pytest.raises(NameTaken):
            start(scheduler, "second")
        scheduler.ping(worker="w", start_id="first")
    clock.advance(22)
    start(scheduler, "second")
    assert status(scheduler) == "FAILED"


@pytest.mark.parametrize("told", ["often", None, [10.0], -7])
def test_a_ping_interval_that_is_none_changes_nothing(scheduler, clock, told):
    scheduler.add_worker(worker="w", info={"ping_interval": told}, start_id="first")
    run(scheduler, "first")
    clock.advance(4)
    with pytest.raises(NameTaken):
        start(scheduler, "second")
    clock.advance(2)
    start(scheduler, "second")
    assert status(scheduler) == "FAILED"


def test_what_a_refused_worker_asks_is_no_contact_of_the_first(scheduler, clock):
    run(scheduler, "first")
    for _ in range(3):
        clock.advance(3)
        with pytest.raises(NameTaken):
            scheduler.ping(worker="w", start_id="second")
    start(scheduler, "second")
    assert status(scheduler) == "FAILED"


def test_a_worker_that_lost_its_name_gets_no_work_and_no_messages(scheduler, clock):
    run(scheduler, "first")
    clock.advance(6)
    start(scheduler, "second")
    scheduler.set_worker_processes("w", 4)
    for ask in (scheduler.ping, scheduler.get_work):
        with pytest.raises(NameTaken, match="is the one of this name now"):
            ask(worker="w", start_id="first")
    assert len(scheduler.ping(worker="w", start_id="second")["rpc_messages"]) == 1


def test_stock_clients_tell_of_no_start_and_are_asked_for_none(scheduler, clock):
    run(scheduler, "first")
    clock.advance(6)
    scheduler.add_worker(worker="w", info={"workers": 3})
    assert scheduler.ping(worker="w") == {"rpc_messages": []}
    assert scheduler.get_work(worker="w", current_tasks=["t"])["task_id"] is None
    assert status(scheduler) == "RUNNING"


def test_a_worker_that_was_forgotten_is_known_by_its_start_again(scheduler, clock):
    clock.advance(100)
    scheduler.prune()
    scheduler.ping(worker="w", start_id="first")
    with pytest.raises(NameTaken):
        scheduler.ping(worker="w", start_id="second")
    clock.advance(100)
    scheduler.prune()
    scheduler.get_work(worker="w", start_id="third")
    with pytest.raises(NameTaken):
        scheduler.ping(worker="w", start_id="first")


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_batch_of_the_former_worker_has_failed_member_by_member(scheduler, clock, has_begun):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day in "123":
        scheduler.add_task(worker="w", task_id=f"F_{day}", family="F", params={"day": day}, batchable=True)
    work = scheduler.get_work(worker="w", start_id="first")
    if has_begun:
        told = {"batch_id": work["batch_id"], "attempt": work["attempt"], "family": "F"}
        scheduler.add_task(worker="w", task_id="F_all", status="RUNNING", **told)
    clock.advance(6)
    start(scheduler, "second")
    scheduler.prune()
    tasks = scheduler.task_list()
    assert {name: task["status"] for name, task in tasks.items()} == {f"F_{day}": "FAILED" for day in "123"}
    for name in tasks:
        assert "ended while it ran this task" in scheduler.fetch_error(name)["error"]


def test_a_worker_that_ran_very_many_tasks_loses_all_of_them(scheduler, clock):
    names = [f"t{number}" for number in range(160)]
    scheduler.add_tasks(worker="w", tasks=[{"task_id": name} for name in names])
    for name in names:
        scheduler.add_task(worker="w", task_id=f"up_{name}", deps=[name])
        scheduler.get_work(worker="w", start_id="first")
    clock.advance(6)
    start(scheduler, "second")
    tasks = scheduler.task_list(limit=False)
    assert {tasks[name]["status"] for name in names} == {"FAILED"}


@pytest.mark.parametrize("bad", ["", "x" * 65, 7])
def test_a_start_id_that_is_none_is_refused_by_name(scheduler, bad):
    with pytest.raises(ValueError, match="start_id"):
        scheduler.add_worker(worker="w", info={}, start_id=bad)

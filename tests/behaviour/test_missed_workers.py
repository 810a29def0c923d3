"""The task of a worker that was missed says which worker that was, where, and since when it was silent.

Whoever looks at a failed task has to learn that nothing is wrong with the task, and on which machine to look.
"""

import json
import random
import time

import pytest

OPTIONS = {"retry_delay": 1000, "worker_disconnect_delay": 60}


@pytest.fixture
def scheduler(scheduler_factory):
    return scheduler_factory(**OPTIONS)


def why(scheduler, task_id="t"):
    return json.loads(scheduler.fetch_error(task_id)["error"])


def miss(scheduler, clock):
    clock.advance(61)
    scheduler.prune()


def test_it_names_worker_host_and_time(scheduler, clock):
    clock.now = 1_709_294_399.0  # 2024-03-01 11:59:59
    scheduler.add_worker(worker="w", info=[("host", "büro-3"), ("pid", 7)])
    scheduler.add_task(worker="w", task_id="t")
    scheduler.get_work(worker="w", host="other")
    miss(scheduler, clock)
    assert scheduler.task_list()["t"]["status"] == "FAILED"
    assert why(scheduler) == (
        "Worker w (host büro-3, pid 7) was silent since 2024-03-01 11:59:59 UTC, for 61 s, while it ran this task: "
        "it has ended, or its machine was cut off or stood still."
    )


def test_a_worker_that_told_nothing_of_itself_is_named_by_the_host_it_asked_from(scheduler, clock):
    scheduler.add_task(worker="w", task_id="t")
    scheduler.get_work(worker="w", host="h")
    miss(scheduler, clock)
    assert why(scheduler).startswith("Worker w (host h) was silent since ")


def test_it_replaces_an_older_explanation_and_is_replaced_by_a_newer_one(scheduler, clock):
    scheduler.add_task(worker="w", task_id="t")
    scheduler.add_task(worker="w", task_id="t", status="FAILED", expl='"first"')
    scheduler.forgive_failures("t")
    scheduler.get_work(worker="w")
    miss(scheduler, clock)
    assert "was silent" in why(scheduler)
    scheduler.add_task(worker="v", task_id="t", status="FAILED", expl='"third"')
    assert why(scheduler) == "third"


def test_each_member_of_its_batch_says_so(scheduler, clock):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day in "12":
        scheduler.add_task(worker="w", task_id=f"F_{day}", family="F", params={"day": day}, batchable=True)
    work = scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="F_all", status="RUNNING", batch_id=work["batch_id"], family="F")
    miss(scheduler, clock)
    for day in "12":
        assert why(scheduler, f"F_{day}").startswith("Worker w was silent since")


def test_a_worker_that_ran_nothing_leaves_nothing_behind(scheduler, clock):
    scheduler.add_task(worker="w", task_id="t")
    miss(scheduler, clock)
    assert not list(scheduler._client.scan_iter(match=f"{scheduler.namespace.prefix}missed:*"))


def test_a_task_that_ran_where_nobody_has_a_stake_in_it_says_so(scheduler, clock):
    scheduler.add_task(worker="w", task_id="t")
    scheduler.add_task(worker="v", task_id="t", assistant=True, status="RUNNING")
    scheduler.prune()
    assert why(scheduler) == "Worker v, which ran this task, is unknown by now or has no stake in it."


@pytest.mark.parametrize("seed", range(3))
def test_times_are_those_of_the_calendar(scheduler, clock, seed):
    chance = random.Random(seed)
    edges = [1, 951782399, 951782400, 1709251199, 1709251200, 1735689599, 4107542399]  # around days of leap years
    for moment in sorted(edges + [chance.randrange(4 * 10**9) for _ in range(6)]):
        clock.now = float(moment)
        scheduler.add_task(worker="w", task_id=f"t{moment}")
        assert scheduler.get_work(worker="w")["task_id"] == f"t{moment}"
        miss(scheduler, clock)
        assert f"since {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(moment))}," in why(scheduler, f"t{moment}")

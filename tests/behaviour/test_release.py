"""Giving a running task back, and asking for its end.

A worker that leaves gives back what it can't finish: the task is PENDING at once, and this is no failure. stop_task
leaves a message for the worker that runs the task.
"""

import pytest

from broker_sched.errors import InvalidArgument


def test_a_released_task_is_pending_at_once_and_has_not_failed(scheduler_factory):
    scheduler = scheduler_factory(retry_count=1)
    scheduler.update_resources(db=1)
    for worker in ("w", "v"):
        scheduler.add_task(worker=worker, task_id="a", resources={"db": 1})
    assert scheduler.get_work(worker="w")["task_id"] == "a"
    assert scheduler.release_task("a", "w") == {"task_id": "a", "status": "PENDING"}
    assert scheduler.resource_list()[0]["num_used"] == 0
    assert scheduler.get_work(worker="v")["task_id"] == "a"


def test_only_its_runner_can_release_it(scheduler):
    scheduler.add_task(worker="w", task_id="a")
    scheduler.get_work(worker="w")
    assert scheduler.release_task("a", "v") == {"task_id": "a", "status": "RUNNING"}
    scheduler.add_task(worker="w", task_id="a", status="DONE")
    assert scheduler.release_task("a", "w") == {"task_id": "a", "status": "DONE"}
    assert scheduler.release_task("unknown", "w") == {"task_id": "unknown", "status": None}


def test_of_a_released_batch_the_members_run_again(scheduler, clock):
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day in "12":
        scheduler.add_task(worker="w", task_id=f"F_{day}", family="F", params={"day": day}, batchable=True)
    work = scheduler.get_work(worker="w")
    scheduler.add_task(worker="w", task_id="F_1_2", status="RUNNING", batch_id=work["batch_id"], family="F")
    scheduler.release_task("F_1_2", "w")
    assert sorted(scheduler.task_list(status="PENDING")) == ["F_1", "F_2"]
    clock.advance(1)
    scheduler.prune()
    assert sorted(scheduler.task_list()) == ["F_1", "F_2"]
    assert scheduler.get_work(worker="w")["batch_task_ids"] == ["F_1", "F_2"]


def test_members_of_a_batch_that_has_not_begun_are_released_one_by_one(scheduler_factory):
    scheduler = scheduler_factory(retry_count=1)
    scheduler.add_task_batcher(worker="w", task_family="F", batched_args=["day"])
    for day in "12":
        scheduler.add_task(worker="w", task_id=f"F_{day}", family="F", params={"day": day}, batchable=True)
    for _ in range(2):
        work = scheduler.get_work(worker="w")
        assert work["batch_task_ids"] == ["F_1", "F_2"]
        assert scheduler.release_task("F_1", "v")["status"] == "BATCH_RUNNING"
        for task_id in work["batch_task_ids"]:
            assert scheduler.release_task(task_id, "w", attempt=work["attempt"])["status"] == "PENDING"
        assert scheduler.verify() == []


def test_stopping_leaves_its_worker_a_message(scheduler):
    scheduler.add_task(worker="w", task_id="a")
    assert scheduler.stop_task("a") == {"task_id": "a", "worker": None}
    scheduler.get_work(worker="w")
    assert scheduler.stop_task("a", disable=True) == {"task_id": "a", "worker": "w"}
    message = {"name": "stop_task", "kwargs": {"task_id": "a", "disable": True}}
    assert scheduler.ping(worker="w") == {"rpc_messages": [message]}
    assert scheduler.stop_task("a", release=True) == {"task_id": "a", "worker": "w"}
    message = {"name": "stop_task", "kwargs": {"task_id": "a", "disable": False, "release": True}}
    assert scheduler.ping(worker="w") == {"rpc_messages": [message]}
    with pytest.raises(InvalidArgument, match="leave one of the two out"):
        scheduler.stop_task("a", disable=True, release=True)
    assert scheduler.stop_task("unknown") == {"task_id": "unknown", "worker": None}
